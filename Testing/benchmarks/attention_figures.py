"""One picture of attention maps per fusion system, on a real patient: docs/images/attention-ID.png.

Each network is trained on that one patient until it knows the tumour by heart, so that its maps have something to say.
The pictures show what the maps look like; nothing about accuracy or about other patients follows from them.

    python Testing/benchmarks/attention_figures.py --data FOLDER_OF_STS [--network ID ...] [--steps 150]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
import torch

from petctfusion.networks import build
from petctfusion.networks.anatomy_prompted.organ_teacher import (
    CT_TISSUES,
    ct_tissue_probabilities,
    organ_loss,
    pseudo_labels,
)
from petctfusion.networks.cipa import SMALL
from petctfusion.networks.explain import attention_maps
from petctfusion.training.losses import dice_and_cross_entropy

mpl.use("Agg")
from matplotlib import pyplot as plt

SPACING_MM = 4.0
SHOWN = 36  # voxels a side that the picture shows: the patient's volume
OUTSIDE = {"CT": -1000.0, "PET": 0.0}  # MR: its darkest value
WINDOWS = {"CT": (-160, 240), "PET": (0, 8), "MR": (-1, 3)}

_WIDE = (16, 64, 64)  # for those whose divisor is 32


@dataclass(frozen=True)
class Figure:
    """Which configuration is trained and which maps are shown (name of the map, title)."""

    id: str
    maps: tuple[tuple[str, str], ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    modalities: tuple[str, str] = ("CT", "PET")
    lr: float = 3e-3
    window: tuple[int, int, int] = (16, 48, 48)


FIGURES = (
    Figure(
        "anatomy_guided",
        (
            ("spatial gate, level 1", "spatial gate s\nlevel 1"),
            ("spatial gate, level 2", "spatial gate s\nlevel 2"),
            ("PET through its channel gate, level 1", "PET through its\nchannel gate, level 1"),
        ),
    ),
    Figure(
        "h2aseg",
        (
            ("TAMW level 1: foreground weight of PET", "TAMW, level 1\nforeground, PET"),
            ("TAMW level 1: background weight of CT", "TAMW, level 1\nbackground, CT"),
            ("MCSA level 2: what CT attends to in PET", "MCSA, level 2\nCT attends to PET"),
        ),
        {"dropout": 0.0},
        window=(16, 32, 32),
    ),
    Figure(
        "anatomy_prompted",
        (
            ("organ map, soft tissue", "organ prompt\nsoft tissue"),
            ("organ map, bone", "organ prompt\nbone"),
            ("attention to bone", "cross-attention\nto bone"),
        ),
        {"widths": (8, 16, 32, 64), "organs": CT_TISSUES, "states": 8},
    ),
    Figure(
        "slice_interaction",
        (
            ("weight of slice -1, stage 1", "weight of the\nslice below, stage 1"),
            ("weight of slice +0, stage 1", "weight of the\nslice itself, stage 1"),
            ("channel rectification of the second modality, stage 1", "CRM, PET\nstage 1"),
        ),
        dict(SMALL),
        window=_WIDE,
    ),
    Figure(
        "dual_attention",
        (
            ("spatial attention, level 1", "spatial attention M_s\nlevel 1"),
            ("spatial attention, level 2", "spatial attention M_s\nlevel 2"),
            ("spatial attention, level 3", "spatial attention M_s\nlevel 3"),
        ),
        modalities=("CT", "MR"),
    ),
    Figure("msam", (("spatial attention from PET", "spatial attention S\nfrom PET"),)),
    Figure(
        "isanet",
        (
            ("CT spatial attention, level 1", "attention M, CT\nlevel 1"),
            ("PET spatial attention, level 1", "attention M, PET\nlevel 1"),
            ("PET spatial attention, level 3", "attention M, PET\nlevel 3"),
        ),
    ),
    Figure(
        "cipa",
        (
            ("channel rectification of the first modality, stage 1", "CRM, CT\nstage 1"),
            ("channel rectification of the second modality, stage 1", "CRM, PET\nstage 1"),
            ("share of the interaction, stage 1", "share of DCIM\nstage 1"),
        ),
        {**SMALL, "spatial_dims": 3},
        window=_WIDE,
    ),
    Figure(
        "vmambax",
        (
            ("context gate of the first modality, stage 1", "context gate, CT\nstage 1"),
            ("context gate of the second modality, stage 1", "context gate, PET\nstage 1"),
            ("share of the interaction, stage 1", "share of DCIM\nstage 1"),
        ),
        {**SMALL, "spatial_dims": 3},
        window=_WIDE,
    ),
)


def main() -> None:
    """Trains each network and writes its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sarcoma collection: STS_nnn/")
    parser.add_argument("--patient", default="STS_002")
    parser.add_argument("--network", nargs="+", default=[figure.id for figure in FIGURES])
    parser.add_argument("--steps", type=int, default=120, help="at most; it stops at Dice 0.93, not before 40")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    for figure in (figure for figure in FIGURES if figure.id in args.network):
        start = time.monotonic()
        images, target = read_patient(args.data / args.patient, figure.modalities, figure.window)
        torch.manual_seed(0)
        network = build(figure.id, modalities=figure.modalities, **figure.arguments)
        steps, dice = learn_by_heart(network, images, target, args.steps, figure.lr)
        draw(figure, network, images, target, args.output / f"attention-{figure.id}.png")
        print(f"{figure.id}: Dice {dice:.3f} on its own patient after {steps} steps, {time.monotonic() - start:.0f} s")


def read_patient(
    folder: Path, modalities: tuple[str, ...], window: tuple[int, int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images `(1, M, *window)` and the contour `(1, 1, *window)`, which is in the middle, at 4 mm; MR as a z-score."""
    contour = sitk.ReadImage(folder / "CT_GTV.nii.gz", sitk.sitkFloat32)
    inside = np.argwhere(sitk.GetArrayViewFromImage(contour) > 0)
    middle = [float(v) for v in (inside.min(0) + inside.max(0))[::-1] / 2]
    centre = np.array(contour.TransformContinuousIndexToPhysicalPoint(middle))
    grid = sitk.Image(window[::-1], sitk.sitkFloat32)
    grid.SetSpacing((SPACING_MM,) * 3)
    grid.SetOrigin((centre - (np.array(window[::-1]) - 1) / 2 * SPACING_MM).tolist())

    def on_grid(image: sitk.Image, outside: float) -> torch.Tensor:
        resampled = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, outside)
        return torch.from_numpy(sitk.GetArrayFromImage(resampled).astype(np.float32))

    channels = []
    for name in modalities:
        image = sitk.ReadImage(folder / f"{name}.nii.gz", sitk.sitkFloat32)
        image = sitk.Normalize(image) if name == "MR" else image
        darkest = float(sitk.GetArrayViewFromImage(image).min())
        channels.append(on_grid(image, OUTSIDE.get(name, darkest)))
    target = (on_grid(contour, 0.0) > 0.5).float()
    return torch.stack(channels)[None], target[None, None]


def learn_by_heart(
    network: torch.nn.Module, images: torch.Tensor, target: torch.Tensor, steps: int, lr: float
) -> tuple[int, float]:
    """Adam on the one window, 40 steps and on until Dice 0.93 in evaluation mode; returns steps and Dice."""
    optimiser = torch.optim.Adam(network.parameters(), lr)
    loss_of: Callable[..., torch.Tensor] = _lesion_loss
    if hasattr(network, "forward_with_organs"):
        loss_of = _organ_aware_loss(network, images)
    elif hasattr(network, "level_weights"):
        loss_of = _loss_of_levels
    dice = 0.0
    for step in range(1, steps + 1):
        network.train()
        optimiser.zero_grad()
        loss_of(network, images, target).backward()
        optimiser.step()
        if step == steps or (step >= 40 and step % 10 == 0):
            dice = _dice(network, images, target)
            if dice > 0.93:
                break
    return step, dice


def _dice(network: torch.nn.Module, images: torch.Tensor, target: torch.Tensor) -> float:
    network.eval()
    with torch.no_grad():
        found = (network(images) > 0).float()
    return float(2 * (found * target).sum() / (found.sum() + target.sum()))


def _lesion_loss(network: torch.nn.Module, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return dice_and_cross_entropy(network(images), target)


def _loss_of_levels(network: Any, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    total = target.new_zeros(())
    for weight, logits in zip(network.level_weights, network.forward_levels(images), strict=True):
        share = torch.nn.functional.adaptive_avg_pool3d(target, logits.shape[2:])
        total = total + weight * dice_and_cross_entropy(logits, share)
    return total


def _organ_aware_loss(network: Any, images: torch.Tensor) -> Callable[..., torch.Tensor]:
    """System C also learns its organ prompts, from the rules on CT."""
    labels = pseudo_labels(ct_tissue_probabilities(images[:, :1]))

    def loss(_network: torch.nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        logits, organs = network.forward_with_organs(x)
        return dice_and_cross_entropy(logits, target) + organ_loss(organs, labels)

    return loss


def draw(figure: Figure, network: torch.nn.Module, images: torch.Tensor, target: torch.Tensor, path: Path) -> None:
    """Both images with the contours (green: reference, orange: network), then the maps with the reference."""
    maps = attention_maps(network, images)
    with torch.no_grad():
        found = (network(images) > 0)[0, 0].numpy()
    reference = target[0, 0].numpy()
    z = int(reference.sum(axis=(1, 2)).argmax())
    margin = max(0, figure.window[1] - SHOWN) // 2
    cut = (z, slice(margin, figure.window[1] - margin), slice(margin, figure.window[2] - margin))
    panels = len(images[0]) + len(figure.maps)
    picture, axes = plt.subplots(1, panels, figsize=(1.9 * panels, 2.45), dpi=90)
    legends = ("green: reference", "orange: network")
    for axis, name, image, legend in zip(axes, figure.modalities, images[0].numpy(), legends, strict=False):
        low, high = WINDOWS[name]
        axis.imshow(image[cut], cmap="gray_r" if name == "PET" else "gray", vmin=low, vmax=high)
        axis.contour(found[cut], [0.5], colors="tab:orange", linewidths=1.2)
        axis.set_title(f"{name}\n{legend}", fontsize=8)
    for axis, (name, title) in zip(axes[len(images[0]) :], figure.maps, strict=True):
        shown = maps[name][0, 0].numpy()[cut]
        low, high = float(shown.min()), float(shown.max())
        axis.imshow(shown, cmap="magma", vmin=low, vmax=high)
        axis.set_title(title, fontsize=8)
        axis.set_xlabel(f"{low:.2g} to {high:.2g}", fontsize=8)
    for axis in axes:
        axis.contour(reference[cut], [0.5], colors="limegreen", linewidths=0.9)
        axis.set_xticks([])
        axis.set_yticks([])
    picture.tight_layout(pad=0.4)
    picture.savefig(path)
    plt.close(picture)


if __name__ == "__main__":
    main()
