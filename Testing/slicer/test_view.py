"""The View section: its stories, real key presses, the help table and the page that lists the keys."""

import re

import pytest
from PySide6 import QtTest, QtWidgets

from PETCTFusionSegLib.desktop.shortcuts import RESERVED, Shortcuts
from PETCTFusionSegLib.selftest.steps import chooseStudy


@pytest.fixture
def window(application, desktop):
    """The panel's window, visible and active."""
    made = application.ui.hangingButton._object.window()
    made.resize(460, 2600)
    made.show()
    made.activateWindow()
    desktop.qtApplication.processEvents()
    application.widget.enter()
    yield made
    application.widget.enter()
    made.hide()


def press(window, key):
    QtTest.QTest.keySequence(window, key)


def test_a_real_key_press_changes_the_window_only_while_the_module_is_open(application, window):
    display = chooseStudy(application).ct.GetDisplayNode()
    press(window, "F4")
    assert display.GetWindowLevelMin() == -500
    application.widget.exit()
    press(window, "F3")
    assert display.GetWindowLevelMin() == -500
    application.widget.enter()
    application.widget.enter()
    press(window, "F3")
    assert display.GetWindowLevelMin() == -1350


def test_letters_typed_into_a_field_stay_there(application, window):
    study = chooseStudy(application)
    field = QtWidgets.QLineEdit(window)
    field.show()
    field.setFocus()
    QtTest.QTest.keyClicks(field, "hup")
    assert field.text() == "hup"
    assert study.pet.GetNumberOfDisplayNodes() == 1
    field.deleteLater()


def test_the_hanging_without_a_study_is_a_sentence(application, window):
    press(window, "H")
    assert application.status == "Choose a CT or a PET first."
    assert not application.ui.hangingButton.enabled
    press(window, "P")
    assert "Usual hanging" in application.status
    press(window, "F2")
    assert "no CT" in application.status


def test_ct_alone_and_pet_alone_can_be_hung(application):
    study = chooseStudy(application)
    application.ui.petSelector.setCurrentNode(None)
    application.click(application.ui.hangingButton)
    application.pause(0.05)
    assert not application.ui.petOpacitySlider.enabled
    assert not application.ui.suv5Button.enabled
    application.ui.petSelector.setCurrentNode(study.pet)
    application.ui.ctSelector.setCurrentNode(None)
    application.click(application.ui.hangingButton)
    application.pause(0.05)
    composite = application.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() == study.pet.GetID()
    assert composite.GetForegroundVolumeID() is None


def test_the_projection_follows_a_window_that_is_dragged(application):
    from PETCTFusionSegLib.mrml.mip import displayOf

    study = chooseStudy(application)
    application.click(application.ui.hangingButton)
    study.pet.GetDisplayNode().SetWindowLevelMinMax(1.0, 7.0)
    opacity = displayOf(study.pet).GetVolumePropertyNode().GetVolumeProperty().GetScalarOpacity()
    assert tuple(opacity.GetRange()) == (1.0, 7.0)
    assert (opacity.GetValue(1.0), opacity.GetValue(4.0), opacity.GetValue(7.0)) == (0.0, 0.5, 1.0)


def test_no_observer_stays_when_the_study_changes_or_the_scene_closes(application):
    study = chooseStudy(application)
    display = study.ct.GetDisplayNode()
    assert display.HasObserver("ModifiedEvent")
    application.ui.ctSelector.setCurrentNode(None)
    section = application.panel.sections["View"].viewing
    assert display not in [node for node, _tag in section._observed]
    application.scene.Clear(False)
    assert section._observed == []


def test_the_keys_are_listed_in_the_panel_and_in_the_documentation(application, repository):
    rows = application.panel.bench.shortcuts.rows()
    shown = re.sub(r"<[^>]+>|&nbsp;", " ", application.ui.keyboardLabel.text)
    page = (repository / "docs" / "keyboard.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([^`]+)` \| (.+?) \|$", page.split("## Slicer's own keys")[0], re.MULTILINE)
    assert all(key in shown and what in shown for key, what in rows)
    assert sorted(listed) == sorted(rows)


def test_a_key_has_one_meaning_and_none_of_slicers_own():
    shortcuts = Shortcuts()
    shortcuts.add("A", "accept", lambda: None)
    for taken in ("A", *sorted(RESERVED)):
        with pytest.raises(ValueError, match="key"):
            shortcuts.add(taken, "again", lambda: None)
    assert shortcuts.rows() == [("A", "accept")]


def test_the_sections_look(application, window, tmp_path):
    """The form as a person sees it: every button has its text in it, and the help opens."""
    chooseStudy(application)
    application.click(application.ui.hangingButton)
    application.pause(0.1)
    application.ui.keyboardButton.checked = True
    application.pause(0.1)
    picture = tmp_path / "view.png"
    assert application.ui.ViewSection._object.grab().save(str(picture))
    for name in ("softTissueButton", "suv15Button", "hangingButton"):
        button = getattr(application.ui, name)._object
        assert button.fontMetrics().horizontalAdvance(button.text()) < button.width()
    label = application.ui.keyboardLabel._object
    assert label.isVisible()
    assert label.height() >= label.sizeHint().height()
    application.ui.keyboardButton.checked = False
    assert not label.isVisible()
