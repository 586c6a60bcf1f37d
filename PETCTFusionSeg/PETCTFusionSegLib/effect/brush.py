"""The SUV brush: paints the voxels under the mouse that pass the PET rule, on a small box around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import RAS_LPS_SIGNS, valuesOnGrid
from PETCTFusionSegLib.mrml.imports import NodeHandle
from PETCTFusionSegLib.mrml.suv_brush import MARGIN_MM, Brush, paintedVoxels
from PETCTFusionSegLib.mrml.suv_scale import suvScale
from PETCTFusionSegLib.mrml.volumes import petUnitsOfNode

from .edits import SegmentEdits
from .options import EffectOptions

Point = tuple[float, float, float]


class SuvBrush:
    """One stroke after the other; a stroke is one step of undo."""

    def __init__(self, edits: SegmentEdits) -> None:
        self._edits = edits
        self._factor: tuple[NodeHandle, str, float] | None = None

    def stamp(self, options: EffectOptions, point: Point, normal: Point | None) -> None:
        """Paint at a world point (RAS mm), with a `normal` (RAS) only in its slice. Raises `BadInputError`."""
        pet = options.pet
        if pet is None or pet.GetImageData() is None:
            raise BadInputError(_("The brush needs a PET."), _("Choose it in the effect's options."))
        target = self._edits.target()
        grid = self._edits.grid(target)
        centre = np.asarray([point]) * RAS_LPS_SIGNS
        radius_mm = options.diameterMm / 2
        box = grid.around(centre, radius_mm + (MARGIN_MM if options.rule.kind == "gradient" else 0.0))
        if box is None:
            raise BadInputError(_("This place lies outside the segmentation's grid."), _("Paint inside the volume."))
        geometry = grid.geometry(box)
        # Only the fixed rule needs to know what the numbers mean; the others are shares of each other.
        factor = self._suvFactor(pet) if options.rule.kind == "fixed" else 1.0
        suv = valuesOnGrid(pet, geometry).astype(np.float32) * np.float32(factor)
        z, y, x = (float(value) for value in geometry.indices(centre)[0][::-1])
        brush = Brush((z, y, x), radius_mm, None if normal is None else _along(geometry.axes, normal))
        self._edits.paint(target, grid, box, paintedVoxels(suv, geometry.spacing_zyx, brush, options.rule))

    def _suvFactor(self, pet: Any) -> float:
        """Remembered, because it may come from hundreds of DICOM headers."""
        units = str(petUnitsOfNode(pet))
        if self._factor is None or self._factor[0].nodeIn(pet.GetScene()) is not pet or self._factor[1] != units:
            self._factor = (NodeHandle(pet), units, suvScale(pet).factor())
        return self._factor[2]


def _along(axes: NDArray[np.float64], normal: Point) -> Point:
    """A RAS direction as a unit vector along an array's axes (z, y, x)."""
    x, y, z = axes.T @ (np.asarray(normal) * RAS_LPS_SIGNS)
    length = float(np.linalg.norm([x, y, z]))
    return float(z / length), float(y / length), float(x / length)
