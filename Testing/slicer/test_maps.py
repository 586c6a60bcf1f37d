"""The Maps section: the network watched on a result, its maps over the slices, the PET given back."""

import pytest

from PETCTFusionSegLib.mrml.maps import mapsOf, shownMap
from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForResult


@pytest.fixture
def composite(application):
    return application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")


def segmented(application):
    study = chooseStudy(application)
    application.click(application.ui.applyButton)
    waitForResult(application)
    return study


def test_maps_wait_for_a_result(application):
    assert application.ui.MapsWaitLabel.text == "Maps show where the network looked: segment first."
    chooseStudy(application)
    assert application.ui.MapsWaitLabel.text


def test_a_reader_sees_where_the_network_looked_and_gets_the_pet_back(application, composite):
    segmented(application)
    ui, bench = application.ui, application.panel.bench
    composite.SetBackgroundVolumeID(bench.study.ct.GetID())
    composite.SetForegroundVolumeID(bench.study.pet.GetID())
    assert ui.MapsWaitLabel.text == ""
    assert not ui.mapThresholdSlider.enabled
    application.click(ui.mapsButton)
    application.wait(lambda: not bench.runner.busy, "the run to end")
    names = [node.GetName() for node in mapsOf(application.scene, bench.study.ct)]
    assert f"{bench.study.ct.GetName()} uncertainty (%)" in names
    assert f"{bench.study.ct.GetName()} attention (spatial gate, level 1)" in names
    assert ui.mapSelector.count == len(names) + 1
    assert ui.mapSelector.currentText.startswith("attention (")
    assert shownMap(application.scene).GetID() == composite.GetForegroundVolumeID()
    assert "does not say why" in ui.mapExplanationLabel.text
    ui.mapThresholdSlider.value = 60
    display = shownMap(application.scene).GetDisplayNode()
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    assert display.GetLowerThreshold() == pytest.approx(low + 0.6 * (high - low))
    ui.mapSelector.currentIndex = 1
    assert ui.mapSelector.currentText == "uncertainty (%)"
    assert ui.mapThresholdSlider.value == 25
    ui.mapSelector.currentIndex = 0
    assert composite.GetForegroundVolumeID() == bench.study.pet.GetID()
    assert not ui.mapThresholdSlider.enabled


def test_a_run_for_maps_can_be_cancelled_and_leaves_none(application):
    segmented(application)
    ui, bench = application.ui, application.panel.bench
    application.click(ui.mapsButton)
    assert ui.mapsButton.text.startswith("Cancel")
    assert application.panel.sections["Maps"].viewing.busy
    application.click(ui.mapsButton)
    application.wait(lambda: not bench.runner.busy, "the run to end")
    assert mapsOf(application.scene) == []
    assert ui.mapsButton.text == "Show where the network looked"


def test_a_closed_scene_stops_the_run_and_keeps_no_map(application):
    segmented(application)
    application.click(application.ui.mapsButton)
    application.reset()
    application.wait(lambda: not application.panel.bench.runner.busy, "the run to end")
    assert mapsOf(application.scene) == []
