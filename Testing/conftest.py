"""Shared by all tests: where the repository and the real patients are, and a user folder that is not the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real data; tests that need it are marked `data`."""
    folder = Path(os.environ.get("PETCTFUSION_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "sts" / "split.json").is_file():
        pytest.skip(f"no real patients in {folder}: set PETCTFUSION_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Logs and own models go to a temporary folder, for this process and every one it starts."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(folder / name))
        patch.delenv("PETCTFUSION_MODELS", raising=False)
        yield folder
