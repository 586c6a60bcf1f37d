"""Choices of the computer: in the settings file, in Slicer's Application Settings, and in a new scene."""

import pytest
import slicer

from petctfusion.models import list_models
from PETCTFusionSegLib.desktop import settings_panel
from PETCTFusionSegLib.desktop.machine import readMachine, writeMachine
from PETCTFusionSegLib.workbench.parameters import MachineSettings, readStudy


@pytest.fixture
def machine(application):
    """Set machine-level choices, and put the defaults back."""

    def choose(**values):
        writeMachine(slicer.app.settings(), MachineSettings(**values))

    yield choose
    choose()
    application.panel.enter()


def test_flags_and_texts_survive_the_settings_file(application, machine):
    machine(device="cuda:1", python="/p", model="a@1", live=False, warm=False)
    settings = slicer.app.settings()
    settings.sync()
    chosen = MachineSettings("cuda:1", "/p", "a@1", live=False, warm=False)
    assert readMachine(settings) == chosen
    import qt

    again = qt.QSettings(settings.fileName(), qt.QSettings.IniFormat)
    assert readMachine(again) == chosen
    again.setValue("PETCTFusionSeg/live", "true")
    assert readMachine(again).live


def test_the_page_in_the_settings_keeps_widgets_and_settings_in_step(application, machine):
    machine(device="cuda:7", warm=False)
    panel = settings_panel.makeSettingsPanel(slicer.app.settings())
    slicer.app.settingsDialog().addPanel("Test", panel)

    (device, model), (live, warm) = panel.findChildren("ctkComboBox"), panel.findChildren("QCheckBox")
    python = panel.findChild("QLineEdit", "PETCTFusionSegSettings_python")
    assert device.currentUserDataAsString == "cuda:7"
    assert (live.checked, warm.checked) == (True, False)
    device.currentIndex = device.findData("cpu")
    live.checked = False
    model.currentIndex = 1
    python.text = "/some/python"
    kept = readMachine(slicer.app.settings())
    assert (kept.device, kept.python, kept.live, kept.warm) == ("cpu", "/some/python", False, False)
    assert kept.model == list_models()[0].reference
    panel.resetSettings()
    assert readMachine(slicer.app.settings()).device == "cuda:7"
    panel.restoreDefaultSettings()
    kept = readMachine(slicer.app.settings())
    assert (kept.device, kept.python, kept.model, kept.live, kept.warm) == ("auto", "", "", True, True)
    panel.delete()


def test_cancelling_the_settings_does_not_put_back_what_was_chosen_in_the_module(application, machine):
    machine(device="cpu")
    dialog = slicer.app.settingsDialog()
    settings_panel.addSettingsPanel()
    panel = dialog.findChild("ctkSettingsPanel", "PETCTFusionSegSettings")
    settings_panel.keepMachine(slicer.app.settings(), MachineSettings(device="cuda:5", python="/another"))
    panel.resetSettings()
    kept = readMachine(slicer.app.settings())
    assert (kept.device, kept.python) == ("cuda:5", "/another")
    panel.delete()


def test_the_page_is_added_to_the_application_s_settings(application):
    dialog = slicer.app.settingsDialog()
    before = dialog.count
    settings_panel.addSettingsPanel()
    assert dialog.count == before + 1
    assert dialog.tabText(before) == "PETCTFusionSeg"
    dialog.findChild("ctkSettingsPanel", "PETCTFusionSegSettings").delete()


def test_a_new_scene_begins_with_the_machine_s_choices_and_an_old_one_keeps_its_own(application):
    node = application.widget.logic.getParameterNode()
    node.SetParameter("Live", "")
    node.SetParameter("Model", "")
    begun = readStudy(node, MachineSettings(model="tiny@1.0.0", live=False))
    assert (begun.model, begun.live) == ("tiny@1.0.0", False)
    node.SetParameter("Live", "true")
    node.SetParameter("Model", "sts@1")
    kept = readStudy(node, MachineSettings(model="tiny@1.0.0", live=False))
    assert (kept.model, kept.live) == ("sts@1", True)
