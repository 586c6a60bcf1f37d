"""The instructor's file: what is read, and one sentence for everything that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from petctfusion.errors import BadInputError
from petctfusion.phantom.settings import sarcoma_settings
from petctfusion.teaching import PassingMarks, read_lesson
from petctfusion.teaching.lesson import CaseFiles, PhantomCase


def _lesson(**changes: Any) -> dict[str, Any]:
    case = {"title": "One", "task": "Draw.", "phantom": {"seed": 3}}
    return {"title": "Lesson", "cases": [case], **changes}


def _case(**changes: Any) -> dict[str, Any]:
    return _lesson(cases=[{"title": "One", "task": "Draw.", "phantom": {"seed": 3}, **changes}])


def _read(folder: Path, values: Any) -> Any:
    path = folder / "lesson.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return read_lesson(path)


def test_the_lesson_of_the_package():
    lesson = read_lesson()
    assert len(lesson.cases) == 4
    assert all(case.hints and case.passing.dice is not None for case in lesson.cases)
    assert lesson.cases[3].show.sliders == "at once"
    assert lesson.cases[3].show.reference == "after check"
    assert lesson.cases[2].model == "whole-body-phantom"
    assert all(isinstance(case.source, PhantomCase) for case in lesson.cases)


def test_a_short_file_gets_the_defaults(tmp_path):
    (case,) = _read(tmp_path, _lesson()).cases
    assert case.source.settings.lesions == sarcoma_settings(3).lesions
    assert (case.hints, case.passing, case.model) == ((), PassingMarks(), "")
    assert case.show.reference == "after check"


def test_cases_inherit_and_overrule_what_the_lesson_says(tmp_path):
    values = _lesson(show={"reference": "at end", "network": "never"}, passing={"dice": 0.8, "hd95_mm": 9}, model="m")
    values["cases"].append({**values["cases"][0], "show": {"network": "at once"}, "passing": {"dice": 0.5}})
    first, second = _read(tmp_path, values).cases
    assert (first.show.reference, first.show.network, first.show.sliders) == ("at end", "never", "after check")
    assert (second.show.reference, second.show.network) == ("at end", "at once")
    assert second.passing == PassingMarks(dice=0.5, hd95_mm=9.0)
    assert second.model == "m"


def test_files_lie_beside_the_lesson(tmp_path):
    for name in ("ct.nii.gz", "pet.nii.gz", "truth.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    case = {"title": "A", "task": "B", "files": {"ct": "ct.nii.gz", "pet": "pet.nii.gz", "reference": "truth.nii.gz"}}
    source = _read(tmp_path, _lesson(cases=[case])).cases[0].source
    assert source == CaseFiles(tmp_path / "ct.nii.gz", tmp_path / "pet.nii.gz", tmp_path / "truth.nii.gz")


def test_an_empty_list_of_lesions_is_a_patient_without_any(tmp_path):
    source = _read(tmp_path, _case(phantom={"view": "thigh", "lesions": []})).cases[0].source
    assert source.settings.lesions == ()


FILES = {"title": "A", "task": "B"}
WRONG = [
    ("{", "cannot be read"),
    ("[]", "The lesson is not an object"),
    ('{"title": NaN, "cases": []}', "NaN is no number"),
    ("[" * 100_000, "cannot be read"),
    (_lesson(cases=[]), "no cases"),
    (_lesson(cases={}), "takes 'cases' as a list"),
    (_lesson(title=""), "lacks 'title'"),
    (_lesson(title=7), "'title' as text"),
    (_lesson(caes=[]), "Did you mean 'cases'"),
    (_lesson(show={"referense": "never"}), "Did you mean 'reference'"),
    (_lesson(show={"reference": "after chek"}), "Did you mean 'after check'"),
    (_lesson(show=["never"]), "is not an object"),
    (_lesson(passing={"dice": 80}), "Give 0 to 1"),
    (_lesson(passing={"dice": "high"}), "takes a number for dice"),
    (_lesson(passing={"hd95_mm": -1}), "Give 0 or more"),
    (_case(hint=["x"]), "Did you mean 'hints'"),
    (_case(hints="x"), "takes 'hints' as a list"),
    (_case(hints=[{"texts": "x"}]), "Case 1, hint 1, does not know texts. Did you mean 'text'"),
    (_case(hints=[""]), "Case 1, hint 1: A hint needs a text"),
    (_case(hints=[{"text": "x", "after_checks": 1.5}]), "a whole number for after_checks"),
    (_case(title=" "), "Case 1 lacks 'title'"),
    (_case(files={}), "either 'phantom' or 'files'"),
    (_case(phantom={"sed": 4}), "Did you mean 'seed'"),
    (_case(phantom={"seed": -4}), "negative"),
    (_case(phantom={"view": "foot"}), "not a field of view"),
    (_case(phantom={"fwhm_mm": 100}), "A resolution of 100 is not simulated"),
    (_case(phantom={"ct_spacing_mm": [1, 1]}), "a list of 3 numbers"),
    (_case(phantom={"ct_spacing_mm": [1, 1, 0.01]}), "ct_spacing_mm of 0.01"),
    (_case(phantom={"margin_mm": 1e9}), "margin_mm"),
    (_case(phantom={"lesions": [{"site": "tigh-left", "diameter_mm": 30}]}), "Did you mean 'thigh-left'"),
    (_case(phantom={"lesions": [{"site": "liver"}]}), "lacks diameter_mm"),
    (_case(phantom={"lesions": [{"site": "liver", "diameter_mm": 3000}]}), "diameter_mm of 3000"),
    (_case(phantom={"lesions": ["liver"]}), "is not an object"),
    (
        _lesson(cases=[{"title": "A", "task": "B", "files": {"ct": "no.nii", "pet": "p", "reference": "r"}}]),
        "not there",
    ),
    (_lesson(cases=[{"title": "A", "task": "B", "files": {"ct": 3}}]), "'ct' as text"),
]


@pytest.mark.parametrize(("values", "sentence"), WRONG, ids=[sentence for _values, sentence in WRONG])
def test_a_wrong_file_gets_one_sentence(tmp_path, values, sentence):
    with pytest.raises(BadInputError) as caught:
        _read(tmp_path, values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_gets_one_sentence(tmp_path):
    with pytest.raises(BadInputError, match="cannot be read"):
        read_lesson(tmp_path / "none.json")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_lesson(tmp_path)
    (tmp_path / "image.json").write_bytes(b"\xff\xfe\x00" * 100)
    with pytest.raises(BadInputError, match="cannot be read"):
        read_lesson(tmp_path / "image.json")
    (tmp_path / "large.json").write_bytes(b" " * (1 << 21))
    with pytest.raises(BadInputError, match="too large"):
        read_lesson(tmp_path / "large.json")
