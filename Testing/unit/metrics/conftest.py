from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.volumes.geometry import Geometry


@pytest.fixture(scope="session")
def oracles() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metric_oracles", Path(__file__).parent / "oracles.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sts() -> Path:
    root = Path(os.environ.get("PETCTFUSION_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data") / "sts"
    if not root.is_dir():
        pytest.skip(f"no real patients in {root}: set PETCTFUSION_DATA")
    return root


@pytest.fixture
def oblique() -> Geometry:
    """A turned, mirrored, anisotropic grid, so that a swapped axis or sign cannot pass."""
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1.0]])
    return Geometry((34, 30, 22), (1.1, 1.7, 3.3), (-12.0, 40.0, 7.0), tuple(turn.ravel()))


@pytest.fixture
def ball():
    """`ball(grid, centre, radius)`: an image whose voxel centres within `radius` mm of `centre` (LPS) are 1."""

    def make(grid: Geometry, centre, radius: float) -> sitk.Image:
        index = np.argwhere(np.ones(grid.shape, bool))[:, ::-1].astype(float)
        near = np.linalg.norm(grid.points(index) - np.asarray(centre), axis=1) <= radius
        return grid.image(near.reshape(grid.shape).astype(np.uint8))

    return make
