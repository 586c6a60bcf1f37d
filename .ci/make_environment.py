"""Makes the virtual environment of the Makefile. Standard library only: it runs before anything is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints-py311.txt"
# The exact pins were run together on this version of Python; others resolve the ranges of pyproject.toml.
PINNED = (3, 11)


def main(folder: str) -> int:
    """Creates `folder` and installs the project there, editable, with everything that demo and tests need."""
    python = create(Path(folder))
    if python is None:
        return tell("The virtual environment could not be made; on Debian or Ubuntu: apt install python3-venv.")
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-e", ".[slicer,web,test]"]
    if sys.version_info[:2] == PINNED:
        command += ["-c", str(CONSTRAINTS.relative_to(ROOT))]
    print("Installing (about 3 GB on disk, a few minutes) ...", flush=True)
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        return tell("The installation failed; pip says above why (network? free disk space?).")
    return 0


def create(folder: Path) -> Path | None:
    """A virtual environment with pip, also where Debian's python3-venv (ensurepip) is missing; None if impossible."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    print(f"Making the virtual environment {folder} with Python {sys.version.split()[0]} ...", flush=True)
    made = run(sys.executable, "-m", "venv", "--clear", str(folder))
    if not made:
        # pip can install itself into an environment that has none.
        made = run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)) and run(
            sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "pip"
        )
    return python if made else None


def run(*command: str) -> bool:
    """True when the command succeeds; what it says is shown only if nothing else works."""
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0


def tell(sentence: str) -> int:
    """One sentence, and failure."""
    print(f"make: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
