"""An IGTV contour as numbers: as a whole, slice by slice, and what of the tumour's way it holds."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.metrics import compare
from petctfusion.phantom.cohort_making import TRUTH_FILE
from petctfusion.training.benchmark.rules import RULES, Rule, apply_rule
from petctfusion.training.benchmark.study import phantoms
from petctfusion.training.datasets.reading import read_patient
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import PET_AIR_SUV, resample_image

PERIPHERAL = 2
"""Slices at either end of an IGTV that are peripheral."""
_RULES = ("SUV >= 2.5 (located)", "41 % of SUVmax (located)")
Segment = Callable[["IgtvCase"], sitk.Image]


@dataclass(frozen=True)
class IgtvCase:
    """A phantom of a cohort: average CT and blurred PET, the IGTV on the CT's grid, how far the tumour goes."""

    patient: str
    anatomy: str
    motion_mm: float
    volumes: Mapping[str, sitk.Image]
    contour: sitk.Image


@dataclass(frozen=True)
class IgtvRow:
    """One contour against one IGTV, on the CT's grid; `hd95_mm` is infinite without a contour.

    `coverage`: share of the IGTV inside the contour; `conformity`: share of the contour inside the IGTV, None without
    one. `peripheral_dice`: pooled over the two slices at either end of the IGTV, `central_dice` over those between,
    None where there are none; `peripheral_detected`: share of the peripheral slices of which anything is met.
    `slices`: place of every slice of the IGTV, 0 at its lower end and 1 at its upper, and its Dice.
    """

    patient: str
    anatomy: str
    motion_mm: float
    dice: float
    hd95_mm: float
    coverage: float
    conformity: float | None
    peripheral_dice: float
    peripheral_detected: float
    central_dice: float | None
    slices: tuple[tuple[float, float], ...]
    volume_ml: float
    reference_volume_ml: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinity: no contour is null."""
        return {**asdict(self), "hd95_mm": self.hd95_mm if math.isfinite(self.hd95_mm) else None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> IgtvRow:
        """What `to_json` gave. Raises `ValueError` for other columns."""
        if set(values) != {f.name for f in fields(cls)}:
            raise ValueError("a row has other columns than this version writes")
        distance = math.inf if values["hd95_mm"] is None else values["hd95_mm"]
        slices = tuple((float(place), float(dice)) for place, dice in values["slices"])
        return cls(**{**values, "hd95_mm": distance, "slices": slices})


def load_cases(cohort: Path, split: str = "test") -> Iterator[IgtvCase]:
    """The phantoms of one part of a cohort made by `petctfusion phantom --cohort N --breathing igtv`.

    Raises `BadInputError` for a folder that is no such cohort, a part without phantoms, and for a damaged phantom.
    """
    for patient in phantoms(cohort, split):
        volumes, contour = read_patient(patient, ("CT", "PET"))
        path = patient.volumes["CT"].with_name(TRUTH_FILE)
        try:
            truth = json.loads(path.read_text(encoding="utf-8"))
            if truth["kind"] != "igtv":
                raise ValueError("it is of another kind")
            yield IgtvCase(patient.name, str(truth["anatomy"]), float(truth["motion_mm"]), volumes, contour)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{path} tells of no IGTV ({error}).", "Make the cohort again.") from error


def measure_cases(cases: Iterable[IgtvCase], segment: Segment, report: Callable[[IgtvRow], None]) -> list[IgtvRow]:
    """One way of contouring on every case."""
    rows = []
    for case in cases:
        started = time.perf_counter()
        mask = segment(case)
        rows.append(igtv_row(case, mask, time.perf_counter() - started))
        report(rows[-1])
    return rows


def igtv_row(case: IgtvCase, mask: sitk.Image, seconds: float) -> IgtvRow:
    """`mask` (any grid) against the IGTV."""
    found = compare(mask, case.contour)
    curve = found.slices
    outer, inner = curve.peripheral(PERIPHERAL), curve.central(PERIPHERAL)
    if outer.pooled_dice is None or outer.detected is None:
        raise BadInputError(f"{case.patient} has no IGTV.", "Make the cohort again.")
    where = np.flatnonzero(curve.reference)
    upwards = where if curve.superior_last else where[::-1]
    both, marked, truth = (int(counts.sum()) for counts in (curve.both, curve.prediction, curve.reference))
    return IgtvRow(
        patient=case.patient,
        anatomy=case.anatomy,
        motion_mm=case.motion_mm,
        dice=found.dice,
        hd95_mm=found.hd95_mm,
        coverage=both / truth,
        conformity=both / marked if marked else None,
        peripheral_dice=outer.pooled_dice,
        peripheral_detected=outer.detected,
        central_dice=inner.pooled_dice,
        slices=tuple(((k + 0.5) / len(where), float(curve.dice[z])) for k, z in enumerate(upwards)),
        volume_ml=found.volume_ml,
        reference_volume_ml=found.reference_volume_ml,
        seconds=seconds,
    )


def rule_segments() -> dict[str, Segment]:
    """Two rules on the SUV that are told where the tumour is."""
    return {rule.name: _ruled(rule) for rule in RULES if rule.name in _RULES}


def _ruled(rule: Rule) -> Segment:
    def segment(case: IgtvCase) -> sitk.Image:
        pet = resample_image(case.volumes["PET"], Geometry.of(case.contour), PET_AIR_SUV)
        return apply_rule(rule, pet, case.contour)

    return segment
