"""A folder of phantoms that several runs may fill: its card, phantoms that appear whole or not at all, its table."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.volumes.writing import output_error

CARD = "cohort.json"
_UNFINISHED = ".unfinished-"
_STALE_SECONDS = 3600.0


def claim(folder: Path, card: dict[str, Any]) -> None:
    """Write the cohort's card into a new folder, or compare it with the one that is there; sweep what killed runs left
    more than an hour ago. Raises `BadInputError` for another cohort's folder, `OutputError`."""
    path = folder / CARD
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            other = [key for key, value in card.items() if before.get(key) != value]
            if other:
                raise BadInputError(
                    f"{folder} holds a cohort with another {' and another '.join(other)}.",
                    "Choose a new folder, or the settings that one was made with.",
                )
            return
    except OSError as error:
        raise output_error(folder, error) from error
    except ValueError as error:
        raise BadInputError(f"{path} is damaged.", "Choose a new folder.") from error
    write_text(path, json.dumps(card, indent=1) + "\n")


def complete(target: Path, make: Callable[[Path], None]) -> bool:
    """Whether the phantom was there already; else `make` fills a folder that then becomes it. Raises `OutputError`."""
    if target.is_dir():
        return True
    work = target.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
    try:
        make(work)
        # Another run into the same folder may have been faster: its phantom is the same.
        if not target.is_dir():
            work.replace(target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return False


def table_text(rows: Iterable[tuple[str, str, str, str]], files: tuple[str, str, str]) -> str:
    """(patient, study, split, folder) of every phantom as `--kind csv` reads them; `files`: CT, PET and contour."""
    lines = ["patient,study,split,CT,PET,contour"]
    for patient, study, split, folder in sorted(rows, key=lambda row: row[3]):
        lines.append(",".join([patient, study, split, *(f"{folder}/{file}" for file in files)]))
    return "\n".join(lines) + "\n"


def write_text(path: Path, text: str) -> None:
    """Whole or not at all. Raises `OutputError`."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise output_error(path, error) from error
