"""The forms of the panel as people use them who see badly, use no mouse, or read another language."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[3] / "PETCTFusionSeg"
FORMS = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("desktop", "effect")
    for path in sorted((MODULE / "PETCTFusionSegLib" / folder).rglob("*.py"))
)
# What a user operates, by keyboard or mouse.
OPERATED = {
    "QPushButton", "QToolButton", "QComboBox", "QCheckBox", "QRadioButton", "QSpinBox", "QDoubleSpinBox", "QLineEdit",
    "QSlider", "QTableWidget", "QTreeWidget", "QListWidget", "QPlainTextEdit", "QTextEdit", "QTabWidget",
    "qMRMLNodeComboBox", "qMRMLSegmentEditorWidget", "ctkSliderWidget", "ctkDoubleSlider", "ctkPathLineEdit",
    "ctkComboBox", "ctkDoubleSpinBox", "ctkRangeWidget",
}  # fmt: skip
# They explain themselves: a title and what is inside it, or an editor with tooltips of its own.
SELF_EXPLAINING = {"QTabWidget", "qMRMLSegmentEditorWidget"}
SHOW_THEIR_TEXT = {"QPushButton", "QToolButton", "QCheckBox", "QRadioButton", "QTabWidget", "qMRMLSegmentEditorWidget"}
NEED_THE_SCENE = {"qMRMLNodeComboBox", "qMRMLSegmentEditorWidget"}


def name(path: Path) -> str:
    return path.stem


@pytest.fixture(params=FORMS, ids=name)
def form(request) -> ElementTree.Element:
    return ElementTree.parse(request.param).getroot()


def operated(form: ElementTree.Element) -> list[ElementTree.Element]:
    return [widget for widget in form.iter("widget") if widget.get("class") in OPERATED]


def text_of(widget: ElementTree.Element, key: str) -> str:
    return (widget.findtext(f"property[@name='{key}']/string") or "").strip()


def set_in_code(widget: ElementTree.Element, key: str) -> bool:
    """Texts that depend on the study are set by the section, for one widget or for several from a table of names."""
    own = re.search(rf"\b{widget.get('name')}\.{key} = ", CODE)
    return own is not None or (not text_of(widget, "text") and f'"{widget.get("name")}": ' in CODE)


def labelled(form: ElementTree.Element) -> set[str]:
    """Names of widgets beside a label: its buddy, or the field in the same row of a form layout."""
    found = {one.text or "" for one in form.iterfind(".//property[@name='buddy']/cstring")}
    for layout in form.iter("layout"):
        if layout.get("class") != "QFormLayout":
            continue
        for row in {item.get("row") for item in layout.findall("item")}:
            items = [item for item in layout.findall("item") if item.get("row") == row]
            if any(widget.get("class") == "QLabel" for item in items for widget in item.findall("widget")):
                found |= {w.get("name") or "" for item in items for w in item.iter("widget")}
    return found


def test_there_are_forms():
    assert len(FORMS) >= 5


def test_every_control_says_what_it_does(form):
    for widget in operated(form):
        if widget.get("class") in SELF_EXPLAINING or set_in_code(widget, "toolTip"):
            continue
        tip = text_of(widget, "toolTip")
        assert len(tip) >= 20, f"{widget.get('name')} has no tooltip that explains it: {tip!r}"
        assert tip.rstrip(".") != text_of(widget, "text").rstrip(".")


def test_every_control_has_a_name_for_a_screen_reader(form):
    named = labelled(form)
    for widget in operated(form):
        shows = widget.get("class") in SHOW_THEIR_TEXT and text_of(widget, "text")
        assert (
            shows
            or widget.get("class") in SELF_EXPLAINING
            or text_of(widget, "accessibleName")
            or set_in_code(widget, "accessibleName")
            or widget.get("name") in named
        ), f"{widget.get('name')} has neither text, label nor accessibleName"


def test_a_button_without_text_has_an_accessible_name(form):
    for widget in operated(form):
        if (
            widget.get("class") in {"QPushButton", "QToolButton"}
            and len(re.findall(r"\w", text_of(widget, "text"))) < 2
        ):
            named = text_of(widget, "accessibleName") or set_in_code(widget, "accessibleName")
            assert named or set_in_code(widget, "text"), widget.get("name")


def test_the_tab_key_goes_through_the_form_in_reading_order(form):
    """Qt goes through widgets in the order of the file, unless the form has a list of its own, which must be whole."""
    listed = [stop.text for stop in form.iterfind("tabstops/tabstop")]
    names = [widget.get("name") for widget in operated(form) if widget.get("class") not in SELF_EXPLAINING]
    if listed:
        assert set(listed) >= set(names), set(names) - set(listed)
        return
    for layout in form.iter("layout"):
        places = [
            (int(item.get("row") or 0), int(item.get("column") or 0))
            for item in layout.findall("item")
            if item.get("row") is not None
        ]
        assert places == sorted(places), f"{layout.get('name')}: rows are not in the order of the file"


def test_widgets_that_list_nodes_get_the_scene(form):
    connected = {
        connection.findtext("receiver")
        for connection in form.iterfind("connections/connection")
        if (connection.findtext("signal") or "").startswith("mrmlSceneChanged")
    }
    needing = {widget.get("name") for widget in form.iter("widget") if widget.get("class") in NEED_THE_SCENE}
    assert needing <= connected, needing - connected
    assert not needing or form.find("widget").get("class") == "qMRMLWidget"


def texts(form: ElementTree.Element) -> Iterator[str]:
    for one in form.iter("string"):
        if one.get("notr") != "true":
            yield (one.text or "").strip()


def test_texts_are_american_and_end_as_sentences_end(form):
    for text in texts(form):
        assert not re.search(r"tumour|colour|centre|metre\b|grey\b|[a-z]isation", text), text
        assert "  " not in text, text


def test_no_two_widgets_have_one_name():
    """Sections share one panel, where widgets are found by their names."""
    names = Counter(widget.get("name") for path in FORMS for widget in ElementTree.parse(path).getroot().iter("widget"))
    assert [one for one, count in names.items() if count > 1] == []
