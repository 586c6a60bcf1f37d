"""Which code made a number: the commit of the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current_commit() -> str | None:
    """The commit of the checkout the package runs from, None outside one."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
