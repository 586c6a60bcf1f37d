"""Weights of a converted model as safetensors, with the checksum computed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from petctfusion.errors import OutputError
from petctfusion.models import Weights, sha256_of

_FILE = "weights.safetensors"


def save_weights(weights: Mapping[str, torch.Tensor], folder: Path, dtype: str = "float32") -> Weights:
    """Writes `weights` as they are into `folder`. Raises `OutputError` when there is no room."""
    path = folder / _FILE
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in weights.items()}, str(path))
        path.chmod(0o644)  # safetensors writes files that only their owner may read
    except (SafetensorError, OSError) as error:
        raise OutputError(f"The weights cannot be written to {path}: {error}.", "Free the disk.") from error
    return Weights(_FILE, sha256_of(path), dtype, path.stat().st_size)
