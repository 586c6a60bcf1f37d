"""The package's TOML files: found by name, read, and made into dataclasses (`petctfusion.tables`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.tables import did_you_mean, is_required, read_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["did_you_mean", "is_required", "read_table", "read_toml", "toml_names"]


def read_toml(name_or_path: str, folder: Path, what: str) -> tuple[Path, dict[str, Any]]:
    """Path and values of a TOML file: one of `folder` by its name, or any by its path.

    `what` names its kind in a message. Raises `BadInputError`.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = folder / f"{name_or_path}.toml"
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(toml_names(folder))
        raise BadInputError(f"There is no {what} {name_or_path!r}.", f"Known: {known}; or give a TOML file.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"The {what} {path} cannot be read: {error}.", "Correct the TOML file.") from error


def toml_names(folder: Path) -> list[str]:
    """Names of the TOML files of the package in `folder`."""
    return sorted(path.stem for path in folder.glob("*.toml"))
