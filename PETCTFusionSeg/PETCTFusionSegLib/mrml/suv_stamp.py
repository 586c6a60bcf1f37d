"""One stamp of the SUV brush on a small world grid, with the PET's values read and scaled to SUV."""

from __future__ import annotations

from typing import Any

import numpy as np

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .boxes import RAS_LPS_SIGNS, valuesOnGrid
from .brush_shape import Mask, Triple, alongAxes
from .imports import NodeHandle
from .suv_brush import MARGIN_MM, Brush, SuvRule, paintedVoxels
from .suv_scale import suvScale
from .volumes import petUnitsOfNode


class SuvStamp:
    """Remembers the factor to SUV, because it may come from hundreds of DICOM headers."""

    def __init__(self) -> None:
        self._factor: tuple[NodeHandle, str, float] | None = None

    def margin_mm(self, rule: SuvRule) -> float:
        """What the rule wants to see around the brush."""
        return MARGIN_MM if rule.kind == "gradient" else 0.0

    def voxels(
        self, pet: Any, box: Geometry, centreRas: Triple, radius_mm: float, normalRas: Triple | None, rule: SuvRule
    ) -> Mask:
        """Which voxels (z, y, x) of a small world grid are painted; with a normal only those of its slice.

        Raises `BadInputError` without a PET, and for the fixed rule where its units are unknown.
        """
        if pet is None or pet.GetImageData() is None:
            raise BadInputError(_("The brush needs a PET."), _("Choose a PET first."))
        # Only the fixed rule needs to know what the numbers mean; the others are shares of each other.
        factor = self._suvFactor(pet) if rule.kind == "fixed" else 1.0
        suv = valuesOnGrid(pet, box).astype(np.float32) * np.float32(factor)
        z, y, x = (float(value) for value in box.indices(np.asarray([centreRas]) * RAS_LPS_SIGNS)[0][::-1])
        normal = None if normalRas is None else alongAxes(box, normalRas)
        return paintedVoxels(suv, box.spacing_zyx, Brush((z, y, x), radius_mm, normal), rule)

    def _suvFactor(self, pet: Any) -> float:
        units = str(petUnitsOfNode(pet))
        if self._factor is None or self._factor[0].nodeIn(pet.GetScene()) is not pet or self._factor[1] != units:
            self._factor = (NodeHandle(pet), units, suvScale(pet).factor())
        return self._factor[2]
