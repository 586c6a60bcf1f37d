"""What a user does with the Segment Editor effect "PET/CT Fusion"; in the panel's own editor."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.inference.clicks import REACH_MM
from PETCTFusionSegLib.effect.registration import EFFECT_NAME, registerEffect
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode

from .application import SlicerApplication, require
from .steps import chooseStudy
from .study import BALL_CENTRE_MM, BALL_RADIUS_MM, StudyNodes, imageOfReference

Mask = NDArray[np.bool_]
Point = tuple[float, float, float]
_LPS = np.array([-1.0, -1.0, 1.0])


class DrawnStudy:
    """The small study, an empty segment "Drawn" in the editor, and the effect switched on."""

    def __init__(self, app: SlicerApplication) -> None:
        self.app = app
        self.study: StudyNodes = chooseStudy(app)
        self.node = app.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn by hand")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.study.ct)
        self.segmentId = str(self.node.GetSegmentation().AddEmptySegment("drawn", "Drawn"))
        app.panel.editor.edit(self.node, self.study.ct)
        self.editor: Any = app.ui.segmentEditorWidget
        self.editor.setCurrentSegmentID(self.segmentId)
        if self.editor.effectByName(EFFECT_NAME) is None:
            registerEffect()
        # The panel shares its study and worker with the effect when it is entered.
        app.widget.enter()
        self.editor.setActiveEffectByName(EFFECT_NAME)
        self.effect: Any = self.editor.effectByName(EFFECT_NAME)
        require(self.effect is not None, "the effect is not in the Segment Editor")
        require(self.effect.active(), "the effect cannot be switched on")

    @property
    def fusion(self) -> Any:
        """What the effect does in this editor."""
        return self.effect.self().fusion

    @property
    def sentence(self) -> str:
        """The line under the effect's options."""
        return str(self.fusion.form.ui.fusionStatusLabel.text)

    def mask(self, segmentId: str = "") -> Mask:
        """A segment on the CT's grid."""
        image = segmentImage(self.node, segmentId or self.segmentId, self.study.ct)
        return np.asarray(sitk.GetArrayFromImage(image) != 0)

    def truth(self) -> Mask:
        """The hot ball on the CT's grid."""
        return np.asarray(sitk.GetArrayFromImage(imageOfReference(self.study)) != 0)

    def draw(self, mask: Mask, segmentId: str = "") -> None:
        """Draw by other means: the segment becomes this mask."""
        image = geometryOfVolumeNode(self.study.ct).image(mask.astype(np.uint8))
        setSegmentImage(self.node, segmentId or self.segmentId, image)

    def distanceMm(self, point: Point) -> NDArray[np.float64]:
        """Distance of every voxel of the CT from a RAS point."""
        grid = geometryOfVolumeNode(self.study.ct)
        index = np.indices(grid.shape).reshape(3, -1)[::-1].T.astype(np.float64)
        away = np.linalg.norm(grid.points(index) - np.asarray(point) * _LPS, axis=1)
        return np.asarray(away.reshape(grid.shape))

    def addBox(self, centre: Point, sizeMm: float) -> Any:
        """A box that is chosen in the effect."""
        roi = self.app.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Story box")
        roi.SetSize(sizeMm, sizeMm, sizeMm)
        roi.SetCenterWorld(list(centre))
        self.effect.setParameter("Tool", "box")
        self.effect.setNodeReference("Box", roi)
        return roi

    def waitForRun(self) -> None:
        """Until the run in the box or around the click is over."""
        self.app.wait(lambda: not self.fusion.run.busy, f"the local run ends ({self.sentence!r})", 60)


def ballCentre() -> Point:
    """The middle of the hot ball, RAS mm."""
    x, y, z = (float(value) for value in BALL_CENTRE_MM * _LPS)
    return x, y, z


def theBrushPaintsWhatIsHot(app: SlicerApplication) -> None:
    """The SUV brush paints the hot ball and not what is around it, with every rule; a stroke is one step of undo."""
    drawn = DrawnStudy(app)
    truth = drawn.truth()
    drawn.effect.setParameter("DiameterMm", "70")
    for rule in ("percent", "fixed", "gradient"):
        drawn.effect.setParameter("Rule", rule)
        require(drawn.fusion.beginStroke() and drawn.fusion.paint(ballCentre()), drawn.sentence)
        painted = drawn.mask()
        dice = 2 * int((painted & truth).sum()) / (int(painted.sum()) + int(truth.sum()))
        require(dice > 0.9, f"the {rule} brush agrees with the ball only by a Dice of {dice:.2f}")
        drawn.editor.undo()
        require(not drawn.mask().any(), f"undo left something of the {rule} stroke")
    drawn.effect.setParameter("Shape", "circle")
    require(drawn.fusion.beginStroke() and drawn.fusion.paint(ballCentre(), (0.0, 0.0, 1.0)), drawn.sentence)
    slices = int(drawn.mask().any(axis=(1, 2)).sum())
    require(slices == 1, f"the circle painted {slices} slices")


def theBrushRespectsMasking(app: SlicerApplication) -> None:
    """Where masking keeps the brush out of another segment, or overwriting is off, that segment keeps its voxels."""
    drawn = DrawnStudy(app)
    other = str(drawn.node.GetSegmentation().AddEmptySegment("other", "Other"))
    half = drawn.truth()
    half[:, :, : half.shape[2] // 2 + int(BALL_RADIUS_MM / 9)] = False
    drawn.draw(half, other)
    require(half.any() and not half.all(), "the story's second segment is empty")
    node = drawn.editor.mrmlSegmentEditorNode()
    drawn.effect.setParameter("DiameterMm", "70")
    node.SetMaskMode(drawn.node.EditAllowedOutsideAllSegments)
    drawn.fusion.beginStroke()
    drawn.fusion.paint(ballCentre())
    painted = drawn.mask()
    require(painted.any() and not (painted & half).any(), "the brush painted over a masked segment")
    require(np.array_equal(drawn.mask(other), half), "the masked segment changed")
    drawn.editor.undo()
    node.SetMaskMode(drawn.node.EditAllowedEverywhere)
    node.SetOverwriteMode(node.OverwriteAllSegments)
    drawn.fusion.beginStroke()
    drawn.fusion.paint(ballCentre())
    taken = drawn.mask() & half
    require(taken.sum() > 0.8 * half.sum(), "the brush did not overwrite the other segment")
    require(np.array_equal(drawn.mask(other), half & ~taken), "overwriting did not take the voxels away")


def aClickRunsTheNetworkAroundIt(app: SlicerApplication) -> None:
    """A click adds the region around it by a run in the background; what is drawn meanwhile stays; a click removes."""
    drawn = DrawnStudy(app)
    point = ballCentre()
    require(drawn.fusion.click(point, True), drawn.sentence)
    require(drawn.fusion.run.busy, "a click without a result did not start a run")
    meanwhile = np.zeros_like(drawn.mask())
    meanwhile[2:5, 2:5, 2:5] = True
    drawn.draw(meanwhile)
    drawn.waitForRun()
    mask, away = drawn.mask(), drawn.distanceMm(point)
    require(mask[np.unravel_index(np.argmin(away), away.shape)], f"the clicked voxel was not added: {drawn.sentence!r}")
    require((mask & meanwhile).sum() == meanwhile.sum(), "what was drawn during the run is gone")
    spacing = max(geometryOfVolumeNode(drawn.study.ct).spacing)
    far = mask & ~meanwhile & (away > REACH_MM + spacing)
    require(not far.any(), f"the click changed {int(far.sum())} voxels far from it")
    drawn.editor.undo()
    require(np.array_equal(drawn.mask(), meanwhile), "undo did not take back the click alone")
    drawn.draw(drawn.truth() | meanwhile)
    require(drawn.fusion.click(point, False), drawn.sentence)
    require(not drawn.fusion.run.busy, "giving a region up needs no run")
    require(np.array_equal(drawn.mask(), meanwhile), "the region under the click was not given up")


def theNetworkStaysInItsBox(app: SlicerApplication) -> None:
    """The network in a box adds to the segment inside the box alone, or makes a new segmentation there."""
    drawn = DrawnStudy(app)
    everywhere = np.zeros_like(drawn.mask())
    everywhere[::16, ::16, ::16] = True
    drawn.draw(everywhere)
    sizeMm = 90.0
    drawn.addBox(ballCentre(), sizeMm)
    drawn.fusion.boxClicked()
    require(drawn.fusion.run.busy, drawn.sentence)
    require(str(drawn.fusion.form.ui.fusionRunButton.text) == "Cancel", "the run cannot be cancelled")
    drawn.waitForRun()
    grid = geometryOfVolumeNode(drawn.study.ct)
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T.astype(np.float64)
    offset = np.abs(grid.points(index) - BALL_CENTRE_MM).max(axis=1).reshape(grid.shape)
    outside = offset > sizeMm / 2 + 0.01
    mask = drawn.mask()
    require(np.array_equal(mask & outside, everywhere & outside), "something outside the box changed")
    require((mask & everywhere).sum() == everywhere.sum(), "the network erased what was drawn")
    before = len(_segmentations(app))
    drawn.effect.setParameter("Output", "new")
    drawn.fusion.boxClicked()
    drawn.waitForRun()
    found = _segmentations(app)
    require(len(found) == before + 1, f"no new segmentation; the effect says {drawn.sentence!r}")
    require(np.array_equal(drawn.mask(), mask), "the selected segment changed, although the result went elsewhere")
    newest = found[-1]
    ids = newest.GetSegmentation().GetSegmentIDs()
    total = sum(sitk.GetArrayFromImage(segmentImage(newest, one, drawn.study.ct)) for one in ids) != 0
    require(not (total & outside).any(), "the new segmentation reaches beyond the box")


def aDeletedSegmentDropsTheResult(app: SlicerApplication) -> None:
    """When the segment is deleted during the run, the result is dropped with a sentence, and nothing else changes."""
    drawn = DrawnStudy(app)
    other = str(drawn.node.GetSegmentation().AddEmptySegment("other", "Other"))
    drawn.addBox(ballCentre(), 90.0)
    drawn.fusion.boxClicked()
    require(drawn.fusion.run.busy, drawn.sentence)
    drawn.node.GetSegmentation().RemoveSegment(drawn.segmentId)
    drawn.waitForRun()
    require("Drawn" in drawn.sentence and "dropped" in drawn.sentence, f"the effect says {drawn.sentence!r}")
    require(not drawn.mask(other).any(), "the result went into another segment")


def _segmentations(app: SlicerApplication) -> list[Any]:
    count = app.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    return [app.scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]


STORIES = (
    theBrushPaintsWhatIsHot,
    theBrushRespectsMasking,
    aClickRunsTheNetworkAroundIt,
    theNetworkStaysInItsBox,
    aDeletedSegmentDropsTheResult,
)
