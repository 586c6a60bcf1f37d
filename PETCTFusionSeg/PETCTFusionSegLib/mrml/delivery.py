"""Files of a study's contours in one folder: saved whole or not at all, re-read and compared before anybody says so.

start: .seg.nrrd, copies of voxels and PET, comparison begins --> background thread: the other files, all re-read
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError, FusionError, OutputError
from petctfusion.metrics.background import BackgroundThread
from petctfusion.volumes import write_volume
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.segnrrd import segments_of
from PETCTFusionSegLib.i18n import _

from .delivery_tables import ContourLesions, comparisonCsv, lesionCsv, writeText
from .lesion_decisions import Record, decisionsOf, readRecords
from .lesion_list import PetCopy, copyPet, measuredRows
from .lesion_rows import SegmentCopy, copySegment
from .live import LiveComparisons
from .live_source import RawMask
from .live_tables import segmentCells
from .rejected import contourIds
from .saving import saveSegmentation
from .transforms import ijkToRasOfGeometry
from .volumes import geometryOfVolumeNode

SEGMENTATION, LABELS, LESIONS, COMPARISON = ".seg.nrrd", ".nii.gz", "_lesions.csv", "_comparison.csv"
ENDINGS = (SEGMENTATION, LABELS, LESIONS, COMPARISON)
_NOT_IN_NAMES = re.compile(r"[^\w\-. ]+")


class Delivery:
    """One saving of a segmentation. Call `start`, then `poll` until it says True; `files` are complete and checked."""

    def __init__(self, scene: Any, segmentation: Any, ct: Any, pet: Any, reference: Any = None) -> None:
        """`ct` gives the grid of the label map; `pet` and `reference` may be None."""
        self._scene = scene
        self._node, self._ct, self._pet, self._reference = segmentation, ct, pet, reference
        self._thread = BackgroundThread("delivery")
        self._comparison: LiveComparisons | None = None
        self._write: Callable[[list[tuple[str, ...]]], None] | None = None
        self._done = threading.Event()
        self.files: list[Path] = []
        self.notes: list[str] = []
        """What the user should know about the files."""
        self.error: BaseException | None = None

    def start(self, folder: str) -> None:
        """Write the segmentation as it is now, and copy what the other files need.

        Raises `BadInputError` when there is nothing to save, `OutputError` when the folder cannot be used.
        """
        place = _checkedFolder(folder)
        contours = {one: copySegment(self._node, one) for one in _requireContours(self._node)}
        voxels = {one: [copy for copy in copies if not copy.rejected] for one, copies in contours.items()}
        if not any(voxels.values()):
            raise BadInputError(
                _('There is nothing to save: "{name}" is empty.').format(name=self._node.GetName()),
                _("Draw a contour first."),
            )
        stem = freeStem(place, str(self._node.GetName()))
        self.files.append(saveSegmentation(self._node, place / (stem + SEGMENTATION)))
        names = {one: str(self._node.GetSegmentation().GetSegment(one).GetName()) for one in contours}
        grid = _gridOfLabels(self._node, self._ct)
        files = _Files(
            place / stem,
            _stored(self._node, contours),
            contours,
            names,
            readRecords(self._node),
            copyPet(self._pet),
            grid,
        )
        self._write = lambda cells: files.write(cells, self.files, self.notes)
        if self._node.GetParentTransformNode() is not None:
            self.notes.append(_("The .seg.nrrd file is saved without the parent transform, as Slicer does."))
        self._compare()

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Give the background up to `timeout_s`; True when everything is saved, or `error` says why not."""
        if self._write is not None:
            if self._comparison is not None:
                self._comparison.poll(timeout_s)
                if self._comparison.busy:
                    return False
            rows = self._comparison.rows() if self._comparison is not None else []
            write, self._write = self._write, None
            cells = [segmentCells(row) for row in rows]
            self._thread.submit("write", lambda: self._run(write, cells))
        return self._done.wait(timeout_s)

    def close(self, wait: bool = False) -> None:
        """Let go of nodes and thread; a file that is being written is finished, and `wait` waits for that."""
        if self._comparison is not None:
            self._comparison.close(wait=False)
        self._comparison = self._write = None
        self._thread.close(wait)

    def _compare(self) -> None:
        if self._reference is None or self._reference is self._node:
            return
        self._comparison = LiveComparisons(self._scene)
        try:
            self._comparison.follow(self._node, self._reference)
        except FusionError as error:
            self.notes.append(_("There is no comparison: {reason}").format(reason=error))
            self._comparison.close(wait=False)
            self._comparison = None

    def _run(self, write: Callable[[list[tuple[str, ...]]], None], cells: list[tuple[str, ...]]) -> None:
        try:
            write(cells)
        except Exception as error:
            self.error = error
        finally:
            self._done.set()


@dataclass(frozen=True)
class _Files:
    """What the files will hold, copied from the nodes; writing them touches no node."""

    path: Path
    """Without an ending."""
    stored: Mapping[str, RawMask | None]
    contours: Mapping[str, list[SegmentCopy]]
    names: Mapping[str, str]
    records: Sequence[Record]
    pet: PetCopy
    grid: Geometry | None

    def write(self, comparison: list[tuple[str, ...]], files: list[Path], notes: list[str]) -> None:
        """Check the .seg.nrrd file, then write and check the others; `files` and `notes` grow."""
        try:
            requireStored(files[0], self.stored)
        except FusionError:
            files.clear()
            raise
        if self.grid is None:
            notes.append(_("There is no label map: choose the CT, whose grid it takes."))
        else:
            labels = self.grid.image(self._labels(self.grid, notes))
            path = write_volume(labels, self._named(LABELS))
            requireEqual(path, labels)
            files.append(path)
        legend = list(self.names.values()) if self.grid is not None else []
        files.append(writeText(self._named(LESIONS), lesionCsv([self._lesions(one) for one in self.contours], legend)))
        if comparison:
            files.append(writeText(self._named(COMPARISON), comparisonCsv(comparison)))

    def _named(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def _labels(self, grid: Geometry, notes: list[str]) -> NDArray[Any]:
        labels = np.zeros(grid.shape, dtype=np.uint8 if len(self.contours) < 256 else np.uint16)
        shared, remarks = 0, []
        for value, copies in enumerate(self.contours.values(), start=1):
            for raw in (one.raw for one in copies if not one.rejected):
                inside = raw.onGrid(grid)
                shared += int(np.count_nonzero(labels[inside]))
                labels[inside & (labels == 0)] = value
                remarks.append(_remark(raw, grid))
        if shared:
            sentence = _("{n} voxels lie in two segments: in the label map they belong to the first.")
            remarks.append(sentence.format(n=shared))
        notes.extend(dict.fromkeys(remark for remark in remarks if remark))
        return labels

    def _lesions(self, segmentId: str) -> ContourLesions:
        rows, sentence = measuredRows(self.contours[segmentId], self.pet)
        return ContourLesions(self.names[segmentId], rows, decisionsOf(self.records, rows), sentence)


def freeStem(folder: Path, name: str) -> str:
    """A name for the files in `folder` under which none exists yet: the name itself, otherwise with a number."""
    stem = _NOT_IN_NAMES.sub("_", name).strip(". ") or "Segmentation"
    number, tried = 1, stem
    while any((folder / (tried + ending)).exists() for ending in ENDINGS):
        number += 1
        tried = f"{stem}_{number}"
    return tried


def requireStored(path: Path, wanted: Mapping[str, RawMask | None]) -> None:
    """Read a .seg.nrrd file without Slicer; `OutputError` (and no file) when a segment is not in it voxel for voxel.

    `wanted` has the voxels by segment id, on lattices below the parent transforms; None: an empty segment.
    """
    try:
        image = sitk.ReadImage(str(path))
        layers: NDArray[Any] = sitk.GetArrayViewFromImage(image)
        layers = layers[..., None] if layers.ndim == 3 else layers
        lattice = ijkToRasOfGeometry(Geometry.of(image))
        found = {one.id: layers[..., one.layer] == one.value for one in segments_of(image)}
        equal = set(found) == set(wanted) and all(_sameVoxels(found[one], raw, lattice) for one, raw in wanted.items())
    except (RuntimeError, IndexError) as error:
        raise _different(path) from error
    if not equal:
        raise _different(path)


def requireEqual(path: Path, wanted: sitk.Image) -> None:
    """Read a label map back; `OutputError` (and no file) when a voxel or the place differs."""
    try:
        read = sitk.ReadImage(str(path))
        same = Geometry.of(read).same_grid(Geometry.of(wanted), tolerance_mm=0.01)
        equal = same and np.array_equal(sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(wanted))
    except RuntimeError as error:
        raise _different(path) from error
    if not equal:
        raise _different(path)


def _sameVoxels(found: NDArray[np.bool_], raw: RawMask | None, lattice: NDArray[np.float64]) -> bool:
    if raw is None:
        return not found.any()
    offset = raw.offset(lattice)
    if offset is None:
        return False
    placed = raw.moved(offset)
    whole = (slice(0, found.shape[0]), slice(0, found.shape[1]), slice(0, found.shape[2]))
    return not placed.leaves(whole) and np.array_equal(placed.on(found.shape), found)


def _remark(raw: RawMask, grid: Geometry) -> str:
    offset = raw.offset(ijkToRasOfGeometry(grid))
    if offset is None:
        return _("The label map is resampled to the grid of the CT.")
    z, y, x = grid.shape
    if raw.moved(offset).leaves((slice(0, z), slice(0, y), slice(0, x))):
        return _("The label map leaves out what lies beyond the CT.")
    return ""


def _gridOfLabels(node: Any, ct: Any) -> Geometry | None:
    """The grid on which the segmentation was made, as long as its volume is there, otherwise that of the CT."""
    own = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    volume = own if own is not None and own.GetImageData() is not None else ct
    return geometryOfVolumeNode(volume) if volume is not None else None


def _different(path: Path) -> OutputError:
    path.unlink(missing_ok=True)
    return OutputError(
        _("{file} did not hold the same voxels when it was read back, and was removed.").format(file=path.name),
        _("Choose another folder or disk, and save again."),
    )


def _stored(node: Any, contours: Mapping[str, list[SegmentCopy]]) -> dict[str, RawMask | None]:
    """The voxels of every segment, rejected ones too, on lattices below the parent transforms."""
    found: dict[str, RawMask | None] = {str(one): None for one in node.GetSegmentation().GetSegmentIDs()}
    copies = (copy for parts in contours.values() for copy in parts)
    return {**found, **{copy.holderId: RawMask(copy.raw.placed, copy.ijkToLocal) for copy in copies}}


def _requireContours(node: Any) -> list[str]:
    found = contourIds(node) if node is not None else []
    if not found:
        raise BadInputError(_("There is nothing to save."), _("Segment a study, or choose a segmentation under Edit."))
    return found


def _checkedFolder(folder: str) -> Path:
    if not folder.strip():
        raise OutputError(_("No folder is chosen."), _("Choose one."))
    place = Path(folder.strip()).expanduser().absolute()
    if not place.is_dir():
        raise OutputError(_("{folder} is not a folder.").format(folder=place), _("Choose one that exists."))
    return place
