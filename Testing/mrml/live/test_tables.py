"""The tables of segments and lesions: numbers as the metrics have them, written in place, never of an older contour."""

import numpy as np
import pytest
from ball_study import RESULT, TRUTH, ball, cells

from petctfusion.metrics import dice, hd95_mm
from PETCTFusionSegLib.mrml import live_tables
from PETCTFusionSegLib.mrml.segmentations import setSegmentImage


def test_the_segment_table_has_the_numbers_and_says_what_they_are(followed):
    table = live_tables.updateSegmentTable(followed.scene, followed.live.rows())
    (row,) = cells(table)
    assert row["Segment"] == "Result"
    assert row["Reference"] == "Truth"
    assert row["Dice"] == f"{dice(RESULT, TRUTH):.4f}"
    assert row["HD95"] == f"{hd95_mm(RESULT, TRUTH, (3, 2, 2)):.2f}"
    assert row["Volume"] == f"{RESULT.sum() * 0.012:.3f}"
    assert row["Difference"] == f"{(RESULT.sum() - TRUTH.sum()) * 0.012:+.3f}"
    assert "3.00 mm" in table.GetColumnDescription("NSD")
    assert table.GetColumnUnitLabel("HD95") == "mm"
    assert table.GetAttribute("PETCTFusionSeg.Role") == "SegmentComparison"


def test_the_same_table_is_written_again_and_never_shows_inf(followed):
    table = live_tables.updateSegmentTable(followed.scene, followed.live.rows())
    column = table.GetTable().GetColumnByName("HD95")
    followed.edit(RESULT & False)
    assert live_tables.updateSegmentTable(followed.scene, followed.live.rows()) is table
    assert table.GetTable().GetColumnByName("HD95") is column
    (row,) = cells(table)
    assert (row["Dice"], row["HD95"], row["HD"], row["ASSD"]) == ("0.0000", "no contour", "no contour", "no contour")
    assert "inf" not in str(list(row.values()))
    assert followed.scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1


def test_a_segment_that_is_gone_says_so_in_the_table(followed):
    followed.prediction.GetSegmentation().RemoveSegment("Result")
    followed.live.flush()
    (row,) = cells(live_tables.updateSegmentTable(followed.scene, followed.live.rows()))
    assert row["Dice"] == "gone"
    assert "was removed" in row["Note"]


def test_the_lesion_table_has_hits_misses_and_false_ones_with_their_places(oblique):
    rows = cells(oblique.lesions())
    assert sorted(row["Found"] for row in rows) == ["fn", "fp", "tp"]
    missed = next(row for row in rows if row["Found"] == "fn")
    assert missed["HD95"] == "no contour"
    assert float(missed["Reference volume"]) == pytest.approx(ball((22, 28, 30), 7).sum() * 0.012, abs=1e-3)
    x, y, z = oblique.grid.points(np.array([[30.0, 28.0, 22.0]]))[0]
    np.testing.assert_allclose([float(missed[axis]) for axis in "RAS"], [-x, -y, z], atol=0.06)


def test_lesions_of_an_older_contour_are_not_shown(followed):
    followed.lesions()
    setSegmentImage(followed.prediction, "Result", followed.grid.image(TRUTH.astype(np.uint8)))
    followed.live.flush()
    table, complete = live_tables.updateLesionTable(followed.scene, followed.live.rows())
    assert (cells(table), complete) == ([], False)
    assert [row["Found"] for row in cells(followed.lesions())] == ["tp", "tp"]
