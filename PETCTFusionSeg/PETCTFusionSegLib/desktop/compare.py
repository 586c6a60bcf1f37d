"""The table of Dice, HD95 and volumes, recomputed on demand and a moment after the last edit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import FusionError
from petctfusion.metrics import Comparison, compare
from PETCTFusionSegLib.mrml.segmentations import referenceMask, segmentImage
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode

DEBOUNCE_MS = 250
COLUMNS = ("Segment", "Dice", "HD95 (mm)", "Volume (ml)", "Reference (ml)")
DEFINITION = (
    "Dice = 2|A and B| / (|A| + |B|). HD95: surfaces are mask voxels with a 6-neighbour outside (the image border "
    "counts as outside); distances between voxel centres in mm; the larger of the two directed 95th percentiles. "
    "Compared in physical space on the reference's grid."
)
ALL_SEGMENTS = "All segments"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    comparison: Comparison

    def texts(self) -> tuple[str, str, str, str, str]:
        """The cells, in the order of `COLUMNS`."""
        found = self.comparison
        hd95 = f"{found.hd95_mm:.1f}" if math.isfinite(found.hd95_mm) else found.hd95_note
        return (
            self.name,
            f"{found.dice:.3f}",
            hd95,
            f"{found.volume_ml:.1f}",
            f"{found.reference_volume_ml:.1f}",
        )


def comparisonRows(segmentation: Any, reference: Any, ct: Any) -> list[Row]:
    """Every segment against the reference (all its labels joined), and their union when there are several."""
    truth = _referenceImage(reference, ct)
    names = {key: segmentation.GetSegmentation().GetSegment(key).GetName() for key in _segmentIds(segmentation)}
    rows = [Row(name, compare(segmentImage(segmentation, key, ct), truth)) for key, name in names.items()]
    if len(rows) > 1:
        rows.append(Row(ALL_SEGMENTS, compare(referenceMask(segmentation, ct), truth)))
    return rows


def _segmentIds(segmentation: Any) -> list[str]:
    return [str(key) for key in segmentation.GetSegmentation().GetSegmentIDs()]


def _referenceImage(reference: Any, ct: Any) -> sitk.Image:
    """A label map stays on its own grid; a segmentation has none of its own and is taken on the CT's."""
    if reference.IsA("vtkMRMLScalarVolumeNode"):
        return sitk.Cast(imageFromVolumeNode(reference) != 0, sitk.sitkUInt8)
    return referenceMask(reference, ct)


class EditObserver:
    """Calls back after edits of any of the watched nodes.

    Undo and redo fire only SegmentModified, brushes only the representation events, so all are observed
    (and one stroke fires several: `changed` is meant for a single-shot timer).
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._tags: list[tuple[Any, int]] = []

    def watch(self, *nodes: Any) -> None:
        """Observe these nodes and no others; None is skipped."""
        self.stop()
        for node in nodes:
            if node is not None:
                self._tags += [(node, node.AddObserver(event, self._onEvent)) for event in _events(node)]

    def stop(self) -> None:
        """Observe nothing."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []

    def _onEvent(self, _caller: Any, _event: str, _segmentId: Any = None) -> None:
        self._changed()


def _events(node: Any) -> list[int]:
    import slicer

    events = [slicer.vtkMRMLTransformableNode.TransformModifiedEvent]
    if node.IsA("vtkMRMLSegmentationNode"):
        kind = slicer.vtkSegmentation
        events += [kind.SourceRepresentationModified, kind.RepresentationModified, kind.SegmentModified]
        events += [kind.SegmentAdded, kind.SegmentRemoved]
    else:
        events.append(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
    return events


class ComparisonTable:
    """The table widget, its line below, and the debounced recomputation."""

    def __init__(self, table: Any, label: Any, nodes: Callable[[], tuple[Any, Any, Any]]) -> None:
        """`nodes` gives segmentation, reference and CT as chosen now, each a node or None."""
        import qt

        self._table = table
        self._label = label
        self._nodes = nodes
        self.live = True
        self._observer = EditObserver(self._edited)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.connect("timeout()", self.recompute)
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels(list(COLUMNS))
        table.toolTip = DEFINITION
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)

    @property
    def ready(self) -> bool:
        """True when there is something to compare."""
        return all(node is not None for node in self._nodes())

    def follow(self) -> None:
        """Watch the nodes chosen now, and show their numbers."""
        segmentation, reference, _ct = self._nodes()
        self._observer.watch(segmentation, reference)
        self._edited()

    def stop(self) -> None:
        """Let go of every node; used when the scene closes."""
        self._timer.stop()
        self._observer.stop()
        self._show([], "")

    def recompute(self) -> None:
        """Compute and show now; what cannot be compared becomes the line below the table."""
        self._timer.stop()
        segmentation, reference, ct = self._nodes()
        if segmentation is None or reference is None or ct is None:
            missing = "Choose a reference to see Dice and HD95." if reference is None else "There is no result yet."
            self._show([], missing)
            return
        try:
            rows = comparisonRows(segmentation, reference, ct)
        except FusionError as error:
            self._show([], str(error))
            return
        self._show(rows, f'"{segmentation.GetName()}" against "{reference.GetName()}".')

    def _edited(self) -> None:
        if self.live:
            self._timer.start()

    def _show(self, rows: list[Row], sentence: str) -> None:
        import qt

        self._table.setRowCount(len(rows))
        for line, row in enumerate(rows):
            for column, text in enumerate(row.texts()):
                cell = qt.QTableWidgetItem(text)
                cell.setToolTip(DEFINITION)
                self._table.setItem(line, column, cell)
        self._label.text = sentence
