"""Everything that the user reads goes through `_()`, in a form that translators' tools can collect."""

from pathlib import Path

import pytest
from user_texts import mistranslated, untranslated

LIBRARY = Path(__file__).resolve().parents[2] / "PETCTFusionSeg" / "PETCTFusionSegLib"
# Stories are read by developers; pictures and the headless start are made on the command line, which is English.
NOT_FOR_USERS = {"selftest", "web"}
COMMAND_LINE = {"headless.py", "views.py"}
FILES = [
    path
    for path in sorted(LIBRARY.rglob("*.py"))
    if path.relative_to(LIBRARY).parts[0] not in NOT_FOR_USERS
    and path.name not in COMMAND_LINE
    and not path.name.startswith("picture")
]
WITH_WIDGETS = {"desktop", "effect"}


def name(path):
    return str(path.relative_to(LIBRARY))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_the_user_reads_is_translated(path):
    found = untranslated(path, everywhere=path.relative_to(LIBRARY).parts[0] in WITH_WIDGETS)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_translated_texts_are_plain_literals(path):
    assert mistranslated(path) == []


@pytest.mark.parametrize(
    ("line", "everywhere", "count"),
    [
        ('say("Nothing was installed.")', False, 1),
        ('say(_("Nothing was installed."))', False, 0),
        ('self.ui.label.text = f"{n} lesions"', False, 1),
        ('self.ui.label.toolTip = _("{n} lesions").format(n=n)', False, 0),
        ('selector.addItem("auto")', False, 1),
        ('raise BadInputError(f"The PET {name} is missing.", "Choose one.")', False, 3),
        ('return "The packages are installed."', True, 1),
        ('"""The packages are installed."""', True, 0),
        ('log.warning("The packages are installed.")', True, 0),
        ('node.SetAttribute("DICOM.Units", "BQML")', True, 0),
    ],
)
def test_the_search_finds_what_it_should(tmp_path, line, everywhere, count):
    file = tmp_path / "example.py"
    body = line if not line.startswith("return") else f"def f():\n    {line}"
    file.write_text(body, encoding="utf-8")
    assert len(untranslated(file, everywhere)) == count


@pytest.mark.parametrize(("line", "wrong"), [('_("plain")', 0), ('_(f"{n}")', 1), ("_(text)", 1), ('_("a" + b)', 1)])
def test_a_text_that_cannot_be_collected_is_found(tmp_path, line, wrong):
    file = tmp_path / "example.py"
    file.write_text(line, encoding="utf-8")
    assert len(mistranslated(file)) == wrong
