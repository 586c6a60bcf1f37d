"""The plot of Dice along the slices: one curve a segment, updated in place."""

import pytest
from ball_study import AXIAL, RESULT, TRUTH, Followed, cells

from petctfusion.metrics import dice
from PETCTFusionSegLib.mrml import live_plot


@pytest.mark.parametrize("direction", [AXIAL, (-1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)])
def test_the_curve_is_dice_by_position_and_updated_in_place(scene, direction):
    followed = Followed(scene, direction)
    chart = live_plot.updateSlicePlot(scene, followed.live.rows())
    series = chart.GetNthPlotSeriesNode(0)
    values = cells(series.GetTableNode())
    step = direction[8]
    wanted = {
        round(-30 + 3 * z * step, 3): dice(RESULT[z], TRUTH[z]) for z in range(30) if RESULT[z].any() or TRUTH[z].any()
    }
    got = {round(row[series.GetXColumnName()], 3): row[series.GetYColumnName()] for row in values}
    assert got == pytest.approx(wanted)
    assert list(got) == sorted(got)
    followed.edit(TRUTH)
    assert live_plot.updateSlicePlot(scene, followed.live.rows()) is chart
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    assert {row[series.GetYColumnName()] for row in cells(series.GetTableNode())} == {1.0}
    followed.edit(TRUTH & False)
    followed.edit(TRUTH & False, followed.reference, "Truth")
    live_plot.updateSlicePlot(scene, followed.live.rows())
    assert cells(series.GetTableNode()) == []
    followed.live.close()


def test_two_segments_of_one_name_are_two_curves_and_a_gone_one_none(followed):
    spec = followed.prediction.GetSegmentation()
    spec.CopySegmentFromSegmentation(followed.node(TRUTH, "Result").GetSegmentation(), "Result")
    followed.live.flush()
    followed.settle()
    chart = live_plot.updateSlicePlot(followed.scene, followed.live.rows())
    assert chart.GetNumberOfPlotSeriesNodes() == 3
    spec.RemoveSegment("Result")
    followed.live.flush()
    followed.settle()
    live_plot.updateSlicePlot(followed.scene, followed.live.rows())
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    assert followed.scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 1
