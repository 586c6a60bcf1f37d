"""One modality out of place against the other: a small rigid motion, as between the CT and the minutes of a PET.

The modality that the contour was drawn on stays, and the contour with it. After "Misalign2" of LesionTracer
(arXiv 2409.09478), in mm and degrees instead of voxels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from petctfusion.training.augmentation.geometry import Triple, in_index_units, rotation
from petctfusion.training.augmentation.settings import Augmentation


def misregistered(
    points: torch.Tensor,
    centre: NDArray[np.float64],
    spacing_mm: Triple,
    settings: Augmentation,
    rng: np.random.Generator,
) -> torch.Tensor:
    """The sampling `points` (..., 3), in index units, of a modality shifted and turned about `centre` (3,)."""
    s = settings
    # What is off draws nothing: recipes from before an option keep their weights.
    if s.misregistration_probability < 1 and rng.random() >= s.misregistration_probability:
        return points
    if s.misregistration_deg > 0:
        turn = rotation(np.deg2rad(rng.normal(0.0, s.misregistration_deg / 2, 3)))
        middle = torch.from_numpy(centre.astype(np.float32))
        points = (points - middle) @ in_index_units(turn, spacing_mm) + middle
    if s.misregistration_mm > 0:
        shift = rng.normal(0.0, s.misregistration_mm / 2, 3) / np.asarray(spacing_mm)
        points = points + torch.from_numpy(shift.astype(np.float32))
    return points
