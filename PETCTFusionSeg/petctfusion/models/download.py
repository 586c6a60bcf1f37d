"""A catalogue entry becomes an installed model: downloaded, checked, unpacked and added, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.catalogue import CatalogueEntry
from petctfusion.models.folders import own_models_folder
from petctfusion.models.installed import InstalledModel
from petctfusion.models.store import ModelStore, verify
from petctfusion.models.transfer import download
from petctfusion.models.unpacked import unpacked_model

# (stage, bytes done, bytes in all or 0, seconds left or None); the stage "convert" is one step.
Progress = Callable[[str, int, int, float | None], None]
# Installs the model of an unpacked folder; the second argument is the archive's sha256.
Add = Callable[[Path, str], InstalledModel]
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Place:
    """Where an entry's download waits: beside the models, in a folder that no list shows."""

    part: Path
    record: Path

    @classmethod
    def of(cls, entry: CatalogueEntry) -> _Place:
        folder = own_models_folder() / ".downloads"
        return cls(folder / f"{entry.name}.part", folder / f"{entry.name}.json")


def kept_bytes(entry: CatalogueEntry) -> int:
    """How much of an unfinished download is there."""
    part = _Place.of(entry).part
    return part.stat().st_size if part.is_file() else 0


def installed(entry: CatalogueEntry) -> InstalledModel | None:
    """The model that was installed under the entry's name, checked against its card's sha256; None where there is none.

    Raises `ModelError` for one that is damaged.
    """
    models, damaged = ModelStore.default().scan()
    for broken in damaged:
        if broken.folder.parent.name == entry.name:
            raise broken.error
    found = [model for model in models if model.name == entry.name]
    for model in found:
        verify(model.folder)
    return found[0] if found else None


def install(entry: CatalogueEntry, add: Add, progress: Progress) -> InstalledModel:
    """Download, check, unpack and add an entry that is not yet installed.

    A broken download is continued at the next call. An archive with a wrong checksum, or that is no whole zip, is
    removed. Raises `ModelError` or `OutputError`; in every case nothing half-made is listed.
    """
    if not entry.url:
        raise ModelError(
            f"No single file of {entry.name} is known that could be downloaded.",
            f"Get the folder from {entry.page} and add it: petctfusion models add FOLDER --name {entry.name}.",
        )
    place = _Place.of(entry)
    download(entry.url, place.part, entry.bytes, lambda done, total, eta_s: progress("download", done, total, eta_s))
    try:
        sha256 = _checked(entry, place, progress)
        with _unpacked(place.part, progress) as folder:
            _write_record(place.record, entry, sha256)
            progress("convert", 0, 1, None)
            model = _added(add, folder, sha256, place.part)
            progress("convert", 1, 1, None)
    except _UnusableError as error:
        place.part.unlink(missing_ok=True)
        raise ModelError(error.message, error.hint) from error
    place.part.unlink(missing_ok=True)
    return model


def _added(add: Add, folder: Path, sha256: str, part: Path) -> InstalledModel:
    try:
        return add(folder, sha256)
    except ModelError as error:
        # A later version may read what this one refuses, and gigabytes are not fetched twice.
        raise ModelError(error.message, f"{error.hint} The downloaded archive is kept: {part}.") from error


class _UnusableError(ModelError):
    """The downloaded file is not what it should be; keeping it would fail for ever."""


def _checked(entry: CatalogueEntry, place: _Place, progress: Progress) -> str:
    """The sha256 of the archive, after comparing it with the published MD5 and with what came here before."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size, done = place.part.stat().st_size, 0
    with place.part.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
            done += len(chunk)
            progress("check", done, size, None)
    if entry.md5 and md5.hexdigest() != entry.md5:
        raise _UnusableError(
            f"The downloaded file is not the one of the catalogue: MD5 {md5.hexdigest()} instead of {entry.md5}. "
            "It was removed.",
            f"Download it again; if that does not help, it has been replaced: see {entry.page}",
        )
    before = _recorded(place.record, entry)
    if before and before != sha256.hexdigest():
        raise _UnusableError(
            f"The downloaded file differs from the {entry.name} that was downloaded here before. It was removed.",
            f"Download it again; if it has really been replaced ({entry.page}), delete {place.record} first.",
        )
    return sha256.hexdigest()


def _recorded(record: Path, entry: CatalogueEntry) -> str:
    """The sha256 of an earlier download from the same address, computed here; empty where there was none."""
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        return str(values["sha256"]) if values["url"] == entry.url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_record(record: Path, entry: CatalogueEntry, sha256: str) -> None:
    new = record.with_suffix(".new")
    try:
        new.write_text(json.dumps({"url": entry.url, "sha256": sha256}) + "\n", encoding="utf-8")
        new.replace(record)
    except OSError as error:
        raise OutputError(f"The file {record} cannot be written: {error.strerror}.", "Free some space.") from error


@contextmanager
def _unpacked(archive: Path, progress: Progress) -> Iterator[Path]:
    """The folder with a model inside a downloaded archive, until the block ends."""
    with ExitStack() as stack:
        try:
            unpacked = unpacked_model(archive, lambda done, total: progress("unpack", done, total, None))
            folder = stack.enter_context(unpacked)
        except ModelError as error:
            raise _UnusableError(f"{error.message} It was removed.", error.hint) from error
        yield folder
