"""What the user may choose for one run. Imports no torch: the client builds it, the worker reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast

from petctfusion.errors import BadInputError

Grid = Literal["ct", "pet"]
Precision = Literal["full", "half"]
AXES = ("z", "y", "x")


@dataclass(frozen=True)
class SegmentOptions:
    """Settings of one run; `None` means: as the model card says.

    `device`: "auto", "cpu", "cuda" or "cuda:N" (`None`: where the model already is). `grid`: the volume on whose grid
    the result lies. `threshold` in [0, 1]. `flips`: axes ("z", "y", "x") mirrored at inference, all combinations
    averaged. `overlap`: share of a window that the next one repeats. `precision`: "half" is bfloat16 where the device
    has it. Raises `BadInputError` for a value outside these.
    """

    device: str | None = None
    grid: Grid = "ct"
    threshold: float | None = None
    flips: tuple[str, ...] | None = None
    overlap: float | None = None
    precision: Precision = "full"

    def __post_init__(self) -> None:
        if self.grid not in ("ct", "pet"):
            raise BadInputError(f"There is no output grid {self.grid!r}.", "Choose ct or pet.")
        if self.precision not in ("full", "half"):
            raise BadInputError(f"There is no precision {self.precision!r}.", "Choose full or half.")
        _check_share("threshold", self.threshold, 1.0)
        _check_share("overlap", self.overlap, 0.95)
        if self.flips is not None and not set(self.flips) <= set(AXES):
            raise BadInputError(f"The flips {list(self.flips)} name an unknown axis.", "Choose among z, y and x.")

    def to_json(self) -> dict[str, Any]:
        """Plain values for the worker's request."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> SegmentOptions:
        """Options out of a request. Raises `BadInputError` for a name or a type that is not known."""
        if not isinstance(values, Mapping):
            raise BadInputError("The options are not an object.", "Send names and values.")
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise BadInputError(f"There is no option {unknown[0]!r}.", "Update the older side of worker and client.")
        flips, device = values.get("flips"), values.get("device")
        if not (flips is None or isinstance(flips, (list, tuple))) or not (device is None or isinstance(device, str)):
            raise BadInputError("The options flips or device have the wrong type.", "flips is a list, device a text.")
        return cls(
            device=device,
            grid=cast(Grid, values.get("grid", "ct")),
            threshold=values.get("threshold"),
            flips=None if flips is None else tuple(str(axis) for axis in flips),
            overlap=values.get("overlap"),
            precision=cast(Precision, values.get("precision", "full")),
        )


def _check_share(name: str, value: object, highest: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= highest:
        raise BadInputError(f"The {name} is {value!r}.", f"Choose a number from 0 to {highest:g}.")
