"""The table: rows, means over the finite, JSON without infinities."""

import json
import math

import pytest

from petctfusion.training.benchmark import Row, card_rows, patient_table, summarise, summary_table, write_rows

ROWS = [
    Row("net", "as-is", "A", 0.8, 5.0, 100.0, 110.0),
    Row("net", "as-is", "B", 0.0, math.inf, 0.0, 50.0),
    Row("net", "re-cropped", "A", 0.9, 4.0, 100.0, 110.0),
    Row("net", "re-cropped", "B", 0.6, 8.0, 40.0, 50.0),
    Row("blind ellipsoid", "as-is", "A", 0.5, 20.0, 90.0, 110.0),
]


def test_means_are_over_all_dices_and_the_finite_distances():
    first = summarise(ROWS)[0]
    assert (first.method, first.crop, first.patients) == ("net", "as-is", 2)
    assert first.dice == pytest.approx(0.4)
    assert first.hd95_mm == pytest.approx(5.0)
    assert first.missing == 1


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
