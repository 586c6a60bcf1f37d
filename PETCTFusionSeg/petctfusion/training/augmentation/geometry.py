"""Flips, rotation, zoom and bending in mm: where each voxel of a patch looks in the case; one resampling does all."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from petctfusion.training.augmentation.settings import AXES, Augmentation

_KNOTS = (5, 5, 5)
Triple = tuple[float, float, float]


def sampling_points(
    patch: tuple[int, int, int],
    centre: NDArray[np.float64],
    spacing_mm: Triple,
    settings: Augmentation,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Where the voxels of `patch` look, (z, y, x, 3) in (z, y, x) index units of the case, float32.

    `centre` (3,) is where the middle of the patch looks. Rotation, zoom and bending are those of the body, in mm: on a
    grid with unequal spacing a ball stays a ball.
    """
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    points = offsets @ in_index_units(_turned_and_zoomed(settings, rng), spacing_mm)
    if rng.random() < settings.elastic_probability:
        points = points + _bending(patch, spacing_mm, settings.elastic_mm, rng)
    return points + torch.from_numpy(centre.astype(np.float32))


def in_index_units(matrix_mm: NDArray[np.float64], spacing_mm: Triple) -> torch.Tensor:
    """A linear map of mm as one of index units; multiply points (..., 3) by it from the right."""
    spacing = np.asarray(spacing_mm)
    matrix = np.diag(1 / spacing) @ matrix_mm @ np.diag(spacing)
    return torch.from_numpy(matrix.T.astype(np.float32))


def rotation(angles_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations about z, y and x by `angles_rad` (3,), multiplied in this order, (3, 3)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles_rad):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def _turned_and_zoomed(s: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    matrix = rotation(np.deg2rad(rng.uniform(-1, 1, 3) * s.rotation_deg))
    scale = np.exp(rng.uniform(*np.log(s.zoom)))
    mirrored = rng.choice([-1.0, 1.0], 3)
    may_be = np.array([axis in s.flip_axes for axis in AXES])
    return np.asarray(matrix @ np.diag(scale * np.where(may_be, mirrored, 1.0)))


def _bending(
    patch: tuple[int, int, int], spacing_mm: Triple, elastic_mm: float, rng: np.random.Generator
) -> torch.Tensor:
    spacing = np.asarray(spacing_mm).reshape(1, 3, 1, 1, 1)
    knots = rng.normal(0.0, elastic_mm, (1, 3, *_KNOTS)).astype(np.float32) / spacing
    field = torch.nn.functional.interpolate(
        torch.from_numpy(knots.astype(np.float32)), size=patch, mode="trilinear", align_corners=True
    )
    return field[0].permute(1, 2, 3, 0)
