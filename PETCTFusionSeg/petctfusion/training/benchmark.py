"""A model's table: the whole pipeline from files on disk, on the CT grid, beside SUV rules and a blind ellipsoid."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from petctfusion.evaluation import statistics
from petctfusion.inference import LoadedModel, SegmentOptions, segment_study
from petctfusion.metrics import Comparison, compare
from petctfusion.models import MetricRow
from petctfusion.training.baselines import BLIND_MARGIN_MM, RULES, apply_rule, blind_ellipsoid
from petctfusion.training.datasets.sts import CROPS, Crop, StsPatient, recrop
from petctfusion.volumes import check_study, read_ct, read_mask, read_pet
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import PET_AIR_SUV, resample_image

BLIND = "blind ellipsoid"


@dataclass(frozen=True)
class Study:
    """One patient in one crop: CT in HU, PET in SUVbw, contour on the CT grid."""

    patient: str
    crop: Crop
    ct: sitk.Image
    pet: sitk.Image
    contour: sitk.Image


@dataclass(frozen=True)
class Row:
    """One method on one study. `hd95_mm` is infinite where a contour is missing."""

    method: str
    crop: str
    patient: str
    dice: float
    hd95_mm: float
    volume_ml: float
    reference_volume_ml: float

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinity: no contour is null."""
        return {**asdict(self), "hd95_mm": self.hd95_mm if math.isfinite(self.hd95_mm) else None}


@dataclass(frozen=True)
class Summary:
    """Means of a method over the studies of one crop; HD95 over the finite ones, `missing` says how many were not."""

    method: str
    crop: str
    patients: int
    dice: float
    dice_median: float
    dice_lowest: float
    hd95_mm: float
    missing: int


def load_studies(patients: Iterable[StsPatient], crops: Iterable[Crop] = CROPS) -> Iterable[Study]:
    """Each patient from the files on disk, as it is and re-cropped. Raises `BadInputError` for a refused study."""
    wanted = tuple(crops)
    for patient in patients:
        ct, contour = read_ct(patient.file("CT")), read_mask(patient.file("CT_GTV"))
        pet = read_pet(patient.file("PET")).image
        for crop in wanted:
            images = [ct, pet, contour] if crop == "as-is" else recrop(patient, [ct, pet, contour])
            check_study(*images).raise_if_refused()
            yield Study(patient.name, crop, *images)


def measure_model(study: Study, model: LoadedModel, method: str, options: SegmentOptions) -> Row:
    """The row of a network."""
    result = segment_study({"CT": study.ct, "PET": study.pet}, model, options)
    return _row(method, study, result.labels)


def measure_baselines(study: Study) -> list[Row]:
    """The rows of the blind ellipsoid and of every SUV rule, the PET interpolated to the CT grid."""
    pet = resample_image(study.pet, Geometry.of(study.ct), PET_AIR_SUV)
    rows = [_row(BLIND, study, blind_ellipsoid(study.ct, BLIND_MARGIN_MM[study.crop]))]
    return rows + [_row(rule.name, study, apply_rule(rule, pet, study.contour)) for rule in RULES]


def measure_cohort(
    patients: list[StsPatient], models: dict[str, LoadedModel], options: SegmentOptions, report: Callable[[Row], None]
) -> list[Row]:
    """Every method on every patient in both crops."""
    rows = []
    for study in load_studies(patients):
        for name, model in models.items():
            rows.append(measure_model(study, model, name, options))
            report(rows[-1])
        rows.extend(measure_baselines(study))
    return rows


def summarise(rows: list[Row]) -> list[Summary]:
    """One line per method and crop, in order of first appearance."""
    summaries = []
    for crop in CROPS:
        for method in dict.fromkeys(row.method for row in rows):
            chosen = [row for row in rows if row.method == method and row.crop == crop]
            overlap, distance = (
                statistics.summarise(getattr(row, name) for row in chosen) for name in ("dice", "hd95_mm")
            )
            if overlap.mean is None or overlap.median is None or overlap.lowest is None:
                continue
            hd95_mm = math.inf if distance.mean is None else distance.mean
            summaries.append(
                Summary(
                    method,
                    crop,
                    len(chosen),
                    overlap.mean,
                    overlap.median,
                    overlap.lowest,
                    hd95_mm,
                    distance.infinite,
                )
            )
    return summaries


def summary_table(summaries: list[Summary]) -> str:
    """Markdown table of means."""
    lines = [
        "| crop | method | patients | mean Dice | median | lowest | mean HD95 (mm) | no contour |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.crop} | {s.method} | {s.patients} | {s.dice:.3f} | {s.dice_median:.3f} | {s.dice_lowest:.3f} "
        f"| {s.hd95_mm:.1f} | {s.missing} |"
        for s in summaries
    ]
    return "\n".join(lines)


def patient_table(rows: list[Row], method: str) -> str:
    """Markdown table of every patient of one method, both crops side by side."""
    lines = [
        "| patient | GTV (ml) | Dice as is | HD95 as is (mm) | Dice re-cropped | HD95 re-cropped (mm) |",
        "|---|---|---|---|---|---|",
    ]
    chosen = {(row.patient, row.crop): row for row in rows if row.method == method}
    for patient in dict.fromkeys(row.patient for row in rows):
        whole, cut = chosen[patient, "as-is"], chosen[patient, "re-cropped"]
        lines.append(
            f"| {patient} | {whole.reference_volume_ml:.0f} | {whole.dice:.3f} | {whole.hd95_mm:.1f} "
            f"| {cut.dice:.3f} | {cut.hd95_mm:.1f} |"
        )
    return "\n".join(lines)


def card_rows(rows: list[Row], method: str, data: str) -> tuple[MetricRow, ...]:
    """The means of one method as a model card states them."""
    note = "whole pipeline, CT grid, reference CT_GTV"
    return tuple(
        MetricRow(data, s.crop, s.dice, s.hd95_mm if math.isfinite(s.hd95_mm) else None, s.patients, note)
        for s in summarise(rows)
        if s.method == method
    )


def _row(method: str, study: Study, mask: sitk.Image) -> Row:
    comparison: Comparison = compare(mask, study.contour)
    return Row(
        method,
        study.crop,
        study.patient,
        comparison.dice,
        comparison.hd95_mm,
        comparison.volume_ml,
        comparison.reference_volume_ml,
    )


def write_rows(rows: list[Row], path: Path, provenance: dict[str, Any]) -> None:
    """Rows, means and where they came from, as one small JSON file."""
    summaries = [{**asdict(s), "hd95_mm": s.hd95_mm if math.isfinite(s.hd95_mm) else None} for s in summarise(rows)]
    document = {**provenance, "summary": summaries, "rows": [row.to_json() for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")
