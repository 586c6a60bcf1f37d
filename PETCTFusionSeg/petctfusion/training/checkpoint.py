"""The state of a run on disk: replaced whole or not at all, and known again by the recipe that made it."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from petctfusion.errors import BadInputError, OutputError
from petctfusion.training.recipe import Recipe
from petctfusion.training.settings import is_required
from petctfusion.volumes.writing import output_error

# What may change between two sittings: it decides no weight. Of initial weights the content counts, not the place.
_FREE = ("title", "checkpoint_every", "about", "initial")


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Raises `OutputError` when `state` cannot be written; what lay at `path` is then still there."""
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        # torch's writer counts bytes and says nothing of the disk.
        raise OutputError(
            f"{path} could not be written completely.", "Free some space; the last checkpoint is whole."
        ) from error


def read_checkpoint(path: Path, recipe: Recipe, patients: list[str], initial: str, device: str) -> dict[str, Any]:
    """The state at `path`; `initial`: sha256 of what the run began with.

    Raises `BadInputError` for a damaged file and for another run's, naming what differs.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        kept, learnt_from = state["recipe"], state["patients"]
    except KeyError as error:
        raise BadInputError(
            f"The checkpoint {path} is of an earlier version.", "Delete it, or choose another --output."
        ) from error
    except (OSError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise BadInputError(
            f"The checkpoint {path} cannot be read ({_first_line(error)}).", "Delete it, or choose another --output."
        ) from error
    for name, was, now in differences(kept, recipe):
        raise BadInputError(
            f"{path.parent} holds a run with {name} = {was}; this recipe has {now}.",
            "Choose another --output, or continue with the recipe of that run.",
        )
    if learnt_from != patients:
        other = sorted(set(learnt_from) ^ set(patients))
        raise BadInputError(
            f"{path.parent} holds a run with other patients ({', '.join(other[:3]) or 'in another order'}).",
            "Choose another --output, or give the data of that run.",
        )
    if state.get("initial", "") != initial:
        raise BadInputError(
            f"{path.parent} holds a run that began with other weights.",
            "Choose another --output, or give as initial what that run began with.",
        )
    return state


def identity(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides the weights, as plain values."""
    values = {name: value for name, value in dataclasses.asdict(recipe).items() if name not in _FREE}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def differences(kept: dict[str, Any], recipe: Recipe) -> list[tuple[str, str, str]]:
    """Name, then and now of what differs between a recipe's plain values and `recipe`, the network first.

    What a later version added counts as its default then.
    """
    kept = {name: value for name, value in kept.items() if name not in _FREE}
    required = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if is_required(f)}
    defaults = {name: value for name, value in identity(Recipe(**required)).items() if name not in required}
    then, now = {**_flat(defaults), **_flat(kept)}, _flat(identity(recipe))
    names = [name for name in {**now, **then} if then.get(name) != now.get(name)]
    names.sort(key=lambda one: one != "network")
    return [(name, json.dumps(then.get(name)), json.dumps(now.get(name))) for name in names]


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
