"""Sees to it that there is a Chromium for the tests of the browser workbench: installs it where that is allowed.

Standard library only. Never fails: without a browser these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = (
    "apt-get",
    "install",
    "-y",
    "--no-install-recommends",
    "chromium",
    "libegl1",
    "libegl-mesa0",
    "libgl1-mesa-dri",
)
MOST_SECONDS = 600


def main() -> int:
    """Says what will be: nothing when there is a browser."""
    if os.environ.get("PETCTFUSION_CHROMIUM") or any(map(shutil.which, BROWSERS)):
        return 0
    if is_allowed():
        print("make: installing Chromium for the tests in the browser ...", flush=True)
        if run("apt-get", "update") and run(*INSTALL) and any(map(shutil.which, BROWSERS)):
            return 0
    print(
        "make: there is no Chromium, so the tests in the browser are skipped; on Debian or Ubuntu: "
        "apt install chromium, or name one with PETCTFUSION_CHROMIUM.",
        file=sys.stderr,
    )
    return 0


def is_allowed() -> bool:
    """Only where this is the administrator already, as on a build machine; nobody is asked for a password."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def run(*command: str) -> bool:
    """True when the command succeeds in reasonable time."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, check=False, env=environment, timeout=MOST_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    sys.exit(main())
