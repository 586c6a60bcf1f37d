"""Result files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from petctfusion.volumes.writing import output_error


def write_text(text: str, path: Path) -> None:
    """Writes `text` beside `path`, then renames it. Raises `OutputError`."""
    temporary = path.with_name(f".writing-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(document: dict[str, Any], path: Path) -> None:
    """One small JSON document; infinite numbers are refused. Raises `OutputError`."""
    write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", path)
