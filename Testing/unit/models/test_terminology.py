"""The terminology that Slicer loads: the structure of dcmqi's segment-context schema, checked without Slicer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import petctfusion


@pytest.fixture(scope="module")
def context() -> dict:
    path = Path(petctfusion.__file__).parent / "resources" / "terminology" / "PETCTFusionSeg.term.json"
    return json.loads(path.read_text(encoding="utf-8"))


def codes(context: dict) -> list[dict]:
    categories = context["SegmentationCodes"]["Category"]
    return [*categories, *(entry for category in categories for entry in category["Type"])]


def test_the_context_has_the_name_slicer_shows_and_the_schema(context):
    assert context["SegmentationCategoryTypeContextName"] == "PETCTFusionSeg"
    assert context["@schema"].endswith("segment-context-schema.json#")


def test_every_code_has_scheme_value_and_meaning_within_dicom_s_limits(context):
    for code in codes(context):
        # DICOM PS3.5 table 6.2-1: SH holds 16 characters, LO 64.
        assert 0 < len(code["CodingSchemeDesignator"]) <= 16
        assert 0 < len(code["CodeValue"]) <= 16
        assert 0 < len(code["CodeMeaning"]) <= 64
        assert not set("~^\\") & set(code["CodeMeaning"] + code["CodeValue"])


def test_no_code_appears_twice(context):
    keys = [(c["CodingSchemeDesignator"], c["CodeValue"]) for c in codes(context)]
    assert len(set(keys)) == len(keys)


def test_every_type_has_a_colour_of_its_own(context):
    colours = [
        tuple(t["recommendedDisplayRGBValue"]) for c in context["SegmentationCodes"]["Category"] for t in c["Type"]
    ]
    assert len(set(colours)) == len(colours)
    assert all(len(c) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in c) for c in colours)


def test_the_snomed_codes_are_slicer_s_own(context):
    snomed = {c["CodeValue"]: c["CodeMeaning"] for c in codes(context) if c["CodingSchemeDesignator"] == "SCT"}
    assert snomed == {
        "49755003": "Morphologically Altered Structure",
        "108369006": "Neoplasm",
        "86049000": "Neoplasm, Primary",
        "14799000": "Neoplasm, Secondary",
    }


def test_snomed_concepts_carry_a_valid_check_digit(context):
    for value in (c["CodeValue"] for c in codes(context) if c["CodingSchemeDesignator"] == "SCT"):
        assert verhoeff(value) == 0, value


def test_what_is_not_snomed_is_marked_private_and_explained(context):
    private = [c for c in codes(context) if c["CodingSchemeDesignator"] != "SCT"]
    assert {c["CodeValue"] for c in private} == {"RTTARGET", "GTV", "IGTV"}
    for code in private:
        assert re.fullmatch(r"99[A-Z]+", code["CodingSchemeDesignator"])
        assert code["CodingSchemeDesignator"] in context["Note"]


def verhoeff(digits: str) -> int:
    """0 for a number whose last digit is its Verhoeff check digit (SNOMED CT, "Check-digit computation")."""
    swap = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    check = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit)
        for _ in range(place % 8):
            number = swap[number]
        check = dihedral(check, number)
    return check


def dihedral(a: int, b: int) -> int:
    """Product in the dihedral group of order 10."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5
