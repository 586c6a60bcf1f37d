"""Checks a weights file before anything loads it: size, sha256, and the header of the safetensors format.

Format: 8 bytes little-endian header length, a JSON header, then the tensors back to back
(https://huggingface.co/docs/safetensors, "Format"). Nothing here runs code from the file, and no pickle passes.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from petctfusion.errors import ModelError
from petctfusion.models.card import ModelCard

_REINSTALL = "Remove the model and install it again."
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F64", "I64", "U64"), 8),
}
# The limit of the reference implementation; a longer header is an attack or a damaged length.
_LONGEST_HEADER = 100_000_000
_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hex, read a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def weights_file(card: ModelCard, folder: Path) -> Path:
    """The weights of a model folder. Raises `ModelError` when the file is missing, elsewhere, or of another size."""
    path = folder / card.weights.file
    try:
        if path.resolve().parent != folder.resolve():
            raise ModelError(f"The weights of {card.name} lie outside the model folder.", _REINSTALL)
        if not path.is_file():
            raise ModelError(f"The weights {path} are missing.", _REINSTALL)
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"The weights {path} cannot be read: {error}.", _REINSTALL) from error
    if size != card.weights.bytes:
        raise ModelError(
            f"The weights {path} have {size} bytes instead of {card.weights.bytes}: damaged or cut short.", _REINSTALL
        )
    return path


def verify_weights(card: ModelCard, folder: Path) -> Path:
    """The weights of a model folder after every check. Raises `ModelError` saying which one failed."""
    path = weights_file(card, folder)
    try:
        check_safetensors(path)
        digest = sha256_of(path)
    except OSError as error:
        raise ModelError(f"The weights {path} cannot be read: {error}.", _REINSTALL) from error
    if digest != card.weights.sha256:
        raise ModelError(f"The weights {path} are not those of the model card: the checksum is wrong.", _REINSTALL)
    return path


def check_safetensors(path: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in a safetensors file. Raises `ModelError` when it is not a whole one."""
    header, data_bytes = _header(path)
    shapes: dict[str, tuple[int, ...]] = {}
    spans = []
    for name, tensor in header.items():
        if name != "__metadata__":
            shapes[name], span = _tensor(path, name, tensor)
            spans.append(span)
    if not shapes:
        raise _damaged(path, "holds no tensor")
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise _damaged(path, "has tensors that overlap or leave a gap")
        end = stop
    if end != data_bytes:
        raise _damaged(path, f"holds {data_bytes} bytes of tensors instead of {end}")
    return shapes


def _header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(_LONGEST_HEADER, size - 8):
            raise _damaged(path, "is cut short or is not in the safetensors format")
        raw = stream.read(length)
    try:
        header = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _damaged(path, "is not in the safetensors format") from None
    if not isinstance(header, dict):
        raise _damaged(path, "is not in the safetensors format")
    return header, size - 8 - length


def _tensor(path: Path, name: str, tensor: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    try:
        item, shape, (start, stop) = _ITEM_BYTES[tensor["dtype"]], tensor["shape"], tensor["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, start, stop))
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"describes the tensor {name!r} wrongly") from None
    if not whole or stop - start != item * math.prod(shape):
        raise _damaged(path, f"describes the tensor {name!r} wrongly")
    return tuple(shape), (start, stop)


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(f"The weights file {path} {problem}.", _REINSTALL)
