"""Study and Segment before a run: verdict, units, the additional volume, threshold and card."""

from dataclasses import replace

import pytest

from petctfusion.models import find_model
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, volumeNodeFromImage
from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForResult
from PETCTFusionSegLib.workbench import inputs, model_choice
from PETCTFusionSegLib.workbench.progress import Progress, durationText, progressText


def test_the_verdict_names_what_is_resampled_and_escapes_names(application):
    study = chooseStudy(application)
    assert "Will be resampled. The PET (58 x 58 x 58" in application.ui.verdictLabel.text
    empty = application.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "<b>Nothing</b>")
    application.ui.petSelector.setCurrentNode(empty)
    assert "&lt;b&gt;Nothing&lt;/b&gt;" in application.ui.verdictLabel.text
    application.ui.petSelector.setCurrentNode(study.pet)
    assert application.ui.applyButton.enabled


def test_the_same_grid_is_ready(application):
    study = chooseStudy(application)
    on_ct = volumeNodeFromImage(application.scene, imageFromVolumeNode(study.ct) * 0 + 1, "PET on CT", "PET")
    values = imageFromVolumeNode(on_ct)
    values[5, 5, 5] = 9
    application.ui.petSelector.setCurrentNode(volumeNodeFromImage(application.scene, values, "PET 2", "PET"))
    assert "Ready." in application.ui.verdictLabel.text


def test_without_a_study_the_panel_says_what_to_choose(application):
    assert "Choose a CT and a PET" in application.ui.verdictLabel.text
    assert application.ui.whyNotLabel.text == "Choose a CT and a PET volume."
    assert not application.ui.petUnitsFrame.visible


@pytest.mark.parametrize(
    ("units", "files", "state", "words"),
    [
        ("SUVbw", [], "known", "SUVbw (declared by the user)"),
        ("BQML", ["a.dcm"], "known", "becomes SUVbw by its DICOM tags"),
        ("BQML", [], "refused", "load it from DICOM"),
        ("SUL", [], "refused", "which is not body-weight SUV"),
    ],
)
def test_the_badge_says_how_the_units_are_known(application, monkeypatch, units, files, state, words):
    study = chooseStudy(application, unitsKnown=False)
    assert inputs.unitsBadge(study.pet).state == "ask"
    monkeypatch.setattr(inputs, "dicomFilesOfNode", lambda _node, most=None: files[:most])
    inputs.declareUnits(study.pet, units)
    badge = inputs.unitsBadge(study.pet)
    assert badge.state == state
    assert words in badge.text


def test_the_threshold_starts_with_the_cards_and_reaches_the_result(application):
    chooseStudy(application)
    section = application.panel.sections["Segment"]
    assert section.choice.threshold(application.ui.runThreshold.value) == section.choice.model.card.threshold == 0.5
    application.ui.runThreshold.value = 0.95
    application.click(application.ui.applyButton)
    result = waitForResult(application)
    assert result.GetAttribute("PETCTFusionSeg.Parameter.Threshold") == "0.95"
    outcome = application.panel.bench.results.of(result)
    assert outcome.threshold == 0.95
    names = [model.name for model in section.choice.models]
    application.ui.modelSelector.currentIndex = names.index("sts-ensemble")
    assert section.choice.threshold(application.ui.runThreshold.value) == 0.7
    assert "Dice 0.81, HD95 13.3 mm on 8 patients" in application.ui.modelCardLabel.text


def test_an_additional_volume_travels_only_when_the_model_takes_it(application):
    study = chooseStudy(application)
    assert "MR" not in inputs.takeSnapshot(study.ct, study.pet).checked().volumes
    assert set(inputs.takeSnapshot(study.ct, study.pet, study.pet).checked().volumes) == {"CT", "PET", "MR"}


def test_progress_is_told_in_words_and_short_durations():
    assert progressText(Progress(0, 1, "load")) == "Loading the model..."
    assert progressText(Progress(3, 4, "segment")) == "Segmenting 75 %"
    assert progressText(Progress(3, 4, "segment", 0.2)) == "Segmenting 75 %, 1 s left"
    assert durationText(89) == "89 s"
    assert durationText(600) == "10 min"


def test_a_model_of_the_scene_that_is_not_here_is_named(application):
    section, ui, scene = application.panel.sections["Segment"], application.ui, application.panel.bench.study
    here = section.choice.reference
    scene.model = "from-another-computer@1.2.0"
    section.sceneOpened()
    section.refresh()
    sentence = f"The model from-another-computer@1.2.0 is not installed; {here} is chosen instead."
    assert ui.modelNoteLabel.text == sentence
    assert not ui.modelNoteLabel.isHidden()
    scene.model = here
    section.sceneOpened()
    section.refresh()
    assert not ui.modelNoteLabel.text


def test_another_version_of_the_model_goes_before_another_model(monkeypatch):
    models = [replace(find_model("sts-dual-attention"), shipped=False), find_model("sts-anatomy-guided")]
    monkeypatch.setattr(model_choice, "list_models", lambda: models[::-1])
    choice = model_choice.ModelChoice()
    for wanted, note in (("sts-dual-attention@0.0.1", True), (models[0].reference, False), ("", False)):
        choice.choose(wanted)
        assert choice.model is models[0]
        assert ("sts-dual-attention@0.0.1 is not installed" in choice.note(None)) == note
