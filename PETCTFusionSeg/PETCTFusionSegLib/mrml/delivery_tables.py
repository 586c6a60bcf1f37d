"""The tables that go with a saved segmentation, as CSV text with their definitions in lines that start with #."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import OutputError
from petctfusion.volumes.writing import output_error
from PETCTFusionSegLib.i18n import _

from .lesion_decisions import Decision
from .lesion_rows import LesionRow
from .live_tables import SEGMENT_COLUMNS

LESION_COLUMNS = (
    "segment", "lesion", "decision", "mtv_ml", "suv_max", "suv_mean", "suv_peak", "tlg", "r_mm", "a_mm", "s_mm",
)  # fmt: skip
_LESION_DEFINITIONS = (
    "Lesions: 18-connected components of a segment, numbered from the largest.",
    "decision: of the reader; a rejected lesion is not part of the segment, its row says what was rejected.",
    "mtv_ml: volume of the contour on its own grid.",
    "suv_max, suv_mean: body-weight SUV of the PET voxels whose centres lie in the lesion.",
    "suv_peak: highest mean of a 1 ml sphere centred on a PET voxel of the lesion.",
    "tlg: suv_mean x mtv_ml.",
    "r_mm, a_mm, s_mm: mean of the voxel centres, world RAS.",
)


@dataclass(frozen=True)
class ContourLesions:
    """The lesions of one segment, the decision about each, and why there is no uptake (empty: there is)."""

    name: str
    rows: Sequence[LesionRow]
    decisions: Sequence[Decision]
    sentence: str = ""


def lesionCsv(contours: Sequence[ContourLesions], labels: Sequence[str] = ()) -> str:
    """One row a lesion. `labels` are the segments of the label map, value 1 first."""
    lines = [*_LESION_DEFINITIONS, *dict.fromkeys(one.sentence for one in contours if one.sentence)]
    lines += [f"Label map: {value} = {name}" for value, name in enumerate(labels, start=1)]
    cells = [
        _lesionCells(contour.name, row, decision)
        for contour in contours
        for row, decision in zip(contour.rows, contour.decisions, strict=True)
    ]
    return _csv(lines, LESION_COLUMNS, cells)


def comparisonCsv(cells: Sequence[Sequence[str]]) -> str:
    """One row a segment; `cells` are those of `live_tables.segmentCells`, so the numbers are those in the panel."""
    lines = [f"{name}{f' ({unit})' if unit else ''}: {text}" for name, unit, text in SEGMENT_COLUMNS if text]
    lines.append("Compared in physical space, on the reference's grid.")
    return _csv(lines, [f"{name} ({unit})" if unit else name for name, unit, _text in SEGMENT_COLUMNS], cells)


def writeText(path: Path, text: str) -> Path:
    """Write a new file (UTF-8) whole or not at all, and read it again. Raises `OutputError`."""
    temporary = path.with_name(f".writing-{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        if temporary.read_bytes() != text.encode():
            raise OutputError(_("{file} could not be written completely.").format(file=path), _("Free some space."))
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _lesionCells(name: str, row: LesionRow, decision: Decision) -> list[str]:
    lesion = row.lesion
    values = (lesion.volume_ml, lesion.suv_max, lesion.suv_mean, lesion.suv_peak, lesion.tlg)
    place = [f"{value:.1f}" for value in row.centre]
    return [name, str(row.number), decision, *("" if value is None else f"{value:.4f}" for value in values), *place]


def _csv(lines: Sequence[str], header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    stream.writelines(f"# {line}\n" for line in lines)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(cells)
    return stream.getvalue()
