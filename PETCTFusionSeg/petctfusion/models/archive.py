"""Unpacks a downloaded zip: nothing outside its folder, no links, no bombs, every file's CRC checked. No torch."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

from petctfusion.errors import ModelError, OutputError

# Weights hardly shrink; an archive that unpacks to more than this multiple of itself is no archive of weights.
_LARGEST_RATIO = 20
_SMALL_BYTES = 50_000_000
_CHUNK = 1 << 20


def unpack(archive: Path, target: Path, report: Callable[[int, int], None]) -> None:
    """Unpack a zip into `target`, an empty folder; `report` is told bytes done and bytes in all.

    Raises `ModelError` for what is no whole zip or would leave the folder, `OutputError` where there is no room. What
    is half unpacked is left to the caller to remove.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            for member in members:
                _require_harmless(member)
            total = sum(member.file_size for member in members)
            if total > max(_SMALL_BYTES, _LARGEST_RATIO * archive.stat().st_size):
                raise ModelError(f"The archive would unpack to {total / 1e9:.1f} GB, far more than it holds.", _AGAIN)
            _require_room(target, total)
            done = 0
            for member in members:
                done = _extract(opened, member, target / member.filename, done, total, report)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise ModelError(f"The file is no whole zip archive: {error}.", _AGAIN) from error
    except OSError as error:
        raise OutputError(
            f"The archive cannot be unpacked into {target.parent}: {error.strerror or error}.", "Free some space."
        ) from error


_AGAIN = "Download it again."


def _require_harmless(member: zipfile.ZipInfo) -> None:
    # As Windows would read it: there a backslash and a drive letter lead out of the folder too.
    path = PureWindowsPath(member.filename)
    if path.drive or path.root or ".." in path.parts or ":" in member.filename or "\0" in member.filename:
        raise ModelError(f"The archive holds {member.filename!r}, which lies outside its folder.", _AGAIN)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise ModelError(f"The archive holds {member.filename!r}, which is a link and no file.", _AGAIN)
    if member.flag_bits & 1:
        raise ModelError(f"The archive holds {member.filename!r} under a password.", _AGAIN)


def _require_room(target: Path, total: int) -> None:
    free = shutil.disk_usage(target).free
    if total > free:
        raise OutputError(
            f"The archive needs {total / 1e9:.1f} GB unpacked, and {target.parent} has {free / 1e9:.1f} GB.",
            "Free the disk, or choose another folder with the environment variable PETCTFUSION_MODELS.",
        )


def _extract(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    path: Path,
    done: int,
    total: int,
    report: Callable[[int, int], None],
) -> int:
    """Write one file, which checks its CRC; returns the bytes done until then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("xb") as out:
        while chunk := source.read(_CHUNK):
            out.write(chunk)
            done += len(chunk)
            report(done, total)
    return done
