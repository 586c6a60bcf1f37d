"""A lesson in a scene without a front: what is in it before and after Check, and what the sliders do to the PET."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import CancelledError
from petctfusion.inference.maps import StudyMap
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.maps import shownMap
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.parameters import StudyParameters
from PETCTFusionSegLib.workbench.runner import RunResult
from PETCTFusionSegLib.workbench.teaching import Teaching

LUNG = {
    "seed": 8, "margin_mm": 25, "fine_mm": 3, "ct_spacing_mm": [2.5, 2.5, 2.5],
    "lesions": [{"site": "lung-right", "diameter_mm": 24, "suv": 8}],
}  # fmt: skip
CASE = {"title": "Lung", "task": "Draw.", "phantom": LUNG, "hints": ["Look."]}
EMPTY = {"title": "None", "task": "Look.", "phantom": {"view": "thigh", "fine_mm": 5, "ct_spacing_mm": [5, 5, 5]}}
EMPTY["phantom"]["lesions"] = []


class Timers:
    """Timers that ring when the test says so."""

    def __init__(self) -> None:
        self.all = []

    def make(self, _intervalMs, once, function):
        timer = Timer(once, function)
        self.all.append(timer)
        return timer

    def until(self, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end
            for timer in self.all:
                timer.ring()
            time.sleep(0.005)


class Timer:
    def __init__(self, once, function):
        self.once, self.function, self.active = once, function, False

    def start(self):
        self.active = True

    def stop(self):
        self.active = False

    def isActive(self):
        return self.active

    def ring(self):
        if self.active:
            self.active = not self.once
            self.function()


class Editor:
    def __init__(self):
        self.node = None

    def edit(self, segmentation, _volume):
        self.node = segmentation

    def segmentation(self):
        return self.node


class Runner:
    """Answers when the test says so."""

    warm = True

    def __init__(self):
        self.asked = []

    def run(self, gather, model, machine, listener, threshold=None, maps=False):
        self.asked.append((gather(), model, listener, maps))

    def cancel(self):
        self.asked[-1][2].onError(CancelledError("stopped"))


@pytest.fixture
def lesson(scene, tmp_path):
    """Opens a lesson of the given cases; gives the teaching and its timers."""
    opened = []

    def openLesson(*cases, **rest):
        file = tmp_path / "lesson.json"
        file.write_text(json.dumps({"title": "Lesson", "about": "Welcome.", "cases": list(cases), **rest}))
        timers, said = Timers(), []
        bench = Workbench(StudyParameters(), Editor(), Runner(), said.append, lambda: None, timers.make)
        teaching = Teaching(bench, lambda: None, lambda: None)
        teaching.said, teaching.timers = said, timers
        opened.append(teaching)
        teaching.open(file)
        timers.until(lambda: teaching.ready or len(said) > 1 or (said and teaching.course is None))
        return teaching

    yield openLesson
    for teaching in opened:
        teaching.close()


def _names(scene):
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
    return sorted(node.GetName() for kind in kinds for node in scene.GetNodesByClass(kind))


def _draw(teaching, mask):
    node = teaching.scene.drawing
    setSegmentImage(node, node.GetSegmentation().GetNthSegmentID(0), mask)


def _check(teaching):
    count = len(teaching.attempt.checks)
    teaching.check()
    teaching.timers.until(lambda: len(teaching.attempt.checks) > count)


def _segmentArray(node):
    ct = node.GetNodeReference("referenceImageGeometryRef")
    return sitk.GetArrayFromImage(segmentImage(node, node.GetSegmentation().GetNthSegmentID(0), ct))


def test_the_truth_is_not_in_the_scene_before_it_is_shown(lesson, scene):
    teaching = lesson(CASE)
    assert _names(scene) == ["Case 1 CT", "Case 1 PET", "Your contour"]
    assert teaching.bench.study.reference is None
    for act in (teaching.showReference, teaching.showErrors, teaching.showNetwork):
        act()
    assert _names(scene) == ["Case 1 CT", "Case 1 PET", "Your contour"]
    assert teaching.bench.runner.asked == []
    assert not teaching.attempt.revealed


def test_check_scores_the_voxels_that_were_drawn_and_marks_the_errors(lesson, scene):
    teaching = lesson(CASE)
    truth = sitk.GetArrayFromImage(teaching.material.reference)
    half = truth.copy()
    half[: int(np.argwhere(truth)[:, 0].mean())] = 0
    _draw(teaching, Geometry.of(teaching.material.ct).image(half))
    _check(teaching)
    score = teaching.attempt.checks[0].score
    assert score.dice == pytest.approx(2 * half.sum() / (half.sum() + truth.sum()))
    assert score.extra_ml == 0
    teaching.timers.until(lambda: "Agreement with the reference" in _names(scene))
    listed = [node for node in scene.GetNodesByClass("vtkMRMLSegmentationNode") if not node.GetHideFromEditors()]
    assert [node.GetName() for node in listed] == ["Your contour"]
    shown = [node for node in scene.GetNodesByClass("vtkMRMLSegmentationNode") if node.GetDisplayNode().GetVisibility()]
    assert sorted(node.GetName() for node in shown) == ["Agreement with the reference", "Your contour"]


def test_a_stroke_after_check_ends_the_marks(lesson, scene):
    teaching = lesson(CASE)
    _draw(teaching, teaching.material.reference)
    _check(teaching)
    assert teaching.scene.errorsShown
    _draw(teaching, teaching.material.reference * 0)
    assert not teaching.scene.errorsShown
    assert teaching.changed
    assert _names(scene) == ["Case 1 CT", "Case 1 PET", "Your contour"]
    teaching.showErrors()
    assert not teaching.scene.errorsShown


def test_the_truth_is_an_outline_of_its_own_voxels_and_later_checks_do_not_count(lesson, scene):
    teaching = lesson(CASE)
    _check(teaching)
    teaching.showReference()
    (node,) = [one for one in scene.GetNodesByClass("vtkMRMLSegmentationNode") if one.GetName() == "Truth"]
    assert node.GetDisplayNode().GetVisibility()
    assert np.array_equal(_segmentArray(node), sitk.GetArrayFromImage(teaching.material.reference))
    assert node.GetHideFromEditors()
    _draw(teaching, teaching.material.reference)
    _check(teaching)
    assert [one.counts for one in teaching.attempt.checks] == [True, False]
    assert teaching.attempt.result.score.dice == 0
    teaching.showReference()
    assert not teaching.scene.shows("reference")


def test_a_lesson_that_never_shows_keeps_its_word(lesson, scene):
    show = dict.fromkeys(("reference", "errors", "network", "attention", "sliders"), "never")
    teaching = lesson(CASE, show=show)
    _check(teaching)
    teaching.showReference()
    teaching.showNetwork()
    teaching.goToWorst()
    assert _names(scene) == ["Case 1 CT", "Case 1 PET", "Your contour"]
    assert teaching.bench.runner.asked == []


def test_the_network_is_asked_once_and_its_maps_lie_over_the_slices(lesson, scene):
    teaching = lesson(CASE)
    _check(teaching)
    teaching.showNetwork()
    images, _model, listener, maps = teaching.bench.runner.asked[0]
    assert maps
    assert np.array_equal(*(sitk.GetArrayFromImage(one) for one in (images.pet, teaching.material.pet)))
    grid = Geometry.of(teaching.material.ct)
    attention = StudyMap("level 1", "attention", "model 1", grid.image(np.ones(grid.shape, np.float32)))
    listener.onResult(RunResult(teaching.material.reference, teaching.material.reference, maps=(attention,)))
    teaching.timers.until(lambda: teaching.networkScore is not None)
    assert teaching.networkScore.dice == 1
    assert teaching.scene.shows("network")
    (node,) = teaching.scene.maps()
    assert node.GetName() == "Case 1 CT attention (level 1)"
    teaching.showNetwork()
    teaching.showNetwork()
    assert len(teaching.bench.runner.asked) == 1
    assert shownMap(scene) is None


def test_a_cancelled_network_leaves_a_sentence(lesson):
    teaching = lesson(CASE)
    _check(teaching)
    teaching.showNetwork()
    assert teaching.running
    teaching.showNetwork()
    assert not teaching.running
    assert teaching.said[-1] == "Cancelled."


def test_sliders_change_the_pet_and_not_the_drawing_or_the_truth(lesson):
    teaching = lesson(CASE)
    truth = sitk.GetArrayFromImage(teaching.material.reference)
    _draw(teaching, teaching.material.reference)
    _check(teaching)
    before = sitk.GetArrayFromImage(imageFromVolumeNode(teaching.scene.pet))
    sliders = teaching.sliders
    assert sliders.available
    assert sliders.breathes
    sliders.draw(True)
    sliders.change(fwhm_mm=14.0)
    teaching.timers.until(lambda: not teaching.background.busy("scan"))
    blurred = sitk.GetArrayFromImage(imageFromVolumeNode(teaching.scene.pet))
    assert blurred.max() < 0.8 * before.max()
    assert sliders.outcome.score.volume_ml != pytest.approx(sliders.outcome.score.reference_volume_ml, rel=0.02)
    assert "Dice" in sliders.text
    sliders.change(breathing_mm=30.0)
    teaching.timers.until(lambda: not teaching.background.busy("scan"))
    assert sliders.outcome.moving is not None
    assert sliders.outcome.moving.reference_volume_ml > sliders.outcome.score.reference_volume_ml
    sliders.reset()
    teaching.timers.until(lambda: not teaching.background.busy("scan"))
    assert np.array_equal(sitk.GetArrayFromImage(imageFromVolumeNode(teaching.scene.pet)), before)
    assert np.array_equal(_segmentArray(teaching.scene.drawing), truth)
    assert teaching.score.dice == 1
    assert teaching.scene.errorsShown


def test_of_many_moves_of_a_slider_the_last_one_counts(lesson):
    teaching = lesson(CASE)
    for fwhm in (3.0, 5.0, 8.0, 12.0):
        teaching.sliders.change(fwhm_mm=fwhm)
    teaching.timers.until(lambda: not teaching.background.busy("scan"))
    expected = teaching.material.patient.scan(teaching.sliders.conditions).pet
    found = imageFromVolumeNode(teaching.scene.pet)
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))


def test_the_next_case_takes_the_last_one_out_and_looking_back_brings_the_drawing(lesson, scene):
    teaching = lesson(CASE, EMPTY)
    drawn = teaching.material.reference
    _draw(teaching, drawn)
    _check(teaching)
    teaching.showReference()
    teaching.next()
    teaching.timers.until(lambda: teaching.ready)
    assert _names(scene) == ["Case 2 CT", "Case 2 PET", "Your contour"]
    assert _segmentArray(teaching.scene.drawing).sum() == 0
    assert not teaching.sliders.breathes
    teaching.next()
    assert teaching.course.finished
    teaching.lookBack(0)
    teaching.timers.until(lambda: teaching.ready)
    assert np.array_equal(_segmentArray(teaching.scene.drawing), sitk.GetArrayFromImage(drawn))
    assert teaching.score.dice == 1


def test_hints_and_a_wrong_file_are_sentences(lesson):
    teaching = lesson(CASE)
    teaching.hint()
    teaching.hint()
    assert [hint.text for hint in teaching.attempt.hints] == ["Look."]
    assert teaching.said[-1] == "There is no further hint."
    wrong = lesson({**CASE, "titel": "x"})
    assert wrong.said == ["Case 1 does not know 'titel'. Did you mean 'title'?"]
    assert wrong.course is None
    noModel = lesson({**CASE, "model": "nobody"})
    assert noModel.course is None
    assert "nobody" in noModel.said[0]


def test_a_case_that_cannot_be_simulated_is_a_sentence(lesson):
    """The file is right, but the lesion has no room in the neck."""
    teaching = lesson({**CASE, "phantom": {**LUNG, "lesions": [{"site": "neck-left", "diameter_mm": 110}]}})
    teaching.timers.until(lambda: any("no room" in sentence for sentence in teaching.said))
    assert not teaching.ready
    teaching.check()
    teaching.next()
    assert teaching.course.finished
