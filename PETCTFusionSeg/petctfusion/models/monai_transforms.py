"""What a bundle's preprocessing does to CT and PET, as far as a card can say it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from petctfusion.errors import ModelError
from petctfusion.models.fields import Fields
from petctfusion.models.foreign import NO_CLIP, modality_of
from petctfusion.models.normalisation import SMALLEST_STD, Normalisation

# Reading, channel order and number format: done here in any case.
_WITHOUT_EFFECT = ("LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "ToTensord", "ConcatItemsd", "DeleteItemsd")
_ORIENTATIONS = ("RAS", "LPS")
Range = tuple[float, float]


@dataclass(frozen=True)
class Preprocessing:
    """Axis codes, spacing in mm (x, y, z), and by modality the clip and the scaling after it."""

    orientation: str
    spacing_xyz_mm: tuple[float, float, float]
    clip: dict[str, Range]
    normalisation: dict[str, Normalisation]


def read_preprocessing(steps: Sequence[tuple[str, Fields]], modalities: Sequence[str]) -> Preprocessing:
    """The steps in the words of a card. Raises `ModelError` for one that is not supported."""
    orientation, spacing = "", (0.0, 0.0, 0.0)
    scaled: dict[str, tuple[Range, Normalisation]] = {}
    for name, step in steps:
        if name in _WITHOUT_EFFECT:
            continue
        if name == "Orientationd":
            orientation = step.text("axcodes")
        elif name == "Spacingd":
            x, y, z = step.numbers("pixdim", 3, low=1e-3)
            spacing = (x, y, z)
        else:
            named = _named(step, modalities)
            scaling = _scaling(name, step, is_joint=not named)
            for kind in named or modalities:
                if kind in scaled:
                    raise ModelError(f"The bundle scales its {kind} twice.", "One scaling a modality is supported.")
                scaled[kind] = scaling
    if orientation not in _ORIENTATIONS or 0.0 in spacing:
        raise ModelError(
            "The bundle's preprocessing does not bring its volumes to one orientation and spacing.",
            f"Only bundles with Spacingd and Orientationd to {' or '.join(_ORIENTATIONS)} are supported.",
        )
    unscaled = (NO_CLIP, Normalisation("none"))
    return Preprocessing(
        orientation,
        spacing,
        {kind: scaled.get(kind, unscaled)[0] for kind in modalities},
        {kind: scaled.get(kind, unscaled)[1] for kind in modalities},
    )


def _named(step: Fields, modalities: Sequence[str]) -> list[str]:
    """The modalities that a step's keys name; none where one key holds all channels."""
    keys = step.value("keys")
    named = [modality_of(str(key)) for key in (keys if isinstance(keys, list) else [keys])]
    found = [kind for kind in modalities if kind in named]
    if found and len(found) != len(named):
        raise step.error("keys", "names a modality beside other things")
    return found


def _scaling(name: str, step: Fields, is_joint: bool) -> tuple[Range, Normalisation]:
    if name == "ScaleIntensityRanged":
        return _range(step)
    is_joint = is_joint and step.values.get("channel_wise") is not True
    if name == "NormalizeIntensityd" and not step.values.get("nonzero", False):
        if step.values.get("subtrahend") is not None or step.values.get("divisor") is not None:
            return NO_CLIP, Normalisation("fixed", step.number("subtrahend"), step.number("divisor", low=SMALLEST_STD))
        if not is_joint:
            return NO_CLIP, Normalisation("z_score")
    if name == "ScaleIntensityd" and set(step.values) <= {"keys", "minv", "maxv", "channel_wise"} and not is_joint:
        low = step.number("minv") if "minv" in step.values else 0.0
        high = step.number("maxv") if "maxv" in step.values else 1.0
        if (low, high) == (0.0, 1.0):
            return NO_CLIP, Normalisation("unit_range")
    raise ModelError(
        f"The bundle's preprocessing uses {name} in a way that is not supported.",
        "Supported: ScaleIntensityRanged, NormalizeIntensityd and ScaleIntensityd of each channel by itself.",
    )


def _range(step: Fields) -> tuple[Range, Normalisation]:
    """`b_min + (v - a_min) / (a_max - a_min) * (b_max - b_min)` as an offset and a divisor."""
    low, high = step.number("a_min"), step.number("a_max")
    first = step.number("b_min") if step.values.get("b_min") is not None else None
    last = step.number("b_max") if step.values.get("b_max") is not None else None
    if first is None or last is None or high <= low or last <= first:
        raise step.error("a_min", "with a_max, b_min and b_max does not map one range to another")
    divisor = (high - low) / (last - first)
    return ((low, high) if step.values.get("clip") is True else NO_CLIP), Normalisation(
        "fixed", low - first * divisor, divisor
    )
