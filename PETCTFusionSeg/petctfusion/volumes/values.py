"""What grey values tell: Hounsfield units, SUV, or something else.

Limits were set on real CT and PET crops of limbs and trunk and on the ranges the units allow: water is 0 HU and air
-1000 HU by definition, and an activity concentration is not negative.
"""

from __future__ import annotations

from petctfusion.volumes.grid import CT_AIR_HU
from petctfusion.volumes.statistics import Statistics
from petctfusion.volumes.verdict import Finding

_CT_LIKE_SHARE = 1e-3
_MOST_SUV = 200.0
_LEAST_CT_SPAN_HU = 50.0
_UNSIGNED_LEVEL = 700.0
_WATER_LIKE = (15.0, 700.0)
_BRIGHTER_THAN_BONE = 3500.0
_LOW_SUV = 0.2
_LEAST_SUV = -5.0


def looks_like_ct(values: Statistics) -> bool:
    """More than one voxel in a thousand below -20: fat and air do that, no PET does."""
    return values.share_below_minus_20 > _CT_LIKE_SHARE


def looks_like_pet(values: Statistics) -> bool:
    """Nothing negative, most of it near 0, no more than an SUV reaches: not a CT, not even of soft tissue alone."""
    return values.lowest >= -0.5 and values.median < 15 and values.high < _MOST_SUV


def _looks_unsigned(values: Statistics) -> bool:
    """None negative, with air at 0 or tissue near 1000. A crop of muscle and bone alone has a median of 20 to 100."""
    bright = values.high > _UNSIGNED_LEVEL and not _WATER_LIKE[0] <= values.median <= _WATER_LIKE[1]
    return values.lowest >= 0 and (bright or values.high > _BRIGHTER_THAN_BONE)


def ct_findings(values: Statistics) -> list[Finding]:
    """Whether these can be Hounsfield units."""
    hint = "Export the CT with its rescale applied (HU)."
    if _looks_unsigned(values):
        message = (
            f"The CT is not in HU: its values lie between {values.lowest:g} and {values.highest:g}, none negative "
            "(stored numbers without their rescale intercept?)."
        )
        return [Finding("refuse", "CT", message, hint)]
    if values.high - values.low < _LEAST_CT_SPAN_HU and values.median < 15:
        message = (
            f"The CT is not in HU: its values span only {values.lowest:.4g} to {values.highest:.4g} (normalised?)."
        )
        return [Finding("refuse", "CT", message, hint)]
    if values.lowest < CT_AIR_HU:
        message = f"CT values below {CT_AIR_HU:g} HU (down to {values.lowest:g}) are padding and count as air."
        return [Finding("note", "CT", message)]
    return []


def pet_findings(values: Statistics) -> list[Finding]:
    """Whether these can be SUV by body weight."""
    if values.high > _MOST_SUV:
        message = (
            f"The PET is implausible as SUV (99.9th percentile {values.high:.4g}, above {_MOST_SUV:g}): "
            "it looks like Bq/ml or counts."
        )
        return [Finding("refuse", "PET", message, "Give the PET as its DICOM series, or convert it to SUVbw first.")]
    if values.highest <= 0:
        return [Finding("refuse", "PET", "The PET holds no positive value.", "Choose the PET in SUV.")]
    if values.low < _LEAST_SUV:
        message = f"The PET is not in SUV: it holds values down to {values.lowest:.4g}."
        return [Finding("refuse", "PET", message, "Choose the PET in SUV.")]
    findings = []
    if values.lowest < 0:
        message = f"The PET holds negative values (down to {values.lowest:.3g}), as some reconstructions do."
        findings.append(Finding("note", "PET", message))
    if values.high < _LOW_SUV:
        message = f"The PET is very low for SUV (99.9th percentile {values.high:.3g}): are the units right?"
        findings.append(Finding("note", "PET", message))
    return findings
