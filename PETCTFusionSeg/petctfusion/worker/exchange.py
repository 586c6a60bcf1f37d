"""Bulk arrays between client and worker: `.npy` files in a private folder that dies with its owner. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError, OutputError
from petctfusion.volumes.geometry import Geometry
from petctfusion.worker.processes import is_same_process, start_token

PREFIX = "petctfusion-"
_OWNER = "owner.json"


@dataclass(frozen=True)
class Exchange:
    """A private folder (mode 0700) named after its owner, the client; `secret` proves that a disk is shared."""

    folder: Path
    secret: str

    @classmethod
    def create(cls, root: Path | None = None) -> Exchange:
        """A new folder under `root` (default: the temporary folder); those of dead owners are removed first.

        Raises `OutputError` when it cannot be made.
        """
        root = root or Path(tempfile.gettempdir())
        sweep_stale(root)
        secret = secrets.token_hex(16)
        owner = {"pid": os.getpid(), "token": start_token(os.getpid()), "secret": secret}
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))
            (folder / _OWNER).write_text(json.dumps(owner))
        except OSError as error:
            raise OutputError(
                f"The exchange folder cannot be made in {root}: {error.strerror}.",
                "Free space there, or set TMPDIR (TEMP on Windows) to a folder with room.",
            ) from error
        return cls(folder, secret)

    @classmethod
    def visible(cls, folder: str, secret: str) -> bool:
        """True when this process sees the client's folder, the same one, and may write into it."""
        try:
            owner = json.loads((Path(folder) / _OWNER).read_text())
            return bool(owner["secret"] == secret) and os.access(folder, os.W_OK)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def request_folder(self, request_id: int) -> Path:
        """The folder of one request's files."""
        folder = self.folder / str(request_id)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def forget(self, request_id: int) -> None:
        """Removes one request's files."""
        shutil.rmtree(self.folder / str(request_id), ignore_errors=True)

    def close(self) -> None:
        """Removes the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep_stale(root: Path | None = None) -> list[Path]:
    """Removes the exchange folders whose owner no longer lives, and returns them."""
    removed = []
    for folder in (root or Path(tempfile.gettempdir())).glob(f"{PREFIX}[0-9]*-*"):
        with contextlib.suppress(OSError):
            if folder.is_dir() and not folder.is_symlink() and not _owner_lives(folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


def pack(image: sitk.Image) -> tuple[NDArray[Any], dict[str, Any]]:
    """The values of an image, C-contiguous (z, y, x) or (z, y, x, K), and its description for JSON."""
    # A copy: SimpleITK's view does not keep its image alive.
    array = sitk.GetArrayFromImage(image)
    description = {
        "geometry": Geometry.of(image).to_json(),
        "dtype": array.dtype.newbyteorder("<").str,
        "shape": list(array.shape),
    }
    return array, description


def write_array(array: NDArray[Any], path: Path) -> None:
    """One `.npy` file. Raises `OutputError` on a full disk, and leaves nothing half-written behind."""
    try:
        np.save(path, array, allow_pickle=False)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError(
            f"The exchange file {path.name} cannot be written: {error.strerror or error}.",
            "Free space on the disk that holds the temporary folder.",
        ) from error


def read_array(path: Path) -> NDArray[Any]:
    """The values of a `.npy` file, memory-mapped. Raises `BadInputError` for one that cannot be read."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInputError(
            f"The exchange file {path.name} cannot be read: {error}.", "Start the run again."
        ) from error
    return array


def array_of_frame(payload: bytes, description: dict[str, Any]) -> NDArray[Any]:
    """The values of a raw frame. Raises `BadInputError` when it does not fit its description."""
    try:
        dtype = np.dtype(description["dtype"])
        if dtype.kind not in "iuf":
            raise ValueError(f"{dtype} is not a number")
        return np.frombuffer(payload, dtype).reshape([int(n) for n in description["shape"]])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"A frame does not fit its description: {error}.", "Start the run again.") from error


def unpack(array: NDArray[Any], description: dict[str, Any]) -> sitk.Image:
    """The image of `pack`; an array with a fourth axis becomes an image of vectors. Raises `BadInputError`."""
    try:
        geometry = Geometry.from_json(description["geometry"])
        if array.shape[:3] != geometry.shape:
            raise ValueError(f"values of shape {array.shape} on a grid of shape {geometry.shape}")
        image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
        image.SetSpacing(geometry.spacing)
        image.SetOrigin(geometry.origin)
        image.SetDirection(geometry.direction)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInputError(f"A volume's description is not understood: {error}.", "Start the run again.") from error
    return image


def _owner_lives(folder: Path) -> bool:
    """A folder without a readable owner file counts as its name says: it may be in the making."""
    try:
        owner = json.loads((folder / _OWNER).read_text())
        pid, token = int(owner["pid"]), str(owner["token"])
    except (OSError, ValueError, KeyError, TypeError):
        pid, token = int(folder.name.removeprefix(PREFIX).partition("-")[0] or 0), ""
    return is_same_process(pid, token)
