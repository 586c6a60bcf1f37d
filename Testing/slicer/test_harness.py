"""The harness is as strict as PythonQt, or stricter: what would fail in Slicer has to fail here."""

import pytest


@pytest.fixture
def label(desktop):
    import qt

    return qt.QLabel("text")


def test_a_property_is_an_attribute_and_wins_over_its_getter(label):
    assert label.text == "text"
    with pytest.raises(TypeError):
        label.text()


def test_an_unknown_attribute_raises_for_reading_and_writing(label):
    with pytest.raises(AttributeError):
        _ = label.txet
    with pytest.raises(AttributeError):
        label.txet = "x"


def test_a_property_of_the_wrong_type_raises(label):
    with pytest.raises(AttributeError):
        label.text = 3


def test_a_misspelt_signal_raises(desktop):
    import qt

    with pytest.raises(ValueError, match="clickd"):
        qt.QPushButton("b").connect("clickd()", lambda: None)


def test_surplus_arguments_are_trimmed_and_defaults_count(desktop):
    import qt

    button, got = qt.QPushButton("b"), []
    button.connect("clicked(bool)", lambda: got.append("none"))
    button.connect("clicked(bool)", lambda value="default": got.append(value))
    button.click()
    assert got == ["none", False]


def test_enumerations_are_integers_that_qt_takes_back(desktop):
    import qt

    assert qt.QProcess.NormalExit == 0
    table = qt.QTableWidget()
    table.setColumnCount(1)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)


def test_a_bytearray_is_written_as_its_repr_as_pythonqt_does(desktop):
    import qt

    buffer = qt.QBuffer()
    buffer.open(qt.QIODevice.ReadWrite)
    buffer.write(bytearray(b"a"))
    assert buffer.data().data() == b"bytearray(b'a')"


def test_a_connection_forgotten_in_the_ui_file_leaves_a_selector_without_a_scene(desktop, tmp_path):
    import re
    from pathlib import Path

    import slicer

    desktop.newScene()
    source = Path(__file__).resolve().parents[2] / "PETCTFusionSeg" / "Resources" / "UI" / "Study.ui"
    text = source.read_text()
    forgotten = r"<connection>\s*<sender>Study</sender>(?:(?!</connection>).)*petSelector.*?</connection>"
    cut = re.sub(forgotten, "", text, flags=re.DOTALL)
    assert cut != text
    path = tmp_path / "cut.ui"
    path.write_text(cut)
    scenes = {}
    for name, file in (("whole", source), ("cut", path)):
        widget = slicer.util.loadUI(str(file))
        widget.setMRMLScene(slicer.mrmlScene)
        scenes[name] = slicer.util.childWidgetVariables(widget).petSelector.mrmlScene()
    assert scenes["whole"] is slicer.mrmlScene
    assert scenes["cut"] is None
