"""A table of paths: patient, contour, one column a modality; study, split and class (0, 1, ...) if there are any.

Paths are relative to the table. A contour may be all that a contour can be elsewhere, also an RTSTRUCT or `.seg.nrrd`.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import SPLITS, Contour, Patient, Say, known_modality, lacking

_NEEDED = ("patient", "contour")
_COLUMNS = (*_NEEDED, "study", "split", "class")


def find(table: Path, label: str | None, say: Say) -> list[Patient]:
    """One patient or study a row. `label` names the label, segment or ROI that counts in every contour.

    Raises `BadInputError` for a table without the columns, with one that means nothing, and for a row that is there
    twice, lacks its patient, or puts a patient into a second part of the split.
    """
    del say
    header, rows = _rows(table)
    modalities = {
        column: known_modality(column, f"The header of {table}") for column in header if column not in _COLUMNS
    }
    if len(set(modalities.values())) < len(modalities):
        raise BadInputError(f"{table} has two columns for one modality: {', '.join(modalities)}.", "Keep one of them.")
    if not modalities:
        raise BadInputError(f"{table} has no column of a modality.", "Add columns CT and PET with the paths.")
    patients: dict[str, Patient] = {}
    split_of: dict[str, str] = {}
    for number, row in rows:
        patient = _patient(table, number, row, modalities, label)
        if patient.name in patients:
            raise BadInputError(f"{patient.name} is in {table} twice, again in line {number}.", "Keep one of the rows.")
        if split_of.setdefault(patient.identity, patient.split) != patient.split:
            raise BadInputError(
                f"Line {number} of {table} puts {patient.identity} into {patient.split or 'no part'} of the split, "
                f"an earlier one into {split_of[patient.identity] or 'none'}.",
                "Keep all studies of a patient in one part.",
            )
        patients[patient.name] = patient
    return list(patients.values())


def _rows(table: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header, and the rows that are not blank with their line numbers."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{table} cannot be read ({error}).", "Give a CSV file in UTF-8.") from error
    first = text.partition("\n")[0]
    reader = csv.reader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",")
    header = [_column(cell) for cell in next(reader, [])]
    missing = [column for column in _NEEDED if column not in header]
    if missing or len(set(header)) < len(header):
        what = f"has no column {missing[0]!r}" if missing else "has one column twice"
        near = difflib.get_close_matches(missing[0], header, 1) if missing else []
        hint = (
            f"Did you mean it by {near[0]!r}?" if near else "The columns are patient, contour, CT, PET, study, split."
        )
        raise BadInputError(f"{table} {what}.", hint)
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise BadInputError(
                f"Line {reader.line_num} of {table} has {len(cells)} cells, the header {len(header)}.",
                "Put paths with commas into quotation marks.",
            )
        rows.append((reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
    return header, rows


def _column(cell: str) -> str:
    word = cell.strip()
    return word.lower() if word.lower() in _COLUMNS else word


def _patient(
    table: Path, number: int, row: Mapping[str, str], modalities: Mapping[str, str], label: str | None
) -> Patient:
    if not row["patient"]:
        raise BadInputError(f"Line {number} of {table} names no patient.", "Fill in its column patient.")
    split = row.get("split", "").lower()
    if split and split not in SPLITS:
        near = difflib.get_close_matches(split, SPLITS, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(SPLITS)}."
        raise BadInputError(f"Line {number} of {table} has {split!r} for its split.", hint)
    paths = {kind: table.parent / row[column] for column, kind in modalities.items() if row[column]}
    contour = table.parent / row["contour"] if row["contour"] else None
    problem = lacking(paths, contour, modalities.values())
    absent = [path for path in (*paths.values(), contour) if path is not None and not path.exists()]
    if not problem and absent:
        problem = f"{absent[0]} does not exist."
    return Patient(
        "/".join(filter(None, (row["patient"], row.get("study", "")))),
        row["patient"],
        paths,
        None if contour is None else Contour(contour, name=label),
        split,
        problem=problem,
        hint=f"Correct line {number} of {table}." if problem else "",
        lesion_class=_lesion_class(table, number, row.get("class", "")),
    )


def _lesion_class(table: Path, number: int, cell: str) -> int | None:
    if cell and not cell.isdecimal():
        raise BadInputError(f"Line {number} of {table} has {cell!r} for its class.", "Count classes 0, 1, ...")
    return int(cell) if cell else None
