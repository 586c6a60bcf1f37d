"""The SUV brush: paints the voxels under the mouse that pass the PET rule, on a small box around it."""

from __future__ import annotations

import numpy as np

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import RAS_LPS_SIGNS
from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp

from .edits import SegmentEdits
from .options import EffectOptions

Point = tuple[float, float, float]


class SuvBrush:
    """One stroke after the other; a stroke is one step of undo."""

    def __init__(self, edits: SegmentEdits) -> None:
        self._edits = edits
        self._stamp = SuvStamp()

    def stamp(self, options: EffectOptions, point: Point, normal: Point | None) -> None:
        """Paint at a world point (RAS mm), with a `normal` (RAS) only in its slice. Raises `BadInputError`."""
        target = self._edits.target()
        grid = self._edits.grid(target)
        radius_mm = options.diameterMm / 2
        centre = np.asarray([point]) * RAS_LPS_SIGNS
        box = grid.around(centre, radius_mm + self._stamp.margin_mm(options.rule))
        if box is None:
            raise BadInputError(_("This place lies outside the segmentation's grid."), _("Paint inside the volume."))
        mask = self._stamp.voxels(options.pet, grid.geometry(box), point, radius_mm, normal, options.rule)
        self._edits.paint(target, grid, box, mask)
