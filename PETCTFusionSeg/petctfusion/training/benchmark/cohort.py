"""Every method on every patient, both crops, whole pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from petctfusion.inference.options import SegmentOptions
from petctfusion.training.benchmark.model_method import ModelMethod
from petctfusion.training.benchmark.row import Row, row_of
from petctfusion.training.benchmark.rules import BLIND, BLIND_MARGIN_MM, RULES, apply_rule, blind_ellipsoid
from petctfusion.training.benchmark.study import Study, load_studies
from petctfusion.training.benchmark.system import Method
from petctfusion.training.datasets.sts import StsPatient
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import PET_AIR_SUV, resample_image

if TYPE_CHECKING:
    from petctfusion.inference.model import AnyLoaded

RowReport = Callable[[Row], None]


def measure_model(study: Study, model: AnyLoaded, method: str, options: SegmentOptions) -> Row:
    """The row of a network."""
    return measure_method(method, ModelMethod(model, options), [study], lambda _row: None)[0]


def measure_baselines(study: Study) -> list[Row]:
    """The rows of the blind ellipsoid and of every SUV rule, the PET interpolated to the CT grid."""
    started = time.perf_counter()
    blind = blind_ellipsoid(study.ct, BLIND_MARGIN_MM[study.crop])
    rows = [row_of(BLIND, study, blind, time.perf_counter() - started)]
    started = time.perf_counter()
    pet = resample_image(study.pet, Geometry.of(study.ct), PET_AIR_SUV)
    resampling = time.perf_counter() - started
    for rule in RULES:
        started = time.perf_counter()
        mask = apply_rule(rule, pet, study.contour)
        rows.append(row_of(rule.name, study, mask, resampling + time.perf_counter() - started))
    return rows


def measure_method(name: str, method: Method, studies: Iterable[Study], report: RowReport) -> list[Row]:
    """One method on all studies; `report` is called with every row."""
    rows = []
    for study in studies:
        started = time.perf_counter()
        mask = method.segment(study)
        rows.append(row_of(name, study, mask, time.perf_counter() - started))
        report(rows[-1])
    return rows


def measure_cohort(
    patients: list[StsPatient], models: Mapping[str, AnyLoaded], options: SegmentOptions, report: RowReport
) -> list[Row]:
    """Every model and every baseline on every patient in both crops."""
    rows = []
    for study in load_studies(patients):
        for name, model in models.items():
            rows.append(measure_model(study, model, name, options))
            report(rows[-1])
        rows.extend(measure_baselines(study))
    return rows
