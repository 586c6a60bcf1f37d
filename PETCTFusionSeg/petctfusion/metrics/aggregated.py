"""Overlap and detection over a whole cohort at once, as HECKTOR ranks them: not the mean of the patients' values."""

from __future__ import annotations

from collections.abc import Iterable

from petctfusion.errors import BadInputError
from petctfusion.metrics.matching import LesionMatching, f1_score


def aggregated_dice(counts: Iterable[tuple[float, float]]) -> float:
    """2 sum_i |P_i n R_i| / sum_i (|P_i| + |R_i|) over the patients i (HECKTOR 2021 to 2025, "DSCagg").

    `counts` holds |P_i n R_i| and |P_i| + |R_i| of each patient, in ml (or voxels, when all grids are alike). Large
    volumes weigh most and a patient without tumour counts only through what was predicted there. All empty: 1, as in
    `dice`. Raises `BadInputError` without a patient and on counts that cannot be: negative, not finite, or shared by
    more than all.
    """
    pairs = [(float(shared), float(total)) for shared, total in counts]
    if not pairs:
        raise BadInputError("There is no patient to aggregate over.", "Give at least one pair of volumes.")
    for shared, total in pairs:
        # Volumes in ml come out of two roundings; 2 |P n R| = |P| + |R| must not fail on the last digit.
        if not 0 <= 2 * shared <= total * (1 + 1e-9) < float("inf"):
            raise BadInputError(
                f"Two masks of {total:g} together cannot share {shared:g}.",
                "Give |P n R| and |P| + |R| of each patient.",
            )
    whole = sum(total for _, total in pairs)
    return 2.0 * sum(shared for shared, _ in pairs) / whole if whole else 1.0


def aggregated_f1(matchings: Iterable[LesionMatching]) -> float:
    """2 TP / (2 TP + FP + FN) of the lesions of all patients together (HECKTOR 2025, "F1agg", lesions with IoU > 0.3).

    No lesion in any patient: 1. Raises `BadInputError` without a patient and when the patients were matched
    differently.
    """
    all_of_them = list(matchings)
    if not all_of_them:
        raise BadInputError("There is no patient to aggregate over.", "Give at least one matching.")
    if len({(matching.connectivity, matching.minimum_iou) for matching in all_of_them}) > 1:
        raise BadInputError(
            "The patients' lesions were matched in different ways.", "Use one connectivity and one minimum IoU for all."
        )
    tp, fp, fn = (sum(getattr(matching, name) for matching in all_of_them) for name in ("tp", "fp", "fn"))
    return f1_score(tp, fp, fn)
