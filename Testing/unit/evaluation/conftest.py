"""Masks on disk, in folders of patients."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parent))
from ball_masks import GRID, ball

from petctfusion.volumes import Geometry

Writer = Callable[..., Path]


@pytest.fixture
def write() -> Writer:
    """Writes an array as an image, folders included."""

    def written(path: Path, array: np.ndarray, grid: Geometry = GRID) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(grid.image(array), str(path))
        return path

    return written


@pytest.fixture
def cohort(tmp_path: Path, write: Writer) -> tuple[Path, Path]:
    """P1 to P5 and P10; P3's prediction is empty, P4's is no image, P5 has no prediction, P10 no reference."""
    for name, shift in (("P1", 0), ("P2", 1), ("P3", 0), ("P4", 0), ("P5", 2)):
        write(tmp_path / "ref" / f"{name}.nii.gz", ball())
        if name != "P5":
            write(tmp_path / "pred" / f"{name}.nrrd", ball(shift) * (name != "P3"))
    (tmp_path / "pred" / "P4.nrrd").write_bytes(b"not an image at all")
    write(tmp_path / "pred" / "P10.nrrd", ball())
    return tmp_path / "pred", tmp_path / "ref"
