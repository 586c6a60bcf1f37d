from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from petctfusion.inference.model import LoadedModel
from petctfusion.models import Code, LabelSpec, ModelCard, Terminology, Training, Weights


def make_card(labels: int = 1, **changes) -> ModelCard:
    code = Code("SCT", "108369006", "Neoplasm")
    values = {
        "name": "fake",
        "version": "1.0",
        "title": "A network whose answer is known",
        "network": "anatomy_guided",
        "arguments": {},
        "modalities": ("CT", "PET"),
        "units": {"CT": "HU", "PET": "SUVbw"},
        "clip": {"CT": (-1000.0, 1000.0), "PET": (0.0, 25.0)},
        "spacing_mm": (4.0, 4.0, 4.0),
        "patch": (16, 16, 16),
        "labels": tuple(
            LabelSpec(n + 1, f"Label {n + 1}", Terminology(code, code), (230, 80, 60)) for n in range(labels)
        ),
        "weights": Weights("weights.safetensors", "0" * 64, "float32", 1),
        "training": Training("none", "CC0", "nobody", (), "", "", 0),
        "licence": "Apache-2.0",
        "not_for": ("Anything but tests.",),
    }
    return ModelCard(**{**values, **changes})


class HotPet(nn.Module):
    """Says what it is asked to: the logit is the SUV's distance from `level`, voxel by voxel."""

    divisor = 4

    def __init__(self, *levels: float) -> None:
        super().__init__()
        self.levels = levels or (3.0,)
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return torch.cat([4.0 * (x[:, 1:2] - level) for level in self.levels], dim=1)


@pytest.fixture
def hot() -> HotPet:
    return HotPet().eval()


@pytest.fixture
def model(hot) -> LoadedModel:
    return LoadedModel(make_card(), hot, "cpu")


def volume(array: np.ndarray, spacing: float, origin: float) -> sitk.Image:
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin((origin,) * 3)
    return image


@pytest.fixture
def study() -> dict[str, sitk.Image]:
    """CT at 2 mm, PET at 4 mm of the same 128 mm cube; a ball of radius 20 mm with SUV 8 in a background of 1."""
    centres = (np.arange(32) + 0.5) * 4.0 - 64.0
    radius = np.sqrt(centres[:, None, None] ** 2 + centres[None, :, None] ** 2 + centres[None, None, :] ** 2)
    return {
        "CT": volume(np.full((64, 64, 64), 40.0), 2.0, 1.0),
        "PET": volume(np.where(radius <= 20.0, 8.0, 1.0), 4.0, 2.0),
    }
