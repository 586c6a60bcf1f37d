"""What `petctfusion segment` tells: one object for scripts, a few lines for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.evaluation.definitions import DICE, HD95
from petctfusion.metrics import Comparison, Lesion

DEFINITION = f"Dice = {DICE}, both empty 1, one empty 0. HD95 = {HD95}; one empty: null, both empty: 0."


@dataclass(frozen=True)
class MapFile:
    """A volume that explains the result: attention in the network's own numbers, or uncertainty in percent of a bit."""

    file: Path
    name: str
    kind: str
    model: str
    spacing_mm: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "file": str(self.file), "spacing_mm": list(self.spacing_mm)}


@dataclass(frozen=True)
class SegmentResult:
    """One finished run; paths are absolute. `members`: the models of an ensemble, empty for a single one."""

    segmentation: Path
    segmentation_slicer: Path
    probability: Path | None
    maps: list[MapFile]
    grid: str
    volume_ml: float
    lesions: list[Lesion]
    pet_units: str
    model: str
    members: list[str]
    device: str
    seconds: float
    comparison: Comparison | None
    notes: list[str]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """The object of `--json`; `dice`, `hd95_mm` and `hd95_note` only with a reference."""
        values: dict[str, Any] = {
            "segmentation": str(self.segmentation),
            "segmentation_slicer": str(self.segmentation_slicer),
            "probability": None if self.probability is None else str(self.probability),
            "maps": [one.to_json() for one in self.maps],
            "grid": self.grid,
            "volume_ml": self.volume_ml,
            "lesions": [lesion.to_json() for lesion in self.lesions],
            "pet_units": self.pet_units,
            "model": self.model,
            "members": self.members,
            "device": self.device,
            "seconds": round(self.seconds, 3),
            "notes": self.notes,
            "warnings": self.warnings,
        }
        if self.comparison is not None:
            values |= comparison_values(self.comparison)
        return values

    def lines(self) -> list[str]:
        """The same in words."""
        lines = [f"Volume        {self.volume_ml:.1f} ml in {_count(len(self.lesions), 'lesion')}"]
        for lesion in self.lesions:
            uptake = "no PET there" if lesion.suv_max is None else f"SUVmax {lesion.suv_max:.1f}"
            lines.append(f"  lesion {lesion.id:<4} {lesion.volume_ml:8.1f} ml  {uptake}")
        if self.comparison is not None:
            lines += comparison_lines(self.comparison)
        return [
            *lines,
            f"PET units     {self.pet_units}",
            f"Model         {self.model} on {self.device}, {self.seconds:.1f} s",
            *([f"  members     {', '.join(self.members)}"] if self.members else []),
            f"NIfTI         {self.segmentation}",
            f"Slicer        {self.segmentation_slicer}",
            *([] if self.probability is None else [f"Probability   {self.probability}"]),
            *([f"Maps          {len(self.maps)} in {self.maps[0].file.parent}"] if self.maps else []),
        ]


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """Dice and HD95 for JSON; `hd95_note` is always there, null when HD95 is a number."""
    values = comparison.to_json()
    # The result's own "volume_ml" and "lesions" are those of the segmentation.
    renamed = {"prediction_volume_ml": values.pop("volume_ml"), "lesion_matching": values.pop("lesions")}
    return {"hd95_note": None, **values, **renamed, "definition": DEFINITION}


def comparison_lines(comparison: Comparison) -> list[str]:
    """Dice, HD95 and volumes in words."""
    finite = math.isfinite(comparison.hd95_mm)
    distance = f"{comparison.hd95_mm:.1f} mm" if finite else f"none ({comparison.hd95_note})"
    return [
        f"Dice          {comparison.dice:.3f}",
        f"HD95          {distance}",
        f"Reference     {comparison.reference_volume_ml:.1f} ml",
    ]


def comparison_warnings(comparison: Comparison) -> list[str]:
    """What a reader of the numbers must know."""
    warnings = []
    if comparison.reference_volume_ml == 0:
        warnings.append("The reference is empty: there is nothing to measure a distance to.")
    elif comparison.volume_ml == 0:
        warnings.append("The segmentation is empty: no tumour was found.")
    if comparison.outside_ml > 0:
        warnings.append(f"{comparison.outside_ml:.1f} ml lie outside the reference's field of view and are not judged.")
    return warnings


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
