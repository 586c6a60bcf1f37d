"""An output folder in which the results of one run appear together at the end, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from petctfusion.errors import OutputError
from petctfusion.volumes.writing import output_error

_PROBE_BYTES = 4096


class OutputFolder:
    """Context manager: creates and probes the folder on entry, so that a long run does not end in 'no permission'.

    Files are written below `staging`, on the same disk; `commit` moves them to their names. Leaving without `commit`
    removes the staging folder and every folder that was created. Raises `OutputError`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.staging = self.folder
        self._created: list[Path] = []
        self._committed = False

    def __enter__(self) -> OutputFolder:
        try:
            self._create()
            self.staging = Path(tempfile.mkdtemp(prefix=".petctfusion-", dir=self.folder))
            self._probe()
        except OSError as error:
            self._clean()
            raise output_error(self.folder, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._clean()

    def path(self, name: str) -> Path:
        """Where to write the file that will be called `name`."""
        return self.staging / name

    def write_text(self, name: str, text: str) -> None:
        """Writes one text file; a full disk is an `OutputError`."""
        try:
            with self.path(name).open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise output_error(self.folder / name, error) from error

    def commit(self) -> None:
        """Moves what was written to its names, replacing the results of an earlier run."""
        written = sorted(self.staging.iterdir())
        for source in written:
            target = self.folder / source.name
            if target.is_dir():
                raise OutputError(f"{target} is a folder.", "Remove it or choose another output folder.")
        moved: list[Path] = []
        try:
            for source in written:
                replaced = (self.folder / source.name).exists()
                source.replace(self.folder / source.name)
                if not replaced:
                    moved.append(self.folder / source.name)
        except OSError as error:
            for target in moved:
                target.unlink(missing_ok=True)
            raise output_error(self.folder, error) from error
        self._committed = True

    def _create(self) -> None:
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._created.append(folder)

    def _probe(self) -> None:
        probe = self.staging / "probe"
        with probe.open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        probe.unlink()

    def _clean(self) -> None:
        if self.staging != self.folder:
            shutil.rmtree(self.staging, ignore_errors=True)
        if self._committed:
            return
        for folder in reversed(self._created):
            # Somebody else may have put a file there meanwhile.
            with contextlib.suppress(OSError):
                folder.rmdir()
