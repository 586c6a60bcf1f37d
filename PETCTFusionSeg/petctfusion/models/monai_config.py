"""A bundle's configs/inference.json as plain values: what would have to be run to be known is refused. No torch."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import ModelError
from petctfusion.models.fields import Fields

_DEEPEST = 20


def plain(value: Any, config: Fields, what: str, depth: int = 0) -> Any:
    """`value` with its references to top-level entries replaced.

    Raises `ModelError` for an expression ("$..."), an object to build, or a reference elsewhere; `what` names the
    place.
    """
    if depth > _DEEPEST:
        raise ModelError(f"The bundle's {what} refers to itself.", config.hint)
    if isinstance(value, dict):
        if "_target_" in value:
            raise _refused(what, str(value["_target_"]))
        return {key: plain(inner, config, what, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, config, what, depth + 1) for inner in value]
    if isinstance(value, str) and value.startswith("@") and value[1:] in config.values:
        return plain(config.values[value[1:]], config, what, depth + 1)
    if isinstance(value, str) and value.startswith(("$", "@", "%")):
        raise _refused(what, value)
    return value


def component(value: Any, config: Fields, what: str) -> tuple[str, Fields]:
    """The short name and the plain arguments of an object to build. Raises `ModelError`."""
    if isinstance(value, str) and value.startswith("@"):
        value = config.values.get(value[1:])
    if not isinstance(value, dict) or not isinstance(value.get("_target_"), str):
        raise ModelError(f"The bundle's {what} is not described as an object with _target_.", config.hint)
    path, _, name = value["_target_"].rpartition(".")
    if path and not path.startswith("monai."):
        raise _refused(what, value["_target_"])
    arguments = plain({key: inner for key, inner in value.items() if not key.startswith("_")}, config, what)
    return name, Fields(arguments, what, config.document, config.hint)


def transforms(config: Fields, name: str) -> list[tuple[str, Fields]]:
    """The steps of the entry `name` (a Compose), those switched off left out. Raises `ModelError`."""
    composed = config.object(name)
    steps = composed.value("transforms")
    if composed.values.get("_target_") != "Compose" or not isinstance(steps, list):
        raise ModelError(f"The bundle's {name} is not a plain list of transforms.", config.hint)
    listed = []
    for step in steps:
        if isinstance(step, dict) and step.get("_disabled_") is True:
            continue
        if isinstance(step, dict) and name == "postprocessing" and "Activations" not in str(step.get("_target_")):
            # Inverting and saving are done here, not by the bundle.
            continue
        listed.append(component(step, config, name))
    return listed


def _refused(what: str, value: str) -> ModelError:
    return ModelError(
        f"The bundle's {what} holds {value!r}, which would have to be run to be known.",
        "Only bundles whose network and transforms are written with plain values are supported.",
    )
