"""Writes the file lists of PETCTFusionSeg/CMakeLists.txt from the files on disk, when run as a program."""

from __future__ import annotations

import re
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "PETCTFusionSeg"
LISTS = ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES")


def filesOnDisk() -> dict[str, list[str]]:
    """What the two lists have to name, relative to the module's folder."""
    names = sorted(
        path.relative_to(MODULE).as_posix()
        for path in MODULE.rglob("*")
        if path.is_file()
        and not any(part == "__pycache__" or part.startswith(".") for part in path.relative_to(MODULE).parts)
        and not path.name.startswith("CMakeLists")
        and ".egg-info/" not in path.as_posix()
    )
    return {
        LISTS[0]: [name for name in names if name.endswith(".py")],
        LISTS[1]: [name for name in names if not name.endswith(".py")],
    }


def filesInCMake() -> dict[str, list[str]]:
    """What the two lists name."""
    text = (MODULE / "CMakeLists.txt").read_text()
    found = {}
    for name in LISTS:
        match = re.search(rf"set\({name}\n(.*?)\n?\s*\)", text, re.DOTALL)
        found[name] = match.group(1).split() if match else []
    return found


def rewrite() -> None:
    """Bring the lists up to date."""
    path = MODULE / "CMakeLists.txt"
    text = path.read_text()
    for name, files in filesOnDisk().items():
        body = "\n".join(f"  {file}" for file in files)
        text = re.sub(rf"set\({name}\n.*?\n\s*\)", lambda _m: f"set({name}\n{body}\n  )", text, flags=re.DOTALL)  # noqa: B023
    path.write_text(text)


if __name__ == "__main__":
    rewrite()
