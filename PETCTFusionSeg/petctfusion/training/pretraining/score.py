"""What a pre-training has learned, on patients it has not seen: hidden blocks, and whether CT and PET find each other.

A place may also be found by where it lies in the field of view, without any look at the patient. So the same question
is asked with the PET of another patient in the same box: what is right there took no look at the content.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from petctfusion.networks.anatomy_prompted import MaskedReconstruction
from petctfusion.networks.anatomy_prompted.alignment import Retrieval, retrieval
from petctfusion.networks.anatomy_prompted.masked_reconstruction import AlignedTokens
from petctfusion.training.cases import AIR, Case

_MASK_SEED = 30


@dataclass(frozen=True)
class PretrainingScore:
    """Over the tuning patients: `reconstruction` per modality, the alignment's loss, and retrieval.

    `reconstruction`: squared error of the hidden blocks over their own squared contrast. 1 is as good as the mean of
    each, and blocks of air, which have no contrast, count for nothing.
    `ahead` and `back`: share of the blocks with content whose nearest block of the other modality in the same scan is
    their own, from the first modality to the second and back; `chance`: 1 / N of a scan, weighed by its N blocks.
    `other_patient`: both directions with the second modality of another patient, None with one patient.
    """

    modalities: tuple[str, ...]
    reconstruction: tuple[float, ...]
    alignment: float
    blocks: int
    ahead: float
    back: float
    chance: float
    other_patient: float | None
    other_patient_chance: float | None

    @property
    def mean(self) -> float:
        """Both directions."""
        return (self.ahead + self.back) / 2

    def row(self) -> dict[str, Any]:
        """One CSV row."""
        errors = {f"{name}_error": f"{x:.4f}" for name, x in zip(self.modalities, self.reconstruction, strict=True)}
        shares = {name: getattr(self, name) for name in ("ahead", "back", "chance", "other_patient")}
        shown = {name: "" if value is None else f"{value:.4f}" for name, value in shares.items()}
        return {**errors, "alignment": f"{self.alignment:.4f}", **shown}

    def points(self) -> dict[str, float]:
        """Points of TensorBoard's curves."""
        errors = zip(self.modalities, self.reconstruction, strict=True)
        return {
            **{f"tuning/{name} error": error for name, error in errors},
            "tuning/retrieval": self.mean,
            "tuning/alignment": self.alignment,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields."""
        return asdict(self)

    def __str__(self) -> str:
        first, second = self.modalities
        errors = ", ".join(f"{n} {e:.3f}" for n, e in zip(self.modalities, self.reconstruction, strict=True))
        other = ""
        if self.other_patient is not None and self.other_patient_chance is not None:
            chance = f"chance {self.other_patient_chance:.3f}"
            other = f"; with another patient's {second} {self.other_patient:.3f}, {chance}"
        return (
            f"tuning error {errors}; retrieval {first} to {second} {self.ahead:.3f}, {second} to {first} "
            f"{self.back:.3f}, chance {self.chance:.3f} over {self.blocks} blocks{other}"
        )


@torch.no_grad()
def score_pretraining(
    network: MaskedReconstruction,
    cases: Sequence[Case],
    patch: tuple[int, int, int],
    modalities: Sequence[str],
    device: str,
) -> PretrainingScore:
    """Scans cut into windows of the size that was trained on; what is hidden is the same at every call."""
    training = network.training
    network.eval()
    sizes = np.max([case.contour.shape for case in cases], axis=0)
    box = tuple(math.ceil(size / length) * length for size, length in zip(sizes, patch, strict=True))
    air = [AIR.get(kind, 0.0) for kind in modalities]
    scans, losses, errors = [], [], np.zeros((2, len(modalities)))
    for number, case in enumerate(cases):
        generator = torch.Generator().manual_seed(_MASK_SEED + number)
        tokens, found, squares = _of_scan(network, _windows(case, box, patch, air), generator, device)
        scans.append(tokens)
        losses += found
        errors += squares
    network.train(training)
    own = _sum([retrieval(one.first, one.second, one.content) for one in scans])
    other = Retrieval(0, 0, 0, 0.0)
    if len(scans) > 1:
        pairs = zip(scans, [*scans[1:], scans[0]], strict=True)
        other = _sum([retrieval(a.first, b.second, a.content & b.content) for a, b in pairs])
    asked = max(own.asked, 1)
    return PretrainingScore(
        tuple(modalities),
        tuple((errors[0] / np.maximum(errors[1], 1e-12)).tolist()),
        float(np.mean(losses)) if losses else 0.0,
        own.asked,
        own.ahead / asked,
        own.back / asked,
        own.guessed / asked,
        other.accuracy if other.asked else None,
        other.guessed / other.asked if other.asked else None,
    )


def _of_scan(
    network: MaskedReconstruction, windows: torch.Tensor, generator: torch.Generator, device: str
) -> tuple[AlignedTokens, list[float], np.ndarray[Any, np.dtype[np.float64]]]:
    """All blocks of a scan beside each other `(1, n, D)`, the alignment's loss of each window that is not air, and per
    modality the squared error of what was hidden and its squared contrast."""
    parts, losses, squares = [], [], np.zeros((2, len(network.modalities)))
    for number in range(len(windows)):
        image = windows[number : number + 1].to(device)
        parts.append(network.aligned_tokens(image))
        if not parts[-1].content.any():
            continue
        found = network.reconstruct(image, generator)
        losses.append(float(network.losses(image, found).alignment))
        for kind, (hidden, guess, truth) in enumerate(zip(found.hidden, found.predicted, found.target, strict=True)):
            squares[:, kind] += [float((guess - truth)[hidden].square().sum()), float(truth[hidden].square().sum())]
    joined = [torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("first", "second", "content")]
    return AlignedTokens(*joined), losses, squares


def _windows(case: Case, box: Sequence[int], patch: Sequence[int], air: Sequence[float]) -> torch.Tensor:
    """The scan in the middle of `box`, air around it, as windows `(W, M, *patch)`; a patch of one slice is an image."""
    image = np.empty((len(air), *box), dtype=np.float32)
    image[:] = np.asarray(air, dtype=np.float32)[:, None, None, None]
    starts = [(size - length) // 2 for size, length in zip(box, case.contour.shape, strict=True)]
    z, y, x = (slice(a, a + n) for a, n in zip(starts, case.contour.shape, strict=True))
    image[:, z, y, x] = case.image
    split = [part for size, length in zip(box, patch, strict=True) for part in (size // length, length)]
    cut = image.reshape(len(air), *split).transpose(1, 3, 5, 0, 2, 4, 6).reshape(-1, len(air), *patch)
    windows = torch.from_numpy(np.ascontiguousarray(cut))
    return windows[:, :, 0] if patch[0] == 1 else windows


def _sum(found: Sequence[Retrieval]) -> Retrieval:
    return sum(found, Retrieval(0, 0, 0, 0.0))
