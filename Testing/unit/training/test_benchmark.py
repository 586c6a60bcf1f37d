"""`benchmark sts`: rows, means over the finite, JSON without infinities."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.training.benchmark import (
    Row,
    Study,
    card_rows,
    patient_table,
    row_of,
    summarise,
    summary_table,
    write_rows,
)


def row(method, crop, patient, dice, hd95_mm, volume_ml, reference_volume_ml):
    return Row(method, crop, patient, dice, hd95_mm, 0.5, 1.0, 2.0, 0.0, volume_ml, reference_volume_ml, 3.0)


ROWS = [
    row("net", "as-is", "A", 0.8, 5.0, 100.0, 110.0),
    row("net", "as-is", "B", 0.0, math.inf, 0.0, 50.0),
    row("net", "re-cropped", "A", 0.9, 4.0, 100.0, 110.0),
    row("net", "re-cropped", "B", 0.6, 8.0, 40.0, 50.0),
    row("blind ellipsoid", "as-is", "A", 0.5, 20.0, 90.0, 110.0),
]


def cube(shape, where, spacing=(1.0, 1.0, 1.0)):
    array = np.zeros(shape, np.uint8)
    array[where] = 1
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


def test_a_row_by_hand():
    # Reference: 10 x 10 x 10 mm. Prediction: the same, 2 mm further, and a second cube of 4 mm far from it.
    reference = cube((40, 30, 30), np.s_[5:15, 5:15, 5:15])
    prediction = cube((40, 30, 30), np.s_[7:17, 5:15, 5:15]) | cube((40, 30, 30), np.s_[30:34, 20:24, 20:24])
    found = row_of("x", Study("A", "as-is", reference, reference, reference), prediction, 1.5)
    assert found.dice == pytest.approx(2 * 800 / (1000 + 1000 + 64))
    assert (found.volume_ml, found.reference_volume_ml) == pytest.approx((1.064, 1.0))
    assert (found.fpv_ml, found.fnv_ml) == pytest.approx((0.064, 0.0))
    assert found.lesion_f1 == pytest.approx(2 / 3)
    assert found.volume_error == pytest.approx(0.064)
    # Without the far cube every point of either surface is within 3 mm of the other.
    near = row_of("x", Study("A", "as-is", reference, reference, reference), prediction * 0 + reference, 1.5)
    assert (near.nsd, near.hd95_mm, near.dice) == (1.0, 0.0, 1.0)
    assert 0.5 < found.nsd < 1.0
    assert found.seconds == 1.5


def test_an_empty_prediction_has_no_contour():
    reference = cube((9, 9, 9), np.s_[3:6, 3:6, 3:6])
    found = row_of("x", Study("A", "as-is", reference, reference, reference), reference * 0, 0.0)
    assert (found.dice, found.hd95_mm, found.nsd) == (0.0, math.inf, 0.0)
    assert found.fnv_ml == pytest.approx(0.027)
    assert Row.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("change", [{"dice": "high"}, {"nsd": None}, {"patient": 3}, {"more": 1.0}, {"seconds": True}])
def test_a_row_of_another_kind_is_refused(change):
    with pytest.raises(ValueError, match=r"a row has|A has|3 has"):
        Row.from_json({**ROWS[0].to_json(), **change})


def test_means_are_over_all_dices_and_the_finite_distances():
    first = summarise(ROWS)[0]
    assert (first.method, first.crop, first.patients) == ("net", "as-is", 2)
    assert first.dice == pytest.approx(0.4)
    assert first.hd95_mm == pytest.approx(5.0)
    assert first.missing == 1
    assert first.volume_error == pytest.approx((10 / 110 + 1) / 2)


def test_without_any_contour_there_is_no_distance():
    only = summarise([ROWS[1]])[0]
    assert (only.hd95_mm, only.missing) == (None, 1)
    assert "| – | 1 |" in summary_table([only])


def test_without_a_reference_there_is_no_volume_error():
    assert replace(ROWS[0], reference_volume_ml=0.0).volume_error is None


def test_no_row_is_left_out_of_the_tables():
    assert summary_table(summarise(ROWS)).count("\n") == 1 + 3
    assert "| B | 50 | 0.000 | inf | 0.600 | 8.0 |" in patient_table(ROWS, "net")


def test_json_has_null_where_there_is_no_contour(tmp_path):
    write_rows(ROWS, tmp_path / "rows.json", {"command": "x"})
    document = json.loads((tmp_path / "rows.json").read_text())
    assert document["rows"][1]["hd95_mm"] is None
    assert len(document["rows"]) == 5
    assert document["command"] == "x"


def test_a_card_states_the_means_of_its_own_method_only():
    stated = card_rows(ROWS, "net", "sts validation")
    assert [(row.crop, row.n) for row in stated] == [("as-is", 2), ("re-cropped", 2)]
    assert stated[1].hd95_mm == pytest.approx(6.0)
