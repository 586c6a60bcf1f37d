"""A plot of Dice along the slices: a table, one series a segment, and a chart, all written in place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from .live import LiveRow
from .live_tables import ROLE_ATTRIBUTE, ourNode, writeTable

CURVE_TABLE, CURVE_SERIES, CURVE_CHART = "SliceDiceTable", "SliceDiceSeries", "SliceDiceChart"
POSITION = "Position"
# Okabe and Ito's colours, which remain apart for colour-blind eyes.
_COLOURS = ((0.0, 0.45, 0.70), (0.90, 0.62, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.34, 0.71, 0.91))


def updateSlicePlot(scene: Any, rows: Sequence[LiveRow]) -> Any:
    """Write Dice of every slice that has a contour; returns the chart, the same node every time.

    Each segment has its own position column, because their grids may differ. Segments without current numbers have no
    curve.
    """
    shown = [row for row in rows if row.numbers is not None]
    names = _distinct([row.name for row in shown])
    curves = [sliceCurve(row) for row in shown]
    table = ourNode(scene, "vtkMRMLTableNode", CURVE_TABLE, "Dice along the slices (values)")
    columns = [column for name in names for column in _columns(name)]
    filled = [values for curve in curves for values in curve]
    # Shorter curves end in empty cells.
    writeTable(table, columns, list(zip_longest(*filled, fillvalue=float("nan"))))
    chart = ourNode(scene, "vtkMRMLPlotChartNode", CURVE_CHART, "Dice along the slices")
    _updateSeries(scene, chart, table, names)
    return chart


def sliceCurve(row: LiveRow) -> tuple[list[float], list[float]]:
    """Positions (mm, ascending) and Dice of the slices in which prediction or reference has a contour."""
    if row.numbers is None:
        return [], []
    curve = row.numbers.slices
    slices = np.asarray(curve.occupied)
    where = np.asarray(row.pair.slicePositions_mm(slices), dtype=np.float64)
    order = np.argsort(where)
    return [float(v) for v in where[order]], [float(v) for v in np.asarray(curve.dice)[slices][order]]


def _columns(name: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    return (
        (f"{POSITION} {name}", "mm", "Along the slice axis, towards head, front or right."),
        (f"Dice {name}", "", "2|A and B| / (|A| + |B|) of the slice; 0 where only one has a contour."),
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Two segments of one name get numbers, because columns are found by their names."""
    return [
        name if names.count(name) == 1 else f"{name} {names[:number].count(name) + 1}"
        for number, name in enumerate(names)
    ]


def _updateSeries(scene: Any, chart: Any, table: Any, names: Sequence[str]) -> None:
    series = [one for one in _nodes(scene, "vtkMRMLPlotSeriesNode") if one.GetAttribute(ROLE_ATTRIBUTE) == CURVE_SERIES]
    for extra in series[len(names) :]:
        scene.RemoveNode(extra)
    for number, name in enumerate(names):
        if number < len(series):
            node = series[number]
        else:
            node = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", scene.GenerateUniqueName(f"Dice {name}"))
            node.SetAttribute(ROLE_ATTRIBUTE, CURVE_SERIES)
            node.SetPlotType(node.PlotTypeScatter)
            node.SetMarkerStyle(node.MarkerStyleCircle)
            node.SetColor(*_COLOURS[number % len(_COLOURS)])
        node.SetName(name)
        node.SetAndObserveTableNodeID(table.GetID())
        node.SetXColumnName(f"{POSITION} {name}")
        node.SetYColumnName(f"Dice {name}")
        if not chart.HasPlotSeriesNodeID(node.GetID()):
            chart.AddAndObservePlotSeriesNodeID(node.GetID())
    chart.SetTitle("Dice along the slices")
    chart.SetXAxisTitle("Position along the slice axis (mm)")
    chart.SetYAxisTitle("Dice")
    chart.YAxisRangeAutoOff()
    chart.SetYAxisRange(0.0, 1.0)


def _nodes(scene: Any, className: str) -> list[Any]:
    return [scene.GetNthNodeByClass(number, className) for number in range(scene.GetNumberOfNodesByClass(className))]
