"""The Edit section on the harness: its stories, and every state of its widgets."""

import numpy as np
import SimpleITK as sitk

from petctfusion.models import find_model
from PETCTFusionSegLib.mrml.probability import LOWEST, resultSegmentId
from PETCTFusionSegLib.selftest import stories_edit
from PETCTFusionSegLib.selftest.steps import chooseStudy
from PETCTFusionSegLib.selftest.stories_edit import EditedResult


def sectionOf(application):
    return application.panel.sections["Edit"]


def controls(application):
    ui = application.ui
    return [ui.editThresholdSlider, ui.editThresholdSpinBox, ui.editResetButton, ui.editAddButton, ui.editRemoveButton]


def interaction(application):
    return application.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")


def points(application):
    nodes = application.scene.GetNodesByClass("vtkMRMLMarkupsFiducialNode")
    nodes.UnRegister(None)
    return sum(nodes.GetItemAsObject(i).GetNumberOfControlPoints() for i in range(nodes.GetNumberOfItems()))


def test_without_a_segmentation_everything_waits_and_says_so(application):
    assert "Waits for a result" in application.ui.EditWaitLabel.text
    assert not application.ui.editHintLabel.visible
    chooseStudy(application)
    assert application.ui.EditWaitLabel.text == ""
    assert not any(widget.enabled for widget in controls(application))
    assert application.ui.editHintLabel.text.startswith("There is no segmentation yet")
    assert not application.ui.editUndoButton.enabled


def test_a_segmentation_from_elsewhere_has_no_threshold_and_says_why(application):
    study = chooseStudy(application)
    application.panel.editor.edit(study.reference, study.ct)
    application.panel.changed()
    assert not any(widget.enabled for widget in controls(application))
    assert "has no probability" in application.ui.editHintLabel.text
    assert application.ui.editUndoButton.enabled


def test_the_form_begins_at_the_lowest_threshold_that_is_prepared(application):
    assert application.ui.editThresholdSpinBox.minimum == LOWEST
    assert application.ui.editThresholdSlider.minimum == round(100 * LOWEST)
    assert application.ui.editThresholdSlider.maximum == round(100 * application.ui.editThresholdSpinBox.maximum)


def test_a_drag_is_one_step_for_undo_and_a_rest_begins_another(application):
    result = EditedResult(application)
    before = result.mask()
    for percent in (48, 47, 49):
        application.ui.editThresholdSlider.value = percent
        application.pause(0.01)
    first = result.mask()
    application.pause(1.0)
    for percent in (52, 51):
        application.ui.editThresholdSlider.value = percent
    assert not np.array_equal(first, before)
    assert not np.array_equal(result.mask(), first)
    application.click(application.ui.editUndoButton)
    assert np.array_equal(result.mask(), first)
    application.click(application.ui.editUndoButton)
    assert np.array_equal(result.mask(), before)
    application.wait(lambda: application.ui.editThresholdSlider.value == 50, "the slider follows Undo", 2)


def test_reset_right_after_a_drag_is_a_step_of_its_own(application):
    result = EditedResult(application)
    before = result.mask()
    application.ui.editThresholdSlider.value = 47
    dragged = result.mask()
    application.click(application.ui.editResetButton)
    application.ui.editThresholdSlider.value = 52
    again = result.mask()
    assert not np.array_equal(dragged, before)
    assert not np.array_equal(again, before)
    for expected in (before, dragged, before):
        application.click(application.ui.editUndoButton)
        assert np.array_equal(result.mask(), expected)


def test_a_stroke_within_a_drag_is_a_step_of_its_own(application):
    result = EditedResult(application)
    application.ui.editThresholdSlider.value = 49
    drawn = result.mask()
    drawn[10:20, 10:20, 10:20] ^= True
    application.panel.editor.saveStateForUndo()
    result.draw(drawn)
    application.ui.editThresholdSlider.value = 51
    application.click(application.ui.editUndoButton)
    assert np.array_equal(result.mask(), drawn)


def test_a_typed_threshold_moves_and_reset_gives_the_runs_mask_back(application):
    from PETCTFusionSegLib.mrml.segmentations import isEdited

    result = EditedResult(application)
    before = result.mask()
    application.ui.editThresholdSpinBox.value = 0.37
    assert application.ui.editThresholdSlider.value == 37
    assert not np.array_equal(result.mask(), before)
    application.click(application.ui.editResetButton)
    assert np.array_equal(result.mask(), before)
    assert not isEdited(result.node)
    assert application.ui.editThresholdSpinBox.value == 0.5


def test_the_shown_volume_is_that_of_the_mask(application):
    result = EditedResult(application)
    application.ui.editThresholdSlider.value = 35
    volume = result.mask().sum() * result.grid.voxel_ml
    assert application.ui.editVolumeLabel.text == f'"Tumor": {volume:.1f} ml'


def test_a_result_of_several_labels_says_what_to_use_instead(application):
    from dataclasses import replace

    result = EditedResult(application)
    results = application.panel.bench.results
    outcome = results.of(result.node)
    results.keep(result.node, replace(outcome, probability=sitk.Compose([outcome.probability] * 2)))
    application.panel.changed()
    assert "several labels" in application.ui.editHintLabel.text
    assert not any(widget.enabled for widget in controls(application))


def test_a_removed_segment_is_said_and_comes_back_with_undo(application):
    result = EditedResult(application)
    application.panel.editor.saveStateForUndo()
    result.node.GetSegmentation().RemoveSegment(resultSegmentId(result.node))
    application.wait(lambda: "removed" in application.ui.editHintLabel.text, "the removal is said", 2)
    assert not application.ui.editThresholdSlider.enabled
    application.click(application.ui.editUndoButton)
    application.wait(lambda: application.ui.editThresholdSlider.enabled, "the slider is back", 2)


def test_a_probability_that_cannot_be_prepared_is_said_and_not_asked_for_ever(application, monkeypatch):
    def broken(*_arguments):
        raise MemoryError("no room")

    monkeypatch.setattr("PETCTFusionSegLib.workbench.result_binding.ProbabilityLevels", broken)
    chooseStudy(application)
    application.click(application.ui.applyButton)
    ui = application.ui
    application.wait(lambda: "could not be prepared" in ui.editHintLabel.text, "the failure is said", 20)
    assert "no room" in application.status
    application.pause(0.1)
    assert not sectionOf(application).result._pollTimer.isActive()
    assert not any(widget.enabled for widget in controls(application))


def test_pressing_again_or_leaving_the_module_ends_placing(application):
    EditedResult(application)
    ui = application.ui
    application.click(ui.editAddButton)
    assert ui.editAddButton.checked
    application.click(ui.editRemoveButton)
    assert (ui.editAddButton.checked, ui.editRemoveButton.checked) == (False, True)
    application.click(ui.editRemoveButton)
    assert interaction(application).GetCurrentInteractionMode() == interaction(application).ViewTransform
    application.click(ui.editAddButton)
    application.widget.exit()
    assert not ui.editAddButton.checked
    application.widget.enter()
    application.click(ui.editAddButton)
    interaction(application).SwitchToViewTransformMode()
    assert not ui.editAddButton.checked


def test_a_click_beside_the_ct_is_one_sentence(application):
    result = EditedResult(application)
    before = result.mask()
    result.clickInto(application.ui.editAddButton, (-500, 10, 10))
    application.wait(lambda: "outside the CT" in application.status, "the click is refused", 2)
    assert points(application) == 0
    assert np.array_equal(result.mask(), before)


def test_two_clicks_are_answered_one_after_the_other(application):
    result = EditedResult(application)
    inside, outside = (tuple(int(v) for v in np.argwhere(mask)[0]) for mask in (result.mask(), ~result.mask()))
    result.clickInto(application.ui.editAddButton, outside)
    result.clickInto(application.ui.editRemoveButton, inside)
    application.wait(lambda: points(application) == 0 and not application.panel.runner.busy, "both are answered", 20)
    after = result.mask()
    assert (bool(after[outside]), bool(after[inside])) == (True, False)


def test_a_click_during_a_run_waits_for_its_end(application):
    result = EditedResult(application)
    inside = tuple(int(v) for v in np.argwhere(result.mask())[0])
    application.click(application.ui.applyButton)
    result.clickInto(application.ui.editRemoveButton, inside)
    assert points(application) == 1
    application.wait(lambda: points(application) == 0 and not application.panel.runner.busy, "run and click end", 30)
    # The run brought a new result, which is edited now, and which the click was meant for by then.
    assert application.panel.editor.segmentation() is not result.node


def test_the_scene_closed_during_an_answer_leaves_nothing_behind(application):
    result = EditedResult(application)
    inside = tuple(int(v) for v in np.argwhere(result.mask())[0])
    with stories_edit._heldWorker(application):
        result.clickInto(application.ui.editRemoveButton, inside)
        application.wait(lambda: application.panel.runner.busy, "the click is sent", 5)
        application.scene.Clear(False)
    application.wait(lambda: not application.panel.runner.busy, "the click ends", 10)
    assert points(application) == 0
    again = EditedResult(application)
    inside = tuple(int(v) for v in np.argwhere(again.mask())[0])
    again.clickInto(application.ui.editRemoveButton, inside)
    again.waitForAnswer("removed")


def test_a_segmentation_deleted_during_an_answer_is_one_sentence(application):
    result = EditedResult(application)
    inside = tuple(int(v) for v in np.argwhere(result.mask())[0])
    with stories_edit._heldWorker(application):
        result.clickInto(application.ui.editRemoveButton, inside)
        application.wait(lambda: application.panel.runner.busy, "the click is sent", 5)
        application.scene.RemoveNode(result.node)
    application.wait(lambda: not application.panel.runner.busy, "the click ends", 10)
    assert "removed meanwhile" in application.status


def test_a_cancelled_click_changes_nothing(application):
    result = EditedResult(application)
    before = result.mask()
    inside = tuple(int(v) for v in np.argwhere(before)[0])
    with stories_edit._heldWorker(application):
        result.clickInto(application.ui.editRemoveButton, inside)
        application.wait(lambda: application.panel.runner.busy, "the click is sent", 5)
        application.click(application.ui.applyButton)
    application.wait(lambda: not application.panel.runner.busy, "the click ends", 10)
    assert "changed nothing" in application.status
    assert np.array_equal(result.mask(), before)
    assert points(application) == 0


def test_each_segmentation_keeps_its_own_threshold(application):
    first = EditedResult(application)
    application.ui.editThresholdSlider.value = 30
    application.click(application.ui.applyButton)
    application.wait(lambda: not application.panel.runner.busy, "the second run ends", 30)
    second = application.panel.editor.segmentation()
    assert second is not first.node
    application.wait(lambda: application.ui.editThresholdSlider.enabled, "the second slider is ready", 10)
    assert application.ui.editThresholdSlider.value == 50
    application.panel.editor.edit(first.node, first.study.ct)
    assert application.ui.editThresholdSlider.value == 30


def test_the_section_looks_as_it_should(application, tmp_path):
    """Pictures of the section: waiting, ready, placing. They are looked at by people; here they must not be blank."""
    frame = application.ui.EditSection
    pictures = {}

    def take(name):
        application.pause(0.05)
        picture = tmp_path / f"edit_{name}.png"
        assert frame._object.grab().save(str(picture))
        pictures[name] = sitk.GetArrayFromImage(sitk.ReadImage(str(picture)))

    take("waiting")
    EditedResult(application)
    take("ready")
    application.click(application.ui.editAddButton)
    take("placing")
    assert all(picture.std() > 5 for picture in pictures.values())
    assert not np.array_equal(pictures["ready"], pictures["placing"])


def test_a_model_that_takes_clicks_answers_them_itself(application, monkeypatch):
    application.panel.sections["Segment"].choice.choose(find_model("sts-anatomy-guided-clicks").reference)
    result = EditedResult(application)
    before = result.mask()
    asked, refine = [], application.panel.runner.refine

    def noted(*arguments, **named):
        asked.append((arguments[2], named))
        refine(*arguments, **named)

    monkeypatch.setattr(application.panel.runner, "refine", noted)
    inside = tuple(int(v) for v in np.argwhere(before)[before.sum() // 2])
    result.clickInto(application.ui.editRemoveButton, inside)
    result.waitForAnswer("removed")
    after = result.mask()
    assert not after[inside]
    assert (before & ~after).sum() > 1
    assert not (after & ~before).any()
    assert np.array_equal(after[~result.near(inside)], before[~result.near(inside)])
    result.clickInto(application.ui.editAddButton, inside)
    result.waitForAnswer("added")
    assert result.mask()[inside]
    (_, first), (clicks, second) = asked
    assert all(named["guide"].model.name == "sts-anatomy-guided-clicks" for named in (first, second))
    assert [click.foreground for click in clicks] == [False, True]
