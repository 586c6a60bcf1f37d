from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.errors import BadInputError
from petctfusion.metrics.aggregated import aggregated_dice, aggregated_f1
from petctfusion.metrics.components import components_of_labels
from petctfusion.metrics.matching import fnv_ml, fpv_ml, match_components, match_lesions

SPACING = (3.0, 2.0, 1.5)
ML = 3.0 * 2.0 * 1.5 / 1000


def mask_of(*boxes, shape=(12, 14, 16)):
    mask = np.zeros(shape, bool)
    for z, y, x in boxes:
        mask[slice(*z), slice(*y), slice(*x)] = True
    return mask


@st.composite
def pairs(draw, side=6):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=side))
    return tuple(draw(hnp.arrays(bool, shape)) for _ in range(2))


def lesions_of(oracles, mask, connectivity):
    return sorted(oracles.flood_components(mask, connectivity), key=lambda c: (-len(c), min(c)))


@settings(max_examples=120, deadline=None)
@given(pairs(), st.sampled_from((6, 18, 26)))
def test_any_overlap_counts_lesions_and_volumes_as_sets_do(oracles, pair, connectivity):
    p, r = (lesions_of(oracles, mask, connectivity) for mask in pair)
    found = match_lesions(*pair, SPACING, connectivity, distances=False)
    missed = [c for c in r if not any(c & other for other in p)]
    false = [c for c in p if not any(c & other for other in r)]
    assert (found.tp, found.fp, found.fn) == (len(r) - len(missed), len(false), len(missed))
    assert found.fpv_ml == fpv_ml(*pair, SPACING, connectivity) == pytest.approx(sum(map(len, false)) * ML, rel=1e-12)
    assert found.fnv_ml == fnv_ml(*pair, SPACING, connectivity) == pytest.approx(sum(map(len, missed)) * ML, rel=1e-12)
    assert sorted(i for row in found.rows for i in row.prediction_ids) == list(range(1, len(p) + 1))
    assert sorted(i for row in found.rows for i in row.reference_ids) == list(range(1, len(r) + 1))
    for row in found.rows:
        ours, theirs = (
            set().union(*(side[i - 1] for i in ids)) for side, ids in ((p, row.prediction_ids), (r, row.reference_ids))
        )
        assert row.kind == ("fn" if not ours else "fp" if not theirs else "tp")
        assert row.volume_ml == pytest.approx(len(ours) * ML, rel=1e-12)
        assert row.reference_volume_ml == pytest.approx(len(theirs) * ML, rel=1e-12)
        assert row.dice == pytest.approx(2 * len(ours & theirs) / (len(ours) + len(theirs)), rel=1e-12)
        assert row.centre_index == pytest.approx(np.mean(sorted(theirs or ours), axis=0), rel=1e-12, abs=1e-12)
        assert row.hd95_mm is None
        # No lesion of one row overlaps a lesion of another.
        assert not any(ours & other for k, other in enumerate(r, start=1) if k not in row.reference_ids)


def best_assignment(p, r, minimum):
    """Every one-to-one choice: most pairs, then the largest sum of IoU."""
    iou = {(i, j): len(a & b) / len(a | b) for i, a in enumerate(p) for j, b in enumerate(r)}
    able = [pair for pair, value in iou.items() if value > minimum]
    best = (0, 0.0)
    for n in range(1, min(len(p), len(r)) + 1):
        for chosen in itertools.combinations(able, n):
            if len({i for i, _ in chosen}) == len({j for _, j in chosen}) == n:
                best = max(best, (n, math.fsum(iou[c] for c in chosen)))
    return best


@settings(max_examples=120, deadline=None)
@given(pairs(4), st.sampled_from((0.01, 0.1, 0.3, 0.5)))
def test_iou_matches_one_to_one_as_many_and_as_well_as_possible(oracles, pair, minimum):
    p, r = (lesions_of(oracles, mask, 6)[:5] for mask in pair)
    kept = [np.zeros(pair[0].shape, bool) for _ in range(2)]
    for mask, side in zip(kept, (p, r), strict=True):
        for voxel in set().union(*side):
            mask[voxel] = True
    found = match_lesions(*kept, SPACING, 6, minimum, distances=False)
    count, total = best_assignment(p, r, minimum)
    assert (found.tp, found.fp, found.fn) == (count, len(p) - count, len(r) - count)
    matched = [row for row in found.rows if row.kind == "tp"]
    assert all(len(row.prediction_ids) == len(row.reference_ids) == 1 for row in matched)
    # IoU = Dice / (2 - Dice) of the pair.
    assert math.fsum(row.dice / (2 - row.dice) for row in matched) == pytest.approx(total, rel=1e-9)
    assert all(row.dice / (2 - row.dice) > minimum * (1 - 1e-12) for row in matched)
    assert found.fpv_ml == match_lesions(*kept, SPACING, 6, distances=False).fpv_ml


def test_one_prediction_over_two_lesions_hits_both_and_counts_once_by_iou():
    reference = mask_of(((2, 5), (2, 6), (1, 5)), ((2, 5), (2, 6), (8, 12)))
    prediction = mask_of(((2, 5), (2, 6), (1, 12)))
    found = match_lesions(prediction, reference, SPACING)
    assert (found.tp, found.fp, found.fn) == (2, 0, 0)
    assert [(row.prediction_ids, row.reference_ids) for row in found.rows] == [((1,), (1, 2))]
    by_iou = match_lesions(prediction, reference, SPACING, minimum_iou=0.3)
    assert (by_iou.tp, by_iou.fp, by_iou.fn) == (1, 0, 1)


def test_two_predictions_in_one_lesion_hit_it_once():
    reference = mask_of(((2, 5), (2, 6), (1, 12)))
    prediction = mask_of(((2, 5), (2, 6), (1, 5)), ((2, 5), (2, 6), (8, 12)))
    found = match_lesions(prediction, reference, SPACING)
    assert (found.tp, found.fp, found.fn, found.sensitivity, found.precision, found.f1) == (1, 0, 0, 1.0, 1.0, 1.0)


def test_two_poor_pairs_come_before_one_good_pair():
    reference = mask_of(((2, 3), (2, 3), (0, 10)), ((2, 3), (2, 3), (11, 13)))
    prediction = mask_of(((2, 3), (2, 3), (0, 1)), ((2, 3), (2, 3), (2, 12)))
    found = match_lesions(prediction, reference, SPACING, minimum_iou=0.05)
    assert [(row.prediction_ids, row.reference_ids) for row in found.rows] == [((2,), (1,)), ((1,), (2,))]
    assert match_lesions(prediction, reference, SPACING, minimum_iou=0.3).tp == 1


def test_an_iou_equal_to_the_minimum_is_not_above_it():
    reference = mask_of(((2, 4), (2, 4), (2, 4)))
    prediction = mask_of(((2, 4), (2, 4), (2, 6)))
    assert match_lesions(prediction, reference, SPACING, minimum_iou=0.5).tp == 0
    assert match_lesions(prediction, reference, SPACING, minimum_iou=0.4999).tp == 1


def test_rows_carry_the_distance_between_the_matched_lesions_alone(oracles):
    near = (((2, 5), (2, 7), (2, 6)), ((2, 5), (3, 7), (3, 7)))
    far = (((8, 11), (9, 13), (10, 14)), ((8, 11), (9, 13), (11, 14)))
    reference, prediction = mask_of(near[0], far[0]), mask_of(near[1], far[1], ((0, 1), (12, 14), (0, 3)))
    rows = match_lesions(prediction, reference, SPACING).rows
    assert [row.kind for row in rows] == ["tp", "tp", "fp"]
    for row, (first, second) in zip(rows, (near, far), strict=False):
        expected = oracles.brute_hausdorff(mask_of(second), mask_of(first), SPACING, 95)
        assert row.hd95_mm == pytest.approx(expected, abs=1e-9)
    assert rows[2].hd95_mm == math.inf
    assert rows[2].to_json()["hd95_mm"] is None
    json.dumps(match_lesions(prediction, reference, SPACING).to_json(), allow_nan=False)


def test_what_is_not_there_is_said():
    some, none = mask_of(((2, 4), (2, 4), (2, 4))), mask_of()
    nothing = match_lesions(none, none, SPACING)
    assert (nothing.f1, nothing.sensitivity, nothing.precision, nothing.rows) == (1.0, None, None, [])
    missed, false = match_lesions(none, some, SPACING), match_lesions(some, none, SPACING)
    assert (missed.f1, missed.sensitivity, missed.precision) == (0.0, 0.0, None)
    assert (missed.fpv_ml, missed.fnv_ml) == (0.0, pytest.approx(8 * ML))
    assert (false.f1, false.sensitivity, false.precision) == (0.0, None, 0.0)
    assert (false.fpv_ml, false.fnv_ml) == (pytest.approx(8 * ML), 0.0)
    assert match_lesions(none, none, SPACING, minimum_iou=0.3).f1 == 1.0


def test_touching_at_an_edge_is_one_lesion_of_the_autopet_and_two_of_6_connectivity():
    prediction = mask_of(((2, 4), (2, 4), (2, 4)), ((2, 4), (4, 6), (4, 6)))
    reference = mask_of(((2, 4), (2, 4), (2, 4)))
    assert fpv_ml(prediction, reference, SPACING) == 0.0
    assert fpv_ml(prediction, reference, SPACING, 6) == pytest.approx(8 * ML)


def test_lesions_numbered_by_somebody_else_keep_their_ids():
    labels = mask_of(((2, 4), (2, 4), (2, 4))).astype(np.uint8) * 9
    labels[2:4, 2:4, 4:6] = 4
    found = components_of_labels(labels)
    matching = match_components(found, components_of_labels(labels * 2), SPACING)
    assert {(row.prediction_ids, row.reference_ids) for row in matching.rows} == {((4,), (8,)), ((9,), (18,))}
    assert matching.connectivity is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reference": np.ones((2, 2, 3))}, "not on one grid"),
        ({"reference": np.ones((2, 2))}, "not on one grid"),
        ({"spacing_mm": (1, -1, 1)}, "spacing"),
        ({"spacing_mm": (1, 1)}, "spacing"),
        ({"connectivity": 4}, "4-connectivity"),
        ({"minimum_iou": 1.0}, "IoU above 1"),
        ({"minimum_iou": -0.1}, "IoU above -0.1"),
        ({"minimum_iou": math.nan}, "IoU above nan"),
        ({"prediction": np.full((2, 2, 2), np.nan)}, "NaN"),
    ],
)
def test_rubbish_is_refused_in_one_sentence(change, said):
    arguments = {"prediction": np.ones((2, 2, 2)), "reference": np.ones((2, 2, 2)), "spacing_mm": (1, 1, 1)}
    with pytest.raises(BadInputError, match=said):
        match_lesions(**arguments | change)


def test_a_cohort_is_aggregated_over_its_volumes_and_lesions():
    reference = mask_of(((2, 4), (2, 4), (2, 4)), ((8, 10), (2, 4), (2, 4)))
    half = mask_of(((2, 4), (2, 4), (2, 4)))
    matchings = [match_lesions(half, reference, SPACING), match_lesions(half, mask_of(), SPACING)]
    # TP 1, FN 1 and FP 1; the mean of the two F1 would be 1/3.
    assert aggregated_f1(matchings) == pytest.approx(0.5)
    assert aggregated_f1([match_lesions(mask_of(), mask_of(), SPACING)]) == 1.0
    assert aggregated_dice([(8, 24), (0, 8)]) == pytest.approx(16 / 32)
    assert aggregated_dice([(0.0, 0.0)]) == 1.0
    # Volumes in ml that agree up to rounding.
    assert aggregated_dice([(0.1 + 0.2, 0.6)]) == pytest.approx(1.0)


def test_a_cohort_that_cannot_be_aggregated_is_refused():
    some = mask_of(((2, 4), (2, 4), (2, 4)))
    for counts in ([], [(5, 8)], [(-1, 8)], [(1, math.nan)], [(1, math.inf)]):
        with pytest.raises(BadInputError, match=r"no patient|cannot share"):
            aggregated_dice(counts)
    with pytest.raises(BadInputError, match="no patient"):
        aggregated_f1([])
    with pytest.raises(BadInputError, match="different ways"):
        aggregated_f1([match_lesions(some, some, SPACING, c) for c in (6, 18)])
