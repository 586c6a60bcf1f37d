"""The tables of the IGTV experiment: by patient, by slice position, and against the tumour's motion."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from petctfusion.evaluation.paired import paired_bootstrap
from petctfusion.training.benchmark.igtv_results import IgtvResult
from petctfusion.training.benchmark.igtv_run import PERIPHERAL, IgtvRow
from petctfusion.training.benchmark.summary import number
from petctfusion.training.benchmark.table import Table, as_markdown, signed

POSITIONS = 6
MOTIONS_MM = ((0.0, 8.0), (8.0, 16.0), (16.0, math.inf))
NOT_PATIENTS = (
    "Simulated tumours, uptake and breathing: nothing here was measured on a patient. The paper's own Dice, 0.385 "
    "without and 0.609 with transfer and slice interaction, is of its own patients and is not comparable."
)
_HEADINGS = (
    "row | Dice | difference (95 %) | HD95 (mm) | difference (95 %) | peripheral Dice | difference (95 %) "
    "| central Dice | peripheral slices met | coverage | conformity | seeds"
)
Value = Callable[[IgtvRow], float | None]


@dataclass(frozen=True)
class IgtvLine:
    """All seeds of one training on one anatomy."""

    title: str
    seeds: tuple[int, ...]
    rows: tuple[IgtvRow, ...]

    def by_patient(self, value: Value) -> dict[str, float]:
        """Mean over the seeds of what is there and finite."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            one = value(row)
            if one is not None and math.isfinite(one):
                found.setdefault(row.patient, []).append(one)
        return {patient: fmean(values) for patient, values in found.items()}

    def mean(self, value: Value) -> float | None:
        """Over the patients that have one."""
        values = self.by_patient(value)
        return fmean(values.values()) if values else None

    def at_positions(self) -> list[float | None]:
        """Mean Dice of the slices from the lower end to the upper, each patient counting alike."""

        def part(row: IgtvRow, k: int) -> float | None:
            own = [dice for place, dice in row.slices if int(place * POSITIONS) == k]
            return fmean(own) if own else None

        return [self.mean(lambda row, k=k: part(row, k)) for k in range(POSITIONS)]  # type: ignore[misc]

    def moving(self, low_mm: float, high_mm: float) -> IgtvLine:
        """Those whose tumour goes so far."""
        return IgtvLine(self.title, self.seeds, tuple(r for r in self.rows if low_mm <= r.motion_mm < high_mm))


def lines_of(results: Sequence[IgtvResult], anatomy: str) -> list[IgtvLine]:
    """One a training, in the order of the results; the first is what the others are compared with."""
    lines = []
    for name in dict.fromkeys(result.name for result in results):
        own = [result for result in results if result.name == name]
        rows = tuple(row for result in own for row in result.rows if row.anatomy == anatomy)
        lines.append(IgtvLine(own[0].title, tuple(one.seed for one in own if one.seed is not None), rows))
    return [line for line in lines if line.rows]


def anatomies(results: Sequence[IgtvResult]) -> list[str]:
    """In the order of the rows."""
    return list(dict.fromkeys(row.anatomy for result in results for row in result.rows))


def markdown(results: Sequence[IgtvResult], left_out: Sequence[str]) -> str:
    """Three tables an anatomy."""
    parts = [NOT_PATIENTS, *left_out]
    for anatomy in anatomies(results):
        lines = lines_of(results, anatomy)
        parts += [as_markdown(table) for table in (by_patient(lines, anatomy), by_position(lines), by_motion(lines))]
    return "\n\n".join(parts)


def by_patient(lines: Sequence[IgtvLine], anatomy: str) -> Table:
    """Means, and differences to the first line."""
    count = len({row.patient for line in lines for row in line.rows})
    notes = [
        f"{count} test phantoms. Differences to the first row, phantom by phantom; in brackets 95 % of their mean when "
        f"phantoms are drawn anew (paired bootstrap, 10,000 draws). Peripheral: the {PERIPHERAL} slices at either end "
        "of the IGTV, pooled. Coverage: share of the IGTV in the contour; conformity: share of the contour in the IGTV."
    ]
    if all(len(line.seeds) <= 1 for line in lines):
        notes.append("One seed a row: what another seed would change is not measured, and not in the intervals.")
    rows = tuple(_row(line, lines[0]) for line in lines)
    return Table(f"IGTV, anatomy: {anatomy}", tuple(_HEADINGS.split(" | ")), rows, tuple(notes))


def by_position(lines: Sequence[IgtvLine]) -> Table:
    """Dice from the lower end of the IGTV, where the tumour is at the deepest breath, to the upper."""
    headings = [f"{k}/{POSITIONS} to {k + 1}/{POSITIONS}" for k in range(POSITIONS)]
    rows = tuple((line.title, *(number(dice, 3) for dice in line.at_positions())) for line in lines)
    return Table("Dice by slice position, lower end first", ("row", *headings), rows)


def by_motion(lines: Sequence[IgtvLine]) -> Table:
    """Coverage and conformity of tumours that move little and far."""
    headings, rows = ["row"], []
    for low, high in MOTIONS_MM:
        count = len({row.patient for line in lines for row in line.moving(low, high).rows})
        span = f"{low:g} to {high:g} mm" if math.isfinite(high) else f"from {low:g} mm"
        headings.append(f"{span} ({count})")
    for line in lines:
        cells = []
        for low, high in MOTIONS_MM:
            part = line.moving(low, high)
            cells.append(f"{number(part.mean(coverage), 3)} / {number(part.mean(conformity), 3)}")
        rows.append((line.title, *cells))
    title = "Coverage / conformity by the tumour's motion (number of phantoms)"
    return Table(title, tuple(headings), tuple(rows))


def coverage(row: IgtvRow) -> float:
    """See `IgtvRow`."""
    return row.coverage


def conformity(row: IgtvRow) -> float | None:
    """See `IgtvRow`."""
    return row.conformity


def _row(line: IgtvLine, first: IgtvLine) -> tuple[str, ...]:
    cells = [line.title]
    measures: tuple[tuple[Value, int], ...] = (
        (lambda row: row.dice, 3),
        (lambda row: row.hd95_mm, 1),
        (lambda row: row.peripheral_dice, 3),
    )
    for value, digits in measures:
        missing = sum(not math.isfinite(row.hd95_mm) for row in line.rows) if digits == 1 else 0
        without = f" ({missing} without contour)" if missing else ""
        cells += [number(line.mean(value), digits) + without, _difference(line, first, value, digits)]
    for value in (lambda row: row.central_dice, lambda row: row.peripheral_detected, coverage, conformity):
        cells.append(number(line.mean(value), 3))
    return (*cells, ", ".join(str(seed) for seed in line.seeds) or "–")


def _difference(line: IgtvLine, first: IgtvLine, value: Value, digits: int) -> str:
    if line is first:
        return "–"
    ours, theirs = line.by_patient(value), first.by_patient(value)
    both = [(ours[name], theirs[name]) for name in theirs if name in ours]
    if len(both) < 2:
        return "–"
    low, high = paired_bootstrap([one for one, _ in both], [other for _, other in both])
    mean = fmean(one - other for one, other in both)
    fewer = "" if len(both) == len(theirs) else f", {len(both)} phantoms"
    return f"{signed(mean, digits)} ({signed(low, digits)} to {signed(high, digits)}{fewer})"
