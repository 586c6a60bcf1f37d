"""Reliability and uncertainty of models on patients or phantoms: one row per patient and crop, and their sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.uncertainty import entropy_bytes
from petctfusion.training.benchmark.reliability import (
    NEAR_MM,
    ByteCounts,
    error_share,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    near_either,
    reliability,
)
from petctfusion.training.benchmark.study import Study
from petctfusion.volumes.geometry import Geometry

if TYPE_CHECKING:
    from petctfusion.inference.model import AnyLoaded


@dataclass(frozen=True)
class Measured:
    """One study: counts everywhere and near either contour, and the share of the errors among the 5 % least sure.

    `single_share_near`: the same of one pass without mirrored windows, against its own errors; `members_share_near`:
    by the spread between the members of an ensemble.
    """

    patient: str
    crop: str
    everywhere: ByteCounts
    near: ByteCounts
    error_ml: float
    share: float | None
    share_near: float | None
    single_share_near: float | None
    members_share_near: float | None


def measure_reliability(
    studies: Iterable[Study], model: AnyLoaded, device: str, report: Callable[[str], None]
) -> list[Measured]:
    """Run each study, once as the card says and once without mirroring; an ensemble's members are compared as well."""
    return [_measure(study, model, device, report) for study in studies]


def tuning_counts(studies: Iterable[Study], model: AnyLoaded, device: str) -> ByteCounts:
    """What a temperature is fitted to: the counts near the contours of all studies together."""
    counts = []
    for study in studies:
        contour = sitk.GetArrayViewFromImage(study.contour) > 0
        probability, labels = _run(study, model, SegmentOptions(device=device))
        near = near_either(labels, contour, Geometry.of(study.contour).spacing_zyx)
        counts.append(ByteCounts.of(probability[near], contour[near]))
    return summed(counts)


def _measure(study: Study, model: AnyLoaded, device: str, report: Callable[[str], None]) -> Measured:
    contour = sitk.GetArrayViewFromImage(study.contour) > 0
    grid = Geometry.of(study.contour)
    probability, labels = _run(study, model, SegmentOptions(device=device))
    near = near_either(labels, contour, grid.spacing_zyx)
    wrong = labels != contour
    unsure = entropy_bytes(probability)
    single, single_labels = _run(study, model, SegmentOptions(device=device, flips=()))
    spread = _spread(study, model, device)
    report(f"{study.patient} {study.crop}")
    return Measured(
        study.patient,
        study.crop,
        ByteCounts.of(probability, contour),
        ByteCounts.of(probability[near], contour[near]),
        float(wrong.sum()) * grid.voxel_ml,
        error_share(unsure, wrong, np.ones_like(wrong)),
        error_share(unsure, wrong, near),
        error_share(entropy_bytes(single), single_labels != contour, near),
        None if spread is None else error_share(spread, wrong, near),
    )


def _run(study: Study, model: AnyLoaded, options: SegmentOptions) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    from petctfusion.inference import segment_study

    result = segment_study({"CT": study.ct, "PET": study.pet}, model, options)
    return sitk.GetArrayFromImage(result.probability), sitk.GetArrayFromImage(result.labels) > 0


def _spread(study: Study, model: AnyLoaded, device: str) -> NDArray[np.uint8] | None:
    """Standard deviation between the members of an ensemble, in bytes (127.5 at most, so twice that); None without."""
    parts = [part for part, _share in model.parts]
    if len(parts) < 2:
        return None
    maps = np.stack([_run(study, part, SegmentOptions(device=device))[0] for part in parts]).astype(np.float32)
    found: NDArray[np.uint8] = np.rint(2 * maps.std(axis=0)).clip(0, 255).astype(np.uint8)
    return found


def summed(counts: Iterable[ByteCounts]) -> ByteCounts:
    """The counts of all together."""
    empty = np.zeros(256, np.int64)
    total = ByteCounts(empty, empty)
    for one in counts:
        total += one
    return total


def document(name: str, tuning: ByteCounts, validation: list[Measured]) -> dict[str, Any]:
    """What is kept of one model: the temperature of the tuning patients, and everything on the validation patients."""
    temperature = fit_temperature(tuning)
    found: dict[str, Any] = {"model": name, "near_mm": NEAR_MM, "temperature": temperature}
    parts = {"everywhere": [study.everywhere for study in validation], "near": [study.near for study in validation]}
    for part, studies in parts.items():
        counts = summed(studies)
        found[part] = {
            "voxels": int(counts.voxels.sum()),
            "tumour": int(counts.tumour.sum()),
            "ece": expected_calibration_error(counts),
            "ece_tempered": expected_calibration_error(counts, temperature),
            "log_loss": log_loss(counts),
            "log_loss_tempered": log_loss(counts, temperature),
            "diagram": [asdict(point) for point in reliability(counts)],
            "diagram_tempered": [asdict(point) for point in reliability(counts, temperature)],
        }
    found["studies"] = [
        {
            "patient": study.patient,
            "crop": study.crop,
            "ece_near": _ece(study.near, 1.0),
            "ece_near_tempered": _ece(study.near, temperature),
            "error_ml": study.error_ml,
            "share": study.share,
            "share_near": study.share_near,
            "single_share_near": study.single_share_near,
            "members_share_near": study.members_share_near,
        }
        for study in validation
    ]
    return found


def _ece(counts: ByteCounts, temperature: float) -> float | None:
    """None without a voxel: nothing was there, and nothing marked."""
    return expected_calibration_error(counts, temperature) if counts.voxels.any() else None
