"""The one model inside a zip, unpacked beside the installed ones for as long as it is needed. Imports no torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.archive import unpack
from petctfusion.models.card import CARD_FILE
from petctfusion.models.folders import own_models_folder
from petctfusion.models.foreign import foreign_kind


@contextmanager
def unpacked_model(archive: Path, report: Callable[[int, int], None]) -> Iterator[Path]:
    """The folder with the model inside an archive, until the block ends; `report` is told bytes done and in all.

    Raises `ModelError` for what is no whole zip or holds no model or several, `OutputError` where there is no room.
    """
    own = own_models_folder()
    try:
        own.mkdir(parents=True, exist_ok=True)
        # The store sweeps folders of this name away when a killed process leaves one.
        work = Path(tempfile.mkdtemp(prefix=".incoming-", dir=own))
    except OSError as error:
        raise OutputError(f"The folder {own} cannot be written: {error.strerror}.", "Check it.") from error
    try:
        unpack(archive, work, report)
        yield _model_folder(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _model_folder(root: Path) -> Path:
    folders = [path for path in (root, *sorted(root.rglob("*"))) if path.is_dir()]
    found = [path for path in folders if (path / CARD_FILE).is_file() or foreign_kind(path)]
    if len(found) != 1:
        raise ModelError(
            f"The archive holds {len(found) or 'no'} models instead of one.", "See what its makers say of it."
        )
    return found[0]
