"""The single lesions of a mask: connected components with their volume, uptake and place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.metrics.components import Components, find_components, label_lesions
from petctfusion.metrics.uptake import Uptake, lesion_uptake
from petctfusion.volumes.geometry import Geometry

__all__ = ["Lesion", "label_lesions", "lesion_rows", "lesion_table"]


@dataclass(frozen=True)
class Lesion:
    """One connected component. The SUVs are None without a PET, or where the PET does not reach (`uptake.Uptake`)."""

    id: int
    volume_ml: float
    suv_max: float | None
    suv_mean: float | None
    centre_mm: tuple[float, float, float]
    """Mean of the voxel centres, LPS."""
    suv_peak: float | None = None
    """Highest mean of a 1 ml sphere centred on a voxel of the lesion."""

    @property
    def mtv_ml(self) -> float:
        """Metabolic tumour volume, ml: the volume of the contour on its own grid, by whatever rule it was drawn."""
        return self.volume_ml

    @property
    def tlg(self) -> float | None:
        """Total lesion glycolysis: SUVmean times MTV, in SUV x ml (Larson et al., Clin Positron Imaging 2(3), 1999)."""
        return None if self.suv_mean is None else self.suv_mean * self.mtv_ml

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields and properties."""
        return {**asdict(self), "centre_mm": list(self.centre_mm), "mtv_ml": self.mtv_ml, "tlg": self.tlg}


def lesion_table(mask: sitk.Image, suv: sitk.Image | None, connectivity: int = 18) -> list[Lesion]:
    """The lesions of `mask` (non-zero voxels, 3-D), largest first.

    The uptake is read from `suv` (SUVbw, any grid) at the PET voxels whose centres lie in the lesion, so that `suv_max`
    is a value of the PET itself; a lesion that holds no PET voxel centre is read by linear interpolation at the centres
    of its own voxels. An empty mask has no lesions. Raises `BadInputError` as `find_components` and `lesion_uptake` do.
    """
    if mask.GetDimension() != 3:
        raise BadInputError(f"A mask with {mask.GetDimension()} dimensions has no 3-D lesions.", "Give a 3-D mask.")
    return lesion_rows(find_components(sitk.GetArrayViewFromImage(mask), connectivity), Geometry.of(mask), suv)


def lesion_rows(lesions: Components, grid: Geometry, suv: sitk.Image | None) -> list[Lesion]:
    """`lesion_table` for components already found; `grid` is that of their mask."""
    if not lesions.count:
        return []
    uptake = [Uptake()] * lesions.count if suv is None else lesion_uptake(lesions, grid, suv)
    volumes = (np.asarray(lesions.sizes) * grid.voxel_ml).tolist()
    centres = grid.points(lesions.centres[:, ::-1]).tolist()
    return [
        Lesion(number, volume, read.suv_max, read.suv_mean, (x, y, z), read.suv_peak)
        for number, volume, read, (x, y, z) in zip(lesions.ids, volumes, uptake, centres, strict=True)
    ]
