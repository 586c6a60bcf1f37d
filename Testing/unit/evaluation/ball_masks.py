"""A small grid and balls on it; and what spawned processes import, which know no conftest."""

from __future__ import annotations

import os

import numpy as np

from petctfusion.evaluation import Failure, Pair, Settings
from petctfusion.volumes import Geometry

GRID = Geometry((24, 22, 14), (2.0, 2.0, 3.0), (-20.0, -30.0, 100.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))


def ball(shift: int = 0, radius_mm: float = 10.0) -> np.ndarray:
    """A ball in the middle of the grid, `shift` voxels along x."""
    z, y, x = np.meshgrid(np.arange(14) * 3.0, np.arange(22) * 2.0, np.arange(24) * 2.0, indexing="ij")
    inside = (z - 20) ** 2 + (y - 21) ** 2 + (x - 21 - 2.0 * shift) ** 2 <= radius_mm**2
    return inside.astype(np.uint8)


def outcome_that_kills(pair: Pair, settings: Settings) -> Failure:
    """Ends its process for patient P2, as a damaged file may do inside a C++ library."""
    if pair.patient == "P2":
        os._exit(9)
    return Failure(pair.patient, "reached")
