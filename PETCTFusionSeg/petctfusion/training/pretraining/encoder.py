"""Pre-trained encoders as a file: the weights, and in the file's own header where they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.volumes.writing import output_error

ENCODER_FILE = "encoder.safetensors"
_HEADER = "encoder"
_AGAIN = "Make it with petctfusion train and a recipe that has a table [pretraining]."


@dataclass(frozen=True)
class PretrainedEncoder:
    """Weights as `AnatomyPrompted.load_encoder` takes them; `patients`: those that they were learned from."""

    state: Mapping[str, torch.Tensor]
    name: str
    seed: int
    steps: int
    patients: tuple[str, ...]
    sha256: str = ""
    """Of the file; "" before it is written."""

    def __str__(self) -> str:
        count = len(self.patients)
        return f"encoders pre-trained on {count} patients without their contours ({self.name}, seed {self.seed})"


def write_encoder(encoder: PretrainedEncoder, path: Path) -> str:
    """Whole or not at all; returns the sha256 of the file. Raises `OutputError`."""
    origin = {"name": encoder.name, "seed": encoder.seed, "steps": encoder.steps, "patients": encoder.patients}
    # One entry: safetensors writes several in any order, and equal encoders would be different files.
    header = {_HEADER: json.dumps(origin)}
    content = save({name: tensor.contiguous() for name, tensor in encoder.state.items()}, header)
    temporary = path.with_suffix(".part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise output_error(path, error) from error
    return hashlib.sha256(content).hexdigest()


def read_encoder(path: Path) -> PretrainedEncoder:
    """What `write_encoder` wrote. Raises `BadInputError`."""
    try:
        content = path.read_bytes()
        with safe_open(path, "pt") as file:
            origin = json.loads(file.metadata()[_HEADER])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        patients = tuple(str(name) for name in origin["patients"])
        name, seed, steps = str(origin["name"]), int(origin["seed"]), int(origin["steps"])
    except FileNotFoundError as error:
        raise BadInputError(f"There are no pre-trained encoders at {path}.", _AGAIN) from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"{path} holds no pre-trained encoders ({error}).", _AGAIN) from error
    return PretrainedEncoder(state, name, seed, steps, patients, hashlib.sha256(content).hexdigest())


def carry_over(encoder: PretrainedEncoder, network: nn.Module, kept_aside: Sequence[str]) -> None:
    """Put the encoders into a network. Raises `BadInputError` when they do not fit it, or know of `kept_aside`."""
    seen = sorted(set(encoder.patients) & set(kept_aside))
    if seen:
        raise BadInputError(
            f"The encoders of {encoder.name} have seen {seen[0]}, whom this run chooses its settings on.",
            "Pre-train on the patients that this run learns from.",
        )
    load = getattr(network, "load_encoder", None)
    if load is None:
        raise BadInputError("This network has no encoders to carry over.", "Leave initial out of the recipe.")
    try:
        cast("Callable[[Mapping[str, torch.Tensor]], None]", load)(encoder.state)
    except ValueError as error:
        raise BadInputError(f"The encoders of {encoder.name} do not fit: {error}.", "Correct [arguments].") from error
