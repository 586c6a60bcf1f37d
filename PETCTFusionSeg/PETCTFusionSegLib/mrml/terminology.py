"""What a segment is, in codes that DICOM understands: the TerminologyEntry tag of a segment."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import vtk

from petctfusion.errors import BadInputError
from petctfusion.models.card import Code, Terminology
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer, moduleLogic

if TYPE_CHECKING:
    from slicer import vtkSegment

CONTEXT = "PETCTFusionSeg"
CONTEXT_FILE = "PETCTFusionSeg.term.json"
NEOPLASM = Terminology(
    Code("SCT", "49755003", "Morphologically Altered Structure"), Code("SCT", "108369006", "Neoplasm")
)
_NO_CODE = "^^"


def loadTerminology() -> str:
    """Load this project's terminology context into Slicer, once; returns the name of the context.

    Raises `BadInputError` when the file is missing from the installation or not a terminology.
    """
    logic = moduleLogic("terminologies")
    loaded = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(loaded)
    if CONTEXT in (loaded.GetValue(number) for number in range(loaded.GetNumberOfValues())):
        return CONTEXT
    packaged = resources.files("petctfusion") / "resources" / "terminology" / CONTEXT_FILE
    with resources.as_file(packaged) as path:
        name = logic.LoadTerminologyFromFile(str(path)) if path.is_file() else ""
    if name != CONTEXT:
        raise BadInputError(
            _("The terminology {file} could not be loaded.").format(file=CONTEXT_FILE),
            _("Install the extension again."),
        )
    return CONTEXT


def setTerminology(segment: vtkSegment, context: str, terminology: Terminology) -> None:
    """Write category and type of a terminology context into the segment, without modifiers and regions."""
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminologyEntry(context, terminology))


def terminologyEntry(context: str, terminology: Terminology) -> str:
    """The seven fields as Slicer stores them: context, category, type, modifier, region context, region, modifier."""
    category, kind = (
        "^".join((code.scheme, code.value, code.meaning)) for code in (terminology.category, terminology.type)
    )
    return "~".join((context, category, kind, _NO_CODE, "", _NO_CODE, _NO_CODE))


def terminologyOf(segment: vtkSegment) -> str:
    """The serialized terminology entry of a segment; empty when it has none."""
    return segmentTag(segment, segment.GetTerminologyEntryTagName())


def segmentTag(segment: vtkSegment, name: str) -> str:
    """A tag of a segment; empty when it has none."""
    from vtkmodules.vtkCommonCore import reference

    value: Any = reference("")
    return str(value.get()) if segment.GetTag(name, value) else ""


def meaningOf(entry: str) -> str:
    """The entry in words as Slicer shows it, for example "Neoplasm"; empty when it cannot be decoded."""
    slicer = importSlicer()
    decoded = slicer.vtkSlicerTerminologyEntry()
    if not moduleLogic("terminologies").DeserializeTerminologyEntry(entry, decoded):
        return ""
    return str(decoded.GetTypeObject().GetCodeMeaning() or "")
