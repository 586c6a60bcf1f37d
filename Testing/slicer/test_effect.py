"""The Segment Editor effect on the harness: its stories, the mouse, its form, and what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from harness.effects import qMRMLSliceWidget
from harness.proxy import wrap

from PETCTFusionSegLib.effect.options import readOptions
from PETCTFusionSegLib.effect.registration import EFFECT_NAME, registerEffect
from PETCTFusionSegLib.mrml.boxes import labelsOnGrid
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode
from PETCTFusionSegLib.selftest.steps import waitForResult
from PETCTFusionSegLib.selftest.stories_effect import DrawnStudy, ballCentre

command = vtk.vtkCommand


@pytest.fixture
def drawn(application):
    return DrawnStudy(application)


@pytest.fixture
def view(drawn):
    """An axial view through the ball, and a function that sends it a mouse event at a RAS point."""
    node = drawn.app.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    node.SetOrientationToAxial()
    node.SetFieldOfView(200.0, 150.0, 1.0)
    node.JumpSliceByCentering(*ballCentre())
    widget = wrap(qMRMLSliceWidget(node))

    def send(event, point, shift=0, control=0):
        back = vtk.vtkMatrix4x4()
        back.DeepCopy(node.GetXYToRAS())
        back.Invert()
        x, y = back.MultiplyPoint((*point, 1.0))[:2]
        interactor = SimpleNamespace(
            GetEventPosition=lambda: (round(x), round(y)),
            GetShiftKey=lambda: shift,
            GetControlKey=lambda: control,
            GetAltKey=lambda: 0,
        )
        return drawn.effect.self().processInteractionEvents(interactor, event, widget)

    return SimpleNamespace(send=send, widget=widget, node=node)


def moved(point, x_mm):
    return (point[0] + x_mm, point[1], point[2])


# --- the mouse


def test_a_stroke_of_the_mouse_paints_and_is_one_step_of_undo(drawn, view):
    drawn.effect.setParameter("DiameterMm", "16")
    start = moved(ballCentre(), -12.0)
    assert view.send(command.LeftButtonPressEvent, start)
    first = drawn.mask().sum()
    for step in range(1, 25):
        assert view.send(command.MouseMoveEvent, moved(start, float(step)))
    assert view.send(command.LeftButtonReleaseEvent, moved(start, 24.0))
    painted = drawn.mask()
    assert painted.sum() > 2 * first > 0
    assert (painted & ~drawn.truth()).sum() < 0.2 * painted.sum()
    assert not view.send(command.MouseMoveEvent, moved(start, -30.0))
    assert np.array_equal(drawn.mask(), painted)
    drawn.editor.undo()
    assert not drawn.mask().any()


def test_the_view_keeps_its_own_mouse_actions(drawn, view):
    """Shift, Ctrl, the box tool and views that are no slices."""
    centre = ballCentre()
    assert not view.send(command.LeftButtonPressEvent, centre, shift=1)
    assert not view.send(command.LeftButtonPressEvent, centre, control=1)
    assert not view.send(command.MouseWheelForwardEvent, centre)
    assert not view.send(command.LeftButtonReleaseEvent, centre)
    drawn.effect.setParameter("Tool", "box")
    assert not view.send(command.LeftButtonPressEvent, centre)
    other = SimpleNamespace(className=lambda: "qMRMLThreeDWidget")
    assert not drawn.effect.self().processInteractionEvents(None, command.LeftButtonPressEvent, other)
    assert not drawn.mask().any()


def test_shift_and_wheel_size_the_brush_between_its_limits(drawn, view):
    drawn.effect.setParameter("DiameterMm", "30")
    assert view.send(command.MouseWheelForwardEvent, ballCentre(), shift=1)
    assert readOptions(drawn.effect).diameterMm == pytest.approx(36.0)
    assert drawn.fusion.form.ui.fusionDiameter.value == pytest.approx(36.0)
    for _time in range(60):
        view.send(command.MouseWheelBackwardEvent, ballCentre(), shift=1)
    assert readOptions(drawn.effect).diameterMm == 2.0


def test_the_outline_shows_the_brush_and_leaves_with_the_effect(drawn, view):
    drawn.effect.setParameter("DiameterMm", "50")
    view.send(command.MouseMoveEvent, ballCentre())
    (actor,) = view.widget._object.actors
    assert actor.GetVisibility()
    actor.GetMapper().Update()
    bounds = actor.GetMapper().GetInput().GetBounds()
    # 400 pixels for 200 mm.
    assert bounds[1] - bounds[0] == pytest.approx(100.0, abs=1.0)
    view.send(command.LeaveEvent, ballCentre())
    assert not actor.GetVisibility()
    drawn.editor.setActiveEffect(None)
    assert view.widget._object.actors == []


def test_a_circle_follows_the_view_and_a_click_tool_takes_the_button(drawn, view):
    drawn.effect.setParameter("DiameterMm", "60")
    drawn.effect.setParameter("Shape", "circle")
    view.node.SetOrientationToSagittal()
    view.node.JumpSliceByCentering(*ballCentre())
    view.send(command.LeftButtonPressEvent, ballCentre())
    view.send(command.LeftButtonReleaseEvent, ballCentre())
    assert drawn.mask().any(axis=(0, 1)).sum() == 1
    drawn.draw(drawn.truth())
    drawn.effect.setParameter("Tool", "remove")
    assert view.send(command.LeftButtonPressEvent, ballCentre())
    assert not drawn.mask().any()
    assert "shrank" in drawn.sentence


def test_a_hidden_segment_is_not_painted_without_asking(drawn, view):
    drawn.node.GetDisplayNode().SetSegmentVisibility(drawn.segmentId, False)
    assert view.send(command.LeftButtonPressEvent, ballCentre())
    assert not drawn.mask().any()


# --- the form


def test_the_form_and_the_editors_node_hold_the_same(drawn):
    ui = drawn.fusion.form.ui
    ui.fusionRuleSelector.currentIndex = 0
    ui.fusionSuv.value = 7.5
    ui.fusionShapeSelector.currentIndex = 1
    options = readOptions(drawn.effect)
    assert (options.rule.kind, options.rule.suv, options.shape) == ("fixed", 7.5, "circle")
    assert not ui.fusionSuv.isHidden()
    assert ui.fusionPercent.isHidden()
    assert (options.ct, options.pet) == (drawn.study.ct, drawn.study.pet)
    ui.fusionPetSelector.setCurrentNode(None)
    assert readOptions(drawn.effect).pet is None
    drawn.effect.setParameter("Tool", "box")
    assert ui.fusionToolSelector.currentIndex == 3
    assert ui.fusionBrushFrame.isHidden()
    assert not ui.fusionRunButton.enabled
    ui.fusionNewBoxButton.click()
    assert ui.fusionRunButton.enabled
    box = readOptions(drawn.effect).roi
    assert list(box.GetSize()) == [80.0, 80.0, 80.0]


def test_rubbish_in_the_scene_becomes_the_defaults(drawn):
    rubbish = {"Tool": "zap", "Rule": "?", "DiameterMm": "nan", "Suv": "-4", "Percent": "a lot", "Output": ""}
    for name, value in rubbish.items():
        drawn.editor.mrmlSegmentEditorNode().SetAttribute(f"{EFFECT_NAME}.{name}", value)
    options = readOptions(drawn.effect)
    assert (options.tool, options.rule.kind, options.diameterMm) == ("brush", "percent", 30.0)
    assert (options.rule.suv, options.rule.percent, options.output) == (4.0, 40.0, "segment")
    drawn.fusion.showOptions()


def test_the_effect_is_registered_once_and_has_an_icon(drawn):
    registerEffect()
    assert drawn.editor.effectByName(EFFECT_NAME) == drawn.effect
    assert drawn.effect.title == "PET/CT Fusion"
    assert not drawn.effect.self().icon().isNull()
    assert "SUV brush" in drawn.effect.self().helpText()


# --- what goes wrong is said


def test_what_is_missing_is_said_in_one_line(drawn):
    drawn.effect.setNodeReference("PET", None)
    assert drawn.fusion.beginStroke()
    assert not drawn.fusion.paint(ballCentre())
    assert "needs a PET" in drawn.sentence
    assert not drawn.fusion.click(ballCentre(), True)
    assert "needs a CT and a PET" in drawn.sentence
    drawn.effect.setNodeReference("PET", drawn.study.pet)
    assert not drawn.fusion.click((900.0, 0.0, 0.0), True)
    assert "outside" in drawn.sentence
    drawn.fusion.boxClicked()
    assert "no box" in drawn.sentence
    drawn.editor.setCurrentSegmentID("")
    assert not drawn.fusion.beginStroke()
    assert "No segment is selected" in drawn.sentence


def test_unknown_units_hinder_the_fixed_rule_alone(drawn):
    drawn.study.pet.SetVoxelValueUnits(None)
    drawn.effect.setParameter("Rule", "fixed")
    assert not drawn.fusion.paint(ballCentre())
    assert "unknown units" in drawn.sentence
    drawn.effect.setParameter("Rule", "percent")
    assert drawn.fusion.paint(ballCentre())
    assert drawn.mask().any()


def test_the_editable_intensity_range_counts(drawn):
    """Slicer's intensity masking wants the edit on the source volume's grid: the CT is 40 HU in the body alone."""
    node = drawn.editor.mrmlSegmentEditorNode()
    node.SourceVolumeIntensityMaskOn()
    node.SetSourceVolumeIntensityMaskRange(100.0, 200.0)
    assert drawn.fusion.paint(ballCentre())
    assert not drawn.mask().any()
    node.SetSourceVolumeIntensityMaskRange(0.0, 100.0)
    assert drawn.fusion.paint(ballCentre())
    node.SourceVolumeIntensityMaskOff()
    assert drawn.mask().sum() > 100


def test_the_brush_follows_a_pet_that_was_moved(drawn):
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 45.0)
    parent = drawn.app.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    parent.SetMatrixTransformToParent(matrix)
    drawn.study.pet.SetAndObserveTransformNodeID(parent.GetID())
    drawn.effect.setParameter("DiameterMm", "60")
    there = moved(ballCentre(), 45.0)
    assert drawn.fusion.paint(there)
    away = drawn.distanceMm(there)[drawn.mask()]
    assert away.size > 300
    assert away.max() < 27.0


# --- runs


def test_the_box_adds_exactly_what_the_network_found(drawn):
    box = drawn.addBox(ballCentre(), 100.0)
    found = []
    start = drawn.fusion.run.start

    def listen(ct, pet, corners, tell):
        start(ct, pet, corners, lambda result: (found.append(result), tell(result)))

    drawn.fusion.run.start = listen
    drawn.fusion.boxClicked()
    drawn.waitForRun()
    grid = geometryOfVolumeNode(drawn.study.ct)
    expected = labelsOnGrid(found[0].labels, grid) != 0
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T.astype(float)
    inside = [box.IsPointInROIWorld(list(point * [-1, -1, 1])) for point in grid.points(index)]
    expected &= np.array(inside, dtype=bool).reshape(grid.shape)
    assert expected.any()
    assert np.array_equal(drawn.mask(), expected)
    part = found[0].labels
    assert part.GetNumberOfPixels() < 0.7 * np.prod(grid.size), "the whole study was shipped"


def test_a_click_on_a_result_needs_no_run(application):
    drawn = DrawnStudy(application)
    drawn.editor.setActiveEffect(None)
    application.click(application.ui.applyButton)
    result = waitForResult(application)
    drawn.node, drawn.segmentId = result, result.GetSegmentation().GetNthSegmentID(0)
    drawn.editor.setCurrentSegmentID(drawn.segmentId)
    drawn.editor.setActiveEffectByName(EFFECT_NAME)
    drawn.draw(np.zeros_like(drawn.mask()))
    assert drawn.fusion.click(ballCentre(), True), drawn.sentence
    assert not drawn.fusion.run.busy
    away = drawn.distanceMm(ballCentre())
    assert drawn.mask()[np.unravel_index(np.argmin(away), away.shape)]


def test_cancel_stops_the_run_and_changes_nothing(drawn):
    drawn.addBox(ballCentre(), 250.0)
    drawn.fusion.boxClicked()
    assert not drawn.fusion.click(ballCentre(), True)
    assert "under way" in drawn.sentence
    drawn.fusion.boxClicked()
    drawn.waitForRun()
    assert drawn.sentence == "Cancelled."
    assert not drawn.mask().any()
    assert drawn.fusion.form.ui.fusionRunButton.text == "Run the network in the box"


def test_a_worker_that_dies_leaves_a_sentence_and_the_drawing(drawn):
    drawn.draw(drawn.truth())
    drawn.addBox(ballCentre(), 250.0)
    drawn.fusion.boxClicked()
    runner = drawn.app.panel.runner
    drawn.app.wait(lambda: runner.warm, "the worker is up", 20)
    os.kill(runner.workerPid, signal.SIGKILL)
    drawn.waitForRun()
    assert "worker" in drawn.sentence
    assert np.array_equal(drawn.mask(), drawn.truth())


def test_another_segmentation_in_the_editor_drops_the_result(drawn):
    drawn.addBox(ballCentre(), 90.0)
    drawn.fusion.boxClicked()
    other = drawn.app.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Another")
    drawn.editor.setSegmentationNode(other)
    drawn.waitForRun()
    assert "no longer in this editor" in drawn.sentence
    assert not drawn.mask().any()


def test_a_scene_that_is_closed_during_a_run_is_said(drawn):
    drawn.addBox(ballCentre(), 250.0)
    drawn.fusion.boxClicked()
    drawn.app.scene.Clear(False)
    drawn.waitForRun()
    assert drawn.sentence


# --- in any other Segment Editor


@pytest.fixture
def elsewhere(drawn):
    """A Segment Editor that is not the panel's, with the effect on the same segmentation."""
    import slicer

    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(drawn.app.scene)
    editor.setMRMLSegmentEditorNode(drawn.app.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    editor.setSegmentationNode(drawn.node)
    editor.setSourceVolumeNode(drawn.study.ct)
    editor.setCurrentSegmentID(drawn.segmentId)
    editor.setActiveEffectByName(EFFECT_NAME)
    effect = editor.effectByName(EFFECT_NAME)
    yield effect
    effect.self().cleanup()


def test_elsewhere_the_effect_has_a_worker_of_its_own_and_survives_a_closed_scene(drawn, elsewhere):
    fusion = elsewhere.self().fusion
    assert fusion is not drawn.fusion
    options = readOptions(elsewhere)
    assert (options.ct, options.pet) == (drawn.study.ct, drawn.study.pet)
    assert fusion.click(ballCentre(), True), fusion.form.ui.fusionStatusLabel.text
    assert fusion.run.busy
    assert not drawn.app.panel.runner.busy
    drawn.app.wait(lambda: not fusion.run.busy, "the run ends", 60)
    assert drawn.mask().any(), fusion.form.ui.fusionStatusLabel.text
    pid = fusion.run._runner().workerPid
    assert pid
    drawn.draw(np.zeros_like(drawn.mask()))
    assert fusion.click(ballCentre(), True), fusion.form.ui.fusionStatusLabel.text
    drawn.app.scene.Clear(False)
    drawn.app.wait(lambda: not fusion.run.busy, "the run ends", 60)
    assert "dropped" in fusion.form.ui.fusionStatusLabel.text
    elsewhere.self().cleanup()
    drawn.app.wait(lambda: not _alive(pid), "the worker ends with its editor", 10)


def test_an_editor_without_the_effect_imports_nothing_of_it(drawn):
    """Registering and copying the effect must not slow down a Segment Editor that does not use it."""
    import slicer

    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(drawn.app.scene)
    editor.setMRMLSegmentEditorNode(drawn.app.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    assert editor.effectByName(EFFECT_NAME).self().fusion is None
    script = (
        "import sys; from PETCTFusionSegLib.effect import options, registration; "
        "sys.exit(any(name in sys.modules for name in ('scipy', 'SimpleITK', 'pydicom', 'numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_pictures_of_the_form(drawn, tmp_path):
    """Each tool shows its own options and nothing of the others; the pictures are for people."""
    form = drawn.fusion.form.root
    sizes = {}
    for tool in ("brush", "add", "box"):
        drawn.effect.setParameter("Tool", tool)
        form.setFixedSize(420, form.sizeHint.height())
        drawn.app.pause(0.05)
        file = tmp_path / f"effect_{tool}.png"
        assert form.grab().save(str(file))
        sizes[tool] = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).std()
    assert len(set(sizes.values())) == 3
