"""One method on one study, as numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import SimpleITK as sitk

from petctfusion.metrics import compare
from petctfusion.training.benchmark.study import Study

# Of every NSD here, whatever the voxels.
NSD_TOLERANCE_MM = 3.0


@dataclass(frozen=True)
class Row:
    """One method on one study, compared on the CT grid with `metrics.compare` (18-connected lesions).

    `hd95_mm` is infinite where a contour is missing; `nsd` has a tolerance of 3 mm; `seconds` is the wall time of the
    whole way from the study in memory to the mask on the CT grid.
    """

    method: str
    crop: str
    patient: str
    dice: float
    hd95_mm: float
    nsd: float
    lesion_f1: float
    fpv_ml: float
    fnv_ml: float
    volume_ml: float
    reference_volume_ml: float
    seconds: float

    @property
    def volume_error(self) -> float | None:
        """|volume - reference| / reference; None without a reference."""
        if not self.reference_volume_ml:
            return None
        return abs(self.volume_ml - self.reference_volume_ml) / self.reference_volume_ml

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinity: no contour is null."""
        return {**asdict(self), "hd95_mm": self.hd95_mm if math.isfinite(self.hd95_mm) else None}

    @classmethod
    def from_json(cls, values: Any) -> Row:
        """What `to_json` gave. Raises `ValueError` for anything else."""
        if not isinstance(values, dict) or set(values) != {f.name for f in fields(cls)}:
            raise ValueError("a row has other columns than this version writes")
        if values["hd95_mm"] is None:
            values = {**values, "hd95_mm": math.inf}
        for f in fields(cls):
            value = values[f.name]
            if type(value) not in ((str,) if f.type == "str" else (int, float)):
                raise ValueError(f"{values['patient']} has {value!r} for {f.name}")
        return cls(**values)


def row_of(method: str, study: Study, mask: sitk.Image, seconds: float) -> Row:
    """`mask` (any grid) against the study's contour."""
    comparison = compare(mask, study.contour, tolerance_mm=NSD_TOLERANCE_MM)
    return Row(
        method=method,
        crop=study.crop,
        patient=study.patient,
        dice=comparison.dice,
        hd95_mm=comparison.hd95_mm,
        nsd=comparison.nsd,
        lesion_f1=comparison.lesions.f1,
        fpv_ml=comparison.fpv_ml,
        fnv_ml=comparison.fnv_ml,
        volume_ml=comparison.volume_ml,
        reference_volume_ml=comparison.reference_volume_ml,
        seconds=seconds,
    )
