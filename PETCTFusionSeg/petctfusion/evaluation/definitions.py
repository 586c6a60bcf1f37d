"""What the numbers of a report mean, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from petctfusion.evaluation.case import Evaluation, Settings
from petctfusion.evaluation.statistics import RESAMPLES, SEED

DICE = "2|A n B| / (|A| + |B|) on the reference's grid"
HD95 = (
    "the larger of the two directed 95th percentiles (linear interpolation) of the distances in mm between the "
    "centres of surface voxels (mask voxels with a 6-neighbour outside; beyond the image border counts as outside)"
)


def definitions(settings: Settings, evaluations: Sequence[Evaluation]) -> tuple[tuple[str, str], ...]:
    """Term and sentence for the numbers of one patient, in the order of the report."""
    return (
        ("Dice", f"{DICE}; both empty 1, one empty 0."),
        (
            "HD95",
            f"{HD95}. HD: the 100th percentile. ASSD: the mean of the pooled distances. One empty: no contour "
            "(null); both empty: 0.",
        ),
        (
            "NSD",
            f"the share of both surfaces, by area, that lies within {_tolerance(settings, evaluations)} of the "
            "other; one empty 0, both empty 1.",
        ),
        (
            "FPV, FNV",
            "volume of the predicted lesions that share no voxel with the reference, and of the reference's lesions "
            "that share none with the prediction (autoPET).",
        ),
        (
            "Lesions",
            f"{settings.connectivity}-connected components: TP reference lesions hit by at least one voxel, FN those "
            "not hit, FP predicted lesions that hit none; F1 = 2 TP / (2 TP + FP + FN).",
        ),
        (
            "Volume, reference, difference",
            "each volume on its own grid; difference: prediction minus reference; relative: divided by the reference.",
        ),
    )


def cohort_definitions() -> tuple[tuple[str, str], ...]:
    """Term and sentence for the numbers over all patients."""
    return (
        (
            "Aggregated Dice",
            "2 sum |A n B| / sum (|A| + |B|) over all patients, in ml (HECKTOR). Lesion totals likewise are sums.",
        ),
        (
            "Mean, SD, 95 % interval",
            "over patients; no-contour distances are left out and counted. SD with n - 1. The interval of the mean: "
            f"patients drawn with replacement {RESAMPLES} times, 2.5th and 97.5th percentile, seed {SEED}.",
        ),
    )


def _tolerance(settings: Settings, evaluations: Sequence[Evaluation]) -> str:
    return tolerance_text(evaluations) if settings.tolerance_mm is None else f"{settings.tolerance_mm:g} mm"


def tolerance_text(evaluations: Sequence[Evaluation]) -> str:
    """The tolerance of the NSD, or the range of those used."""
    used = sorted({round(evaluation.comparison.nsd_tolerance_mm, 3) for evaluation in evaluations})
    if not used:
        return "the tolerance"
    if len(used) == 1:
        return f"{used[0]:g} mm"
    return f"{used[0]:g} to {used[-1]:g} mm (2 mm, or the longest side of a voxel of that patient)"
