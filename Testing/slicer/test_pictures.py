"""Pictures of the panel in every state. PETCTFUSION_PICTURES names a folder in which they are kept to be looked at."""

import os
from pathlib import Path

import pytest
from harness.proxy import unwrap
from PySide6 import QtCore, QtGui, QtWidgets

from PETCTFusionSegLib.mrml.segmentations import setSegmentImage
from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForProgress, waitForResult
from PETCTFusionSegLib.selftest.study import imageOfReference

WIDTH = 480
"""Slicer's own module panel is about that wide when it starts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    kept = os.environ.get("PETCTFUSION_PICTURES")
    chosen = Path(kept) if kept else tmp_path_factory.mktemp("pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@pytest.fixture
def picture(application, folder):
    """Take a picture of the whole panel; texts that do not fit into their widgets fail the test."""
    widget = unwrap(application.parent)

    def take(name):
        widget.show()
        application.pause(0.02)
        # As the scroll area around a module's panel does it; a first time for the widths, a second for the heights.
        for _ in range(2):
            for child in widget.findChildren(QtWidgets.QWidget):
                child.updateGeometry()
            application.pause(0.02)
            widget.resize(WIDTH, widget.heightForWidth(WIDTH))
            application.pause(0.02)
        assert too_wide(widget) == []
        path = folder / f"{name}.png"
        assert widget.grab().save(str(path))
        assert path.stat().st_size > 5000
        assert cut_texts(widget) == []

    yield take
    widget.hide()


@pytest.fixture
def dark():
    """A dark palette, as Slicer has when the system is dark."""
    application = QtWidgets.QApplication.instance()
    before, style = application.palette(), application.style().objectName()
    palette = QtGui.QPalette()
    roles = QtGui.QPalette.ColorRole
    for role, colour in {
        roles.Window: "#353535",
        roles.WindowText: "#f0f0f0",
        roles.Base: "#232323",
        roles.AlternateBase: "#353535",
        roles.Text: "#f0f0f0",
        roles.Button: "#353535",
        roles.ButtonText: "#f0f0f0",
        roles.PlaceholderText: "#9a9a9a",
        roles.Highlight: "#2a82da",
        roles.HighlightedText: "#ffffff",
    }.items():
        palette.setColor(role, QtGui.QColor(colour))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, role, QtGui.QColor("#8a8a8a"))
    application.setStyle("Fusion")
    application.setPalette(palette)
    yield
    application.setPalette(before)
    application.setStyle(style)


def too_wide(root):
    """Widgets that make the panel wider than it is, innermost ones only."""
    wide = [one for one in root.findChildren(QtWidgets.QWidget) if one.isVisible() and minimum_width(one) > WIDTH - 40]
    inner = [one for one in wide if not any(other is not one and one.isAncestorOf(other) for other in wide)]
    return [f"{one.objectName()} needs {minimum_width(one)}" for one in inner] if root.width() > WIDTH else []


def minimum_width(widget):
    return max(widget.minimumWidth(), widget.minimumSizeHint().width())


def cut_texts(root):
    """Texts of visible buttons, boxes and labels that are wider than their widget, and wrapped ones that are higher."""
    cut = []
    for widget in root.findChildren(QtWidgets.QWidget):
        if widget.visibleRegion().isEmpty() or not isinstance(widget, (QtWidgets.QLabel, QtWidgets.QAbstractButton)):
            continue
        if not widget.text() or widget.objectName().startswith("qt_") or not widget.objectName():
            continue
        if isinstance(widget, QtWidgets.QLabel) and widget.wordWrap():
            if widget.height() + 2 < widget.heightForWidth(widget.width()):
                cut.append(f"{widget.objectName()}: {widget.text()}")
        elif widget.width() + 2 < widget.minimumSizeHint().width():
            cut.append(f"{widget.objectName()}: {widget.text()}")
    return cut


def run(application):
    application.click(application.ui.applyButton)
    return waitForResult(application)


def edited(application, study, result):
    segment = result.GetSegmentation().GetNthSegmentID(0)
    setSegmentImage(result, segment, imageOfReference(study))
    table = application.ui.comparisonTable
    application.wait(lambda: table.rowCount and table.item(0, 1).text() == "1.000", "the edit is compared", 20)


def test_empty(picture):
    picture("empty")


def test_ready(application, picture):
    chooseStudy(application, withReference=True)
    picture("ready")


def test_the_card_is_open(application, picture):
    chooseStudy(application)
    names = [model.name for model in application.panel.sections["Segment"].choice.models]
    application.ui.modelSelector.currentIndex = names.index("sts-ensemble")
    application.ui.modelCardButton.checked = True
    picture("model-card")
    application.ui.modelCardButton.checked = False


def test_units_unknown(application, picture):
    chooseStudy(application, unitsKnown=False)
    picture("units")


def test_refused(application, picture):
    study = chooseStudy(application)
    application.ui.ctSelector.setCurrentNode(None)
    application.ui.petSelector.setCurrentNode(study.ct)
    application.ui.ctSelector.setCurrentNode(study.pet)
    picture("refused")


def test_running_and_result(application, picture):
    chooseStudy(application)
    application.click(application.ui.applyButton)
    waitForProgress(application)
    picture("running")
    waitForResult(application)
    picture("result")


def test_comparing(application, picture):
    study = chooseStudy(application, withReference=True)
    result = run(application)
    edited(application, study, result)
    application.ui.overlayCheckBox.checked = True
    picture("comparing")
    application.ui.compareTabs.currentIndex = 1
    lesions = application.ui.compareLesionTable
    application.wait(lambda: lesions.rowCount, "the lesions are matched", 20)
    picture("comparing-lesions")
    application.ui.compareTabs.currentIndex = 2
    picture("comparing-slices")
    application.ui.compareTabs.currentIndex = 0
    application.ui.overlayCheckBox.checked = False


def test_error(application, picture):
    chooseStudy(application)
    application.panel.bench.fail(RuntimeError("something that nobody expected, told in a line that has to be wrapped"))
    picture("error")


def test_dark(application, picture, dark):
    study = chooseStudy(application, withReference=True)
    edited(application, study, run(application))
    picture("dark")


def test_everything_open(application, picture):
    study = chooseStudy(application, withReference=True)
    edited(application, study, run(application))
    frames = [getattr(application.ui, f"{name}Section") for name in application.panel.sections]
    before = [frame.collapsed for frame in frames]
    for frame in frames:
        frame.collapsed = False
    picture("everything")
    for frame, collapsed in zip(frames, before, strict=True):
        frame.collapsed = collapsed


def test_a_text_that_is_cut_is_noticed(application):
    label = QtWidgets.QPushButton("a text that is much wider than its button")
    label.setObjectName("narrow")
    holder = QtWidgets.QWidget()
    label.setParent(holder)
    label.setGeometry(QtCore.QRect(0, 0, 30, 20))
    holder.show()
    assert len(cut_texts(holder)) == 1
    holder.close()
