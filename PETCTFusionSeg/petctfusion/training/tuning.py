"""Dice on the tuning patients, on the network's own grid, as they are and re-cropped: quick enough to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from petctfusion.inference.sliding_window import predict_windows
from petctfusion.training.cases import AIR, Case

_MARGIN_SEED = 20


class Score(Protocol):
    """What a run is watched by; the text of it is a line for people."""

    @property
    def mean(self) -> float:
        """Higher is better: what early stopping and the best weights go by."""

    def row(self) -> dict[str, Any]:
        """One CSV row."""

    def points(self) -> dict[str, float]:
        """Points of TensorBoard's curves."""


@dataclass(frozen=True)
class TuningScore:
    """Mean Dice over the tuning patients as they are and after a random re-crop, and every patient's row.

    A patient without tumour counts 1 where nothing is marked and 0 where anything is.
    """

    as_is: float
    recropped: float
    rows: tuple[tuple[str, float, float], ...]

    @property
    def mean(self) -> float:
        """Both crops count alike."""
        return (self.as_is + self.recropped) / 2

    def row(self) -> dict[str, Any]:
        """One CSV row."""
        patients = {name: f"{a:.4f}/{b:.4f}" for name, a, b in self.rows}
        return {"dice_as_is": f"{self.as_is:.4f}", "dice_recropped": f"{self.recropped:.4f}", **patients}

    def points(self) -> dict[str, float]:
        """Points of TensorBoard's curves."""
        return {"tuning/Dice as is": self.as_is, "tuning/Dice re-cropped": self.recropped}

    def __str__(self) -> str:
        return f"tuning Dice {self.as_is:.3f} as is, {self.recropped:.3f} re-cropped"


def score_cases(
    network: nn.Module, cases: list[Case], patch: tuple[int, int, int], modalities: Sequence[str], device: str
) -> TuningScore:
    """Dice at probability 0.5 on the network's grid; the re-crop draws 5 to 50 mm a side, the same at every call."""
    training = network.training
    network.eval()
    air = [AIR.get(kind, 0.0) for kind in modalities]
    rows = []
    for number, case in enumerate(cases):
        whole = _dice(network, case.image, case.contour, patch, air, device)
        box = _random_box(case, np.random.default_rng([_MARGIN_SEED, number]))
        z, y, x = box
        cut = _dice(network, case.image[:, z, y, x], case.contour[box], patch, air, device)
        rows.append((case.name, whole, cut))
    network.train(training)
    return TuningScore(float(np.mean([r[1] for r in rows])), float(np.mean([r[2] for r in rows])), tuple(rows))


def _dice(
    network: nn.Module,
    image: NDArray[np.float32],
    contour: NDArray[np.float32],
    patch: tuple[int, int, int],
    air: Sequence[float],
    device: str,
) -> float:
    probability = predict_windows(image, network, patch=patch, air=air, device=device)[0]
    found, truth = probability >= 0.5, contour >= 0.5
    marked = float(found.sum() + truth.sum())
    return 2.0 * float((found & truth).sum()) / marked if marked else 1.0


def _random_box(case: Case, rng: np.random.Generator) -> tuple[slice, slice, slice]:
    margins = rng.uniform(5.0, 50.0, (2, 3)) / np.asarray(case.spacing_zyx)
    low = np.maximum(0, np.round(case.box[0] + 0.5 - margins[0])).astype(int)
    high = np.minimum(case.contour.shape, np.round(case.box[1] + 0.5 + margins[1])).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x
