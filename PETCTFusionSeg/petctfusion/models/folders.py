"""Where models live: those shipped with the package, and the user's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ENVIRONMENT = "PETCTFUSION_MODELS"
SHIPPED = Path(__file__).resolve().parent.parent / "resources" / "models"


def own_models_folder() -> Path:
    """The user's model folder (it need not exist): PETCTFUSION_MODELS, or the platform's place for application data."""
    if chosen := os.environ.get(ENVIRONMENT):
        return Path(chosen).expanduser()
    return _application_data() / "PETCTFusionSeg" / "models"


def _application_data() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    # XDG Base Directory: a relative path there is invalid and is ignored.
    chosen = Path(os.environ.get("XDG_DATA_HOME") or "")
    return chosen if chosen.is_absolute() else home / ".local" / "share"
