from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.models import Code, LabelSpec, ModelCard, Terminology, Training, Weights, write_card

TINY = {"widths": [2, 4], "modalities": ["CT", "PET"]}
SLOW = {"widths": [8, 16, 32], "modalities": ["CT", "PET"]}


def make_model(folder: Path, arguments: dict, patch=(16, 16, 16), overlap: float = 0.5, **changes) -> Path:
    """A model folder with seeded random weights of the real network: what it draws means nothing, how it runs does."""
    import torch
    from safetensors.torch import save_file

    from petctfusion.networks import build

    torch.manual_seed(3)
    folder.mkdir(parents=True)
    weights = folder / "weights.safetensors"
    save_file(build("anatomy_guided", **arguments).state_dict(), weights)
    altered = Code("SCT", "49755003", "Morphologically Altered Structure")
    values = {
        "name": folder.name,
        "version": "1.0",
        "title": "Random weights for tests",
        "network": "anatomy_guided",
        "arguments": arguments,
        "modalities": ("CT", "PET"),
        "units": {"CT": "HU", "PET": "SUVbw"},
        "clip": {"CT": (-1024.0, 1000.0), "PET": (0.0, 25.0)},
        "spacing_mm": (4.0, 4.0, 4.0),
        "patch": patch,
        "labels": (LabelSpec(1, "Tumour", Terminology(altered, Code("SCT", "108369006", "Neoplasm")), (230, 80, 60)),),
        "weights": Weights(
            weights.name, hashlib.sha256(weights.read_bytes()).hexdigest(), "float32", weights.stat().st_size
        ),
        "training": Training("none", "CC0", "nobody", (), "", "", 0),
        "licence": "Apache-2.0",
        "not_for": ("Anything but tests.",),
        "overlap": overlap,
    }
    write_card(ModelCard(**{**values, **changes}), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """Answers in a fraction of a second."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny", TINY)


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory) -> Path:
    """Needs hundreds of short windows, so that there is something to cancel or kill."""
    return make_model(tmp_path_factory.mktemp("models") / "slow", SLOW, overlap=0.9)


def volume(array: np.ndarray, spacing: float, origin: float = 0.0) -> sitk.Image:
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin((origin,) * 3)
    return image


@pytest.fixture(scope="session")
def study() -> dict[str, sitk.Image]:
    """CT at 3 mm and PET at 5 mm of the same 120 mm cube: soft tissue with a hot ball."""
    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, 24)
    radius = np.sqrt(grid[:, None, None] ** 2 + grid[None, :, None] ** 2 + grid[None, None, :] ** 2)
    pet = np.where(radius < 0.4, 8.0, 1.0) + rng.normal(0, 0.2, radius.shape)
    return {"CT": volume(rng.normal(40, 20, (40, 40, 40)), 3.0, 1.5), "PET": volume(pet, 5.0, 2.5)}


@pytest.fixture
def environment() -> dict[str, str]:
    """One thread, so that the tests do not depend on the machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
