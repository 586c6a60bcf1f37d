"""What a session begins with: the files, the phantom or the lesson that were asked for on the command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

_PATHS = ("folder", "ct", "pet", "mr", "reference", "segmentation", "dicom", "lesson")


@dataclass(frozen=True)
class SessionStart:
    """Handed to the session's process as JSON. `folder` is private to the session; everything else may be absent."""

    folder: Path
    ct: Path | None = None
    pet: Path | None = None
    petUnits: str = "auto"
    mr: Path | None = None
    reference: Path | None = None
    segmentation: Path | None = None
    dicom: Path | None = None
    """The folder in which `ct` and `pet` were found: the study has its name."""
    phantomSeed: int | None = None
    teaching: bool = False
    lesson: Path | None = None
    """The instructor's file; None with `teaching` is the shipped lesson."""
    device: str = "auto"

    def toJson(self) -> str:
        """One line."""
        return json.dumps(
            {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        )

    @classmethod
    def fromJson(cls, text: str) -> SessionStart:
        """The inverse of `toJson`."""
        given: dict[str, Any] = json.loads(text)
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in given.items() if name in known}
        for name in _PATHS:
            if values.get(name) is not None:
                values[name] = Path(values[name])
        return cls(**values)
