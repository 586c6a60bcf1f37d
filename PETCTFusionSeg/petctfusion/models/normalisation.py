"""How a modality's values are scaled before a network that does not do it itself. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from petctfusion.models.fields import Fields

METHODS = ("fixed", "z_score", "unit_range", "none")
# What nnU-Net puts in the place of a smaller standard deviation.
SMALLEST_STD = 1e-8


@dataclass(frozen=True)
class Normalisation:
    """What is done to one modality after its clip.

    "fixed": (v - mean) / std with the numbers given here; "z_score": with mean and standard deviation of the study's
    volume; "unit_range": the study's minimum becomes 0 and its maximum 1; "none": the values stay as they are.
    """

    method: str
    mean: float = 0.0
    std: float = 1.0


def read_normalisation(values: Fields) -> Normalisation:
    """One entry of the card's field `normalisation`. Raises `ModelError` naming what is wrong."""
    values.only(("method", "mean", "std"))
    method = values.text("method")
    if method not in METHODS:
        raise values.error("method", f"is {method!r}; known are {', '.join(METHODS)}")
    return Normalisation(method, values.number("mean"), values.number("std", low=SMALLEST_STD))
