"""Table nodes of the live numbers: one row a segment, one row a lesion. Written in place, so that views keep them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import vtk

from petctfusion.errors import FusionError
from petctfusion.metrics.comparison import NO_CONTOUR
from petctfusion.metrics.masks import BoolArray
from petctfusion.metrics.matching import LesionMatching, match_lesions

from .live import LiveRow

ROLE_ATTRIBUTE = "PETCTFusionSeg.Role"
SEGMENT_TABLE, LESION_TABLE = "SegmentComparison", "LesionComparison"
COMPUTING = "computing..."
LESIONS = "lesions"
_DISTANCES = "surfaces are mask voxels with a 6-neighbour outside; distances between voxel centres"
SEGMENT_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("Segment", "", "The predicted segment."),
    ("Reference", "", "What it is compared with."),
    ("Dice", "", "2|A and B| / (|A| + |B|); both empty 1, one empty 0."),
    ("HD95", "mm", f"The larger of the two directed 95th percentiles; {_DISTANCES}."),
    ("HD", "mm", f"The largest surface distance; {_DISTANCES}."),
    ("ASSD", "mm", f"Mean of all surface distances of both directions; {_DISTANCES}."),
    ("NSD", "", "Part of both surfaces (by area) within the tolerance."),
    ("Tolerance", "mm", "Tolerance of the NSD."),
    ("Volume", "ml", "Of the segment."),
    ("Reference volume", "ml", ""),
    ("Difference", "ml", "Segment minus reference."),
    ("Note", "", "What has to be said beside the numbers."),
)
LESION_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("Segment", "", "The predicted segment."),
    (
        "Found",
        "",
        "tp: a lesion of the reference that is met; fn: one that is missed; fp: one that is not in the reference.",
    ),
    ("Volume", "ml", "Of the predicted lesions of the row."),
    ("Reference volume", "ml", ""),
    ("Dice", "", "Of these lesions alone."),
    ("HD95", "mm", f"Of these lesions alone: the larger of the two directed 95th percentiles; {_DISTANCES}."),
    ("R", "mm", "Centre, world RAS."),
    ("A", "mm", "Centre, world RAS."),
    ("S", "mm", "Centre, world RAS."),
)


def distanceText(value_mm: float | None, digits: int = 1) -> str:
    """A distance as a person reads it; an infinite one is "no contour"."""
    if value_mm is None:
        return ""
    return f"{value_mm:.{digits}f}" if math.isfinite(value_mm) else NO_CONTOUR


def segmentCells(row: LiveRow) -> tuple[str, ...]:
    """The cells of one row of the segment table; without current numbers the state stands where Dice would."""
    found = row.numbers
    if found is None or row.volume_ml is None:
        state = COMPUTING if row.state in ("computing", "empty") else row.state
        return (row.name, row.referenceName, state, *[""] * 8, row.sentence if row.state != "computing" else "")
    return (
        row.name,
        row.referenceName,
        f"{found.dice:.4f}",
        distanceText(found.hd95_mm, 2),
        distanceText(found.hd_mm, 2),
        distanceText(found.assd_mm, 3),
        f"{found.nsd:.4f}",
        f"{found.nsd_tolerance_mm:.2f}",
        f"{row.volume_ml:.3f}",
        f"{found.reference_volume_ml:.3f}",
        f"{row.volume_ml - found.reference_volume_ml:+.3f}",
        row.note,
    )


def lesionRows(row: LiveRow) -> list[tuple[str, ...]] | None:
    """The cells of a segment's lesions; None while they are being computed, which this starts.

    Matching takes up to a tenth of a second on a whole body, so it is done in the background.
    """
    follower = row.pair.follower
    if follower is None or row.numbers is None:
        return None
    found = follower.answer(LESIONS)
    if found is None:
        spacing = row.pair.grid().spacing_zyx
        follower.ask(LESIONS, lambda prediction, reference: _matched(prediction, reference, spacing))
        return None
    if isinstance(found, FusionError):
        return [(row.name, str(found), *[""] * (len(LESION_COLUMNS) - 2))]
    return [_lesionCells(row, one) for one in found.rows]


def updateSegmentTable(scene: Any, rows: Sequence[LiveRow]) -> Any:
    """Write the table of all segments; returns its node, the same one every time."""
    node = ourNode(scene, "vtkMRMLTableNode", SEGMENT_TABLE, "Comparison with the reference")
    tolerances = {f"{row.numbers.nsd_tolerance_mm:.2f} mm" for row in rows if row.numbers is not None}
    said = f" Here {', '.join(sorted(tolerances))}." if tolerances else ""
    columns = [(name, unit, text + said if name == "NSD" else text) for name, unit, text in SEGMENT_COLUMNS]
    writeTable(node, columns, [segmentCells(row) for row in rows])
    return node


def updateLesionTable(scene: Any, rows: Sequence[LiveRow]) -> tuple[Any, bool]:
    """Write the table of all lesions; returns its node, and False while lesions are still being computed.

    Rows of a segment whose lesions are not current are left out: a stale lesion is never shown.
    """
    node = ourNode(scene, "vtkMRMLTableNode", LESION_TABLE, "Lesions")
    found = [lesionRows(row) for row in rows]
    writeTable(node, LESION_COLUMNS, [cells for lesions in found if lesions is not None for cells in lesions])
    return node, all(lesions is not None for lesions in found)


def ourNode(scene: Any, className: str, role: str, name: str) -> Any:
    """The scene's node of this role, made when there is none; it is found by its attribute, whatever its name."""
    for number in range(scene.GetNumberOfNodesByClass(className)):
        node = scene.GetNthNodeByClass(number, className)
        if node.GetAttribute(ROLE_ATTRIBUTE) == role:
            return node
    node = scene.AddNewNodeByClass(className, scene.GenerateUniqueName(name))
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    return node


def writeTable(node: Any, columns: Sequence[tuple[str, str, str]], cells: Sequence[Sequence[Any]]) -> None:
    """Replace the content of a table node; columns (name, unit, description) are made once and then kept.

    A column of numbers becomes one of doubles (NaN is an empty cell), any other one of texts. One modified event.
    """
    busy = node.StartModify()
    try:
        table = node.GetTable()
        for position, (name, unit, description) in enumerate(columns):
            _fill(node, table, position, name, [row[position] for row in cells])
            node.SetColumnUnitLabel(name, unit)
            node.SetColumnDescription(name, description)
            node.SetColumnTitle(name, f"{name} ({unit})" if unit else name)
        while table.GetNumberOfColumns() > len(columns):
            node.RemoveColumn(len(columns))
        table.Modified()
        node.SetUseColumnTitleAsColumnHeader(True)
        node.Modified()
    finally:
        node.EndModify(busy)


def _fill(node: Any, table: Any, position: int, name: str, values: Sequence[Any]) -> None:
    """Write one column, made anew where it has another name or kind. A table refuses a new column of another length."""
    column: Any = table.GetColumn(position) if position < table.GetNumberOfColumns() else None
    numbers = all(isinstance(value, float) for value in values) if values else isinstance(column, vtk.vtkDoubleArray)
    kind = vtk.vtkDoubleArray if numbers else vtk.vtkStringArray
    fits = column is not None and column.GetName() == name and isinstance(column, kind)
    if not fits:
        while table.GetNumberOfColumns() > position:
            node.RemoveColumn(position)
        column = kind()
        column.SetName(name)
    column.SetNumberOfValues(len(values))
    for line, value in enumerate(values):
        column.SetValue(line, value)
    column.Modified()
    if not fits:
        table.AddColumn(column)


def _matched(prediction: BoolArray, reference: BoolArray, spacing_mm: tuple[float, float, float]) -> LesionMatching:
    return match_lesions(prediction, reference, spacing_mm, connectivity=18)


def _lesionCells(row: LiveRow, lesion: Any) -> tuple[str, ...]:
    place = row.pair.ras(lesion.centre_index)
    return (
        row.name,
        lesion.kind,
        f"{lesion.volume_ml:.3f}",
        f"{lesion.reference_volume_ml:.3f}",
        f"{lesion.dice:.4f}",
        distanceText(lesion.hd95_mm, 2),
        *(f"{value:.1f}" for value in place),
    )
