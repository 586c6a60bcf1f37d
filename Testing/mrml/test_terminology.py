"""The terminology in Slicer's own terminology logic: read, shown in words, found by the codes of segments."""

from importlib import resources

import pytest
import vtk

from petctfusion.errors import BadInputError
from petctfusion.models.card import Code, Terminology
from PETCTFusionSegLib.mrml import terminology
from PETCTFusionSegLib.mrml.headless import moduleLogic


def loadedNames():
    names = vtk.vtkStringArray()
    moduleLogic("terminologies").GetLoadedTerminologyNames(names)
    return [names.GetValue(number) for number in range(names.GetNumberOfValues())]


def test_slicer_reads_the_file_and_keeps_it_once(booted):
    assert terminology.loadTerminology() == "PETCTFusionSeg"
    before = moduleLogic("terminologies").GetMTime()
    assert terminology.loadTerminology() == "PETCTFusionSeg"
    assert moduleLogic("terminologies").GetMTime() == before
    assert loadedNames().count("PETCTFusionSeg") == 1


@pytest.mark.parametrize(
    ("category", "kind", "words"),
    [
        (("SCT", "49755003", "Morphologically Altered Structure"), ("SCT", "108369006", "Neoplasm"), "Neoplasm"),
        (
            ("99PETCT", "RTTARGET", "Radiotherapy target volume"),
            ("99PETCT", "IGTV", "Internal gross tumor volume (IGTV)"),
            "Internal gross tumor volume (IGTV)",
        ),
    ],
)
def test_entries_of_the_context_are_understood(booted, category, kind, words):
    context = terminology.loadTerminology()
    entry = terminology.terminologyEntry(context, Terminology(Code(*category), Code(*kind)))
    assert terminology.meaningOf(entry) == words


def test_a_missing_file_is_one_sentence(booted, monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(terminology, "CONTEXT", "not loaded yet")
    with pytest.raises(BadInputError, match="could not be loaded"):
        terminology.loadTerminology()
