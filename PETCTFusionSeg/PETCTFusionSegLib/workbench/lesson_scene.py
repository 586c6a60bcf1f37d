"""The nodes of a teaching case: images and the learner's contour; truth and errors only once they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import SimpleITK as sitk

from petctfusion.inference.maps import StudyMap
from petctfusion.phantom.rescan import Scan
from petctfusion.teaching import CaseMaterial
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.hanging import hangStudy
from PETCTFusionSegLib.mrml.imports import StudyJob
from PETCTFusionSegLib.mrml.live_events import EditObserver
from PETCTFusionSegLib.mrml.maps import importMaps, mapsOf, removeMap, showMap
from PETCTFusionSegLib.mrml.segmentations import addContour, contentToken, referenceMask, removeNode, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import fillVolumeNode, volumeNodeFromImage
from PETCTFusionSegLib.mrml.worst_place import centreSliceViews

from .bench import Workbench
from .overlay_switch import OverlaySwitch

DRAWING_RGB, TRUTH_RGB, NETWORK_RGB, THRESHOLD_RGB = (0, 114, 178), (0, 158, 115), (204, 121, 167), (255, 255, 255)
_MARK_MS = 30
_MARK_WAIT_S = 0.01


class LessonScene:
    """One case at a time; a new one takes the nodes of the one before out of the scene."""

    def __init__(self, bench: Workbench, drawn: Callable[[], None]) -> None:
        """`drawn` is called when the learner's contour may have changed."""
        self._bench = bench
        self.ct: Any = None
        self.pet: Any = None
        self.drawing: Any = None
        self._truth: Any = None
        self._contours: dict[str, Any] = {}
        self._overlay: OverlaySwitch | None = None
        self._observer = EditObserver(drawn)
        self._markTimer = bench.makeTimer(_MARK_MS, False, self._mark)

    def open(self, material: CaseMaterial, name: str, drawing: sitk.Image | None = None) -> None:
        """Show a case with an empty contour, or with this one; its truth stays out of the scene."""
        scene, study, before = self._bench.scene, self._bench.study, self._nodes()
        self._observer.stop()
        self.hideErrors()
        for one in mapsOf(scene):
            removeMap(scene, one)
        self.ct = volumeNodeFromImage(scene, material.ct, f"{name} CT", "CT")
        self.pet = volumeNodeFromImage(scene, material.pet, f"{name} PET", "PET")
        empty = Geometry.of(material.ct).empty()
        self.drawing = addContour(scene, drawing or empty, self.ct, _("Your contour"), DRAWING_RGB)
        # A scene numbers names on even when the nodes of the case before have gone.
        for node, text in ((self.ct, "CT"), (self.pet, "PET")):
            node.SetName(f"{name} {text}")
        self.drawing.SetName(_("Your contour"))
        study.ct, study.pet, study.reference, study.output = self.ct, self.pet, None, None
        self._bench.editor.edit(self.drawing, self.ct)
        self._truth, self._contours = None, {}
        for one in before:
            removeNode(scene, one)
        hangStudy(scene, self.ct, self.pet)
        self._observer.watch(scene, self.drawing)

    def close(self) -> None:
        """Let go of every node."""
        self._observer.stop()
        self.hideErrors()
        self.ct = self.pet = self.drawing = self._truth = None
        self._contours = {}

    def drawn(self) -> sitk.Image:
        """What the learner has drawn, on the CT's grid."""
        return referenceMask(self.drawing, self.ct)

    def content(self) -> str:
        """What is drawn, as a short text: two are equal where the voxels are."""
        return contentToken(self.drawing)

    def showScan(self, scan: Scan) -> None:
        """The same patient, scanned otherwise."""
        fillVolumeNode(self.ct, scan.ct)
        fillVolumeNode(self.pet, scan.pet)

    def showContour(
        self, key: str, mask: sitk.Image | None, name: str = "", color: tuple[int, int, int] = TRUTH_RGB
    ) -> None:
        """An outline beside the learner's; None takes it away. The learner cannot choose it in an editor."""
        node = self._contours.pop(key, None)
        if node is not None and mask is not None and self._bench.scene.IsNodePresent(node):
            setSegmentImage(node, node.GetSegmentation().GetNthSegmentID(0), mask)
            self._contours[key] = node
            return
        removeNode(self._bench.scene, node)
        if mask is not None:
            self._contours[key] = self._outline(mask, name, color)

    def shows(self, key: str) -> bool:
        """Whether there is such an outline."""
        return key in self._contours

    def goTo(self, pointLps: tuple[float, float, float]) -> None:
        """Center the slice views on a point (LPS, mm)."""
        x, y, z = pointLps
        centreSliceViews(self._bench.scene, (-x, -y, z))

    # --- where the drawing is wrong

    @property
    def errorsShown(self) -> bool:
        """Whether right and wrong are marked."""
        return self._overlay is not None

    def showErrors(self, truth: sitk.Image) -> None:
        """Mark what is right, too much and missing. Raises `BadInputError` when the two cannot be compared."""
        self.hideErrors()
        self._truth = self._outline(truth, _("Truth of the marks"), TRUTH_RGB, shown=False)
        self._overlay = OverlaySwitch(self._bench.scene)
        self._overlay.show(self.drawing, self._truth)
        self._markTimer.start()

    def hideErrors(self) -> None:
        """Mark nothing any more."""
        self._markTimer.stop()
        if self._overlay is not None:
            self._overlay.hide()
        removeNode(self._bench.scene, self._truth)
        self._overlay = self._truth = None

    def _mark(self) -> None:
        if self._overlay is None or self._overlay.update(_MARK_WAIT_S):
            self._markTimer.stop()

    # --- what the network looked at

    def addMaps(self, maps: Sequence[StudyMap]) -> None:
        """Maps of a run on this case; none is shown yet."""
        importMaps(self._bench.scene, StudyJob.started(self.ct, self.pet), maps)

    def maps(self) -> list[Any]:
        """The case's maps."""
        return mapsOf(self._bench.scene, self.ct) if self.ct is not None else []

    def showMap(self, node: Any) -> None:
        """Lay a map over the slices; None gives the PET back."""
        showMap(self._bench.scene, node)

    def _outline(self, mask: sitk.Image, name: str, color: tuple[int, int, int], shown: bool = True) -> Any:
        node = addContour(self._bench.scene, mask, self.ct, name, color)
        node.SetName(name)
        node.SetHideFromEditors(True)
        display = node.GetDisplayNode()
        display.SetVisibility(shown)
        display.SetOpacity2DFill(0.0)
        return node

    def _nodes(self) -> list[Any]:
        return [one for one in (self.ct, self.pet, self.drawing, *self._contours.values()) if one is not None]
