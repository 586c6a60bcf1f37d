"""Reads a PyTorch checkpoint as data only: tensors, numbers, texts and containers; nothing in it is run."""

from __future__ import annotations

import pickle
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from petctfusion.errors import ModelError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The object in a checkpoint, on the CPU. Raises `ModelError` where it holds more than data or is damaged."""
    try:
        with _numpy_scalars():
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"The checkpoint {path} holds more than tensors and numbers, and is not loaded: it could run any program.",
            "Ask its makers for a checkpoint that torch.load(weights_only=True) reads.",
        ) from error
    except Exception as error:
        # Whatever torch meets in a damaged file, from IndexError to struct.error, it means the same to the reader.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"The checkpoint {path} cannot be read: {reason}", "Copy it again.") from error
    if not isinstance(found, dict):
        raise ModelError(f"The file {path} is not a checkpoint.", "Copy it again.")
    return found


def _numpy_scalars() -> AbstractContextManager[Any]:
    """Admits NumPy's plain numbers, in which trainers keep their loss curves: bytes and a type, no code."""
    if not hasattr(torch.serialization, "safe_globals"):  # before PyTorch 2.5
        return nullcontext()
    scalar = np.float64(0).__reduce__()[0]  # type: ignore[index]
    types = {type(np.dtype(code)) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")}
    # NumPy 2 moved the function; a file says where it was when it was written.
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    manager: AbstractContextManager[Any] = torch.serialization.safe_globals([*names, np.dtype, *types])
    return manager
