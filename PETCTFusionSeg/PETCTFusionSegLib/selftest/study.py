"""A small study as nodes: a body with one hot ball, CT and PET on different grids, and the ball as reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.models import Code, LabelSpec, Terminology
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, referenceMask
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

BALL_CENTRE_MM = np.array([20.0, -10.0, 5.0])
BALL_RADIUS_MM = 22.0
_BODY_RADII_MM = np.array([125.0, 100.0, 400.0])
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_REFERENCE = LabelSpec(
    1,
    "Reference",
    Terminology(Code("SCT", "49755003", "Morphologically Altered Structure"), Code("SCT", "108369006", "Neoplasm")),
    (40, 200, 120),
)


@dataclass(frozen=True)
class StudyNodes:
    """The nodes of the study."""

    ct: Any
    pet: Any
    reference: Any


def addStudy(scene: Any, unitsKnown: bool = True) -> StudyNodes:
    """Put the study into the scene; with `unitsKnown` False the PET node does not say that it is SUV."""
    ctGrid = _grid(64, 4.5)
    petGrid = _grid(58, 5.0)
    ct = ctGrid.image(np.where(_body(ctGrid), 40.0, -1000.0).astype(np.int16))
    pet = petGrid.image((0.1 + 0.9 * _body(petGrid) + 9.0 * _ball(petGrid)).astype(np.float32))
    truth = ctGrid.image(_ball(ctGrid).astype(np.uint8))
    ctNode = volumeNodeFromImage(scene, ct, "Story CT", "CT")
    petNode = volumeNodeFromImage(scene, pet, "Story PET", "PET" if unitsKnown else "MR")
    reference = createSegmentation(scene, truth, [_REFERENCE], ctNode, "Story reference", {})
    return StudyNodes(ctNode, petNode, reference)


def _grid(size: int, spacing: float) -> Geometry:
    origin = -(size - 1) / 2 * spacing
    return Geometry((size, size, size), (spacing,) * 3, (origin,) * 3, _IDENTITY)


def _distance(grid: Geometry, centre: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance from `centre` in units of `radii` (x, y, z), by axes that broadcast."""
    x, y, z = ((grid.origin[i] + grid.spacing[i] * np.arange(grid.size[i]) - centre[i]) / radii[i] for i in range(3))
    distance: NDArray[np.float64] = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2
    return distance


def _body(grid: Geometry) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = _distance(grid, np.zeros(3), _BODY_RADII_MM) < 1
    return inside


def _ball(grid: Geometry) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = _distance(grid, BALL_CENTRE_MM, np.full(3, BALL_RADIUS_MM)) < 1
    return inside


def imageOfReference(study: StudyNodes) -> sitk.Image:
    """The ball as a mask on the CT's grid."""
    return referenceMask(study.reference, study.ct)
