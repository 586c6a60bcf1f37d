"""The tables of all finished runs, once as text cells, for Markdown and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from petctfusion.evaluation import statistics
from petctfusion.evaluation.paired import smallest_signed_rank_p
from petctfusion.training.benchmark.comparison import Comparison, Family, Line, Test
from petctfusion.training.benchmark.run import Data
from petctfusion.training.benchmark.summary import number
from petctfusion.training.datasets.sts import CROPS

_LEVEL = 0.05
_SCORES = (
    "method | crop | Dice | median | lowest | HD95 (mm) | NSD@3mm | lesion F1 | FPV (ml) | FNV (ml) | volume error (%) "
    "| s a case | seeds"
)
_COST = "method | what it is | parameters (M) | GMAC | window (z, y, x) | budget | steps | training (min) | seeds"
_ROW = (
    "patient | crop | seed | Dice | HD95 (mm) | NSD@3mm | lesion F1 | FPV (ml) | FNV (ml) | volume (ml) "
    "| reference (ml) | seconds"
)


@dataclass(frozen=True)
class Table:
    """Text cells under headings, the first `words` of them no numbers; `notes` are sentences that belong to them."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 1


def markdown(comparison: Comparison) -> str:
    """Every table, one after the other."""
    return "\n\n".join(as_markdown(table) for table in tables(comparison))


def tables(comparison: Comparison) -> list[Table]:
    """Scores, fall, tests, cost, then Dice and HD95 of every patient."""
    lines = comparison.lines
    found = [scores(lines, comparison.runs.data), fall(lines)]
    found += [tests(family, len(comparison.runs.data.patients)) for family in comparison.families]
    return [*found, cost(lines), patients(lines, comparison.runs.data), runs(comparison)]


def scores(lines: Sequence[Line], data: Data) -> Table:
    """Means of every line in either crop."""
    rows = []
    for crop in CROPS:
        for line in lines:
            s = line.summaries[crop]
            without = f" ({s.missing} without contour)" if s.missing else ""
            error = None if s.volume_error is None else 100 * s.volume_error
            dices = (f"{value:.3f}" for value in (s.dice, s.dice_median, s.dice_lowest))
            volumes = (number(value, 1) for value in (s.fpv_ml, s.fnv_ml, error, s.seconds))
            agreement = (number(s.hd95_mm, 1) + without, f"{s.nsd:.3f}", f"{s.lesion_f1:.3f}")
            rows.append((line.label, crop, *dices, *agreement, *volumes, line.seeds))
    return Table(
        f"Means over {len(data.patients)} patients ({data.kind}, {data.split})",
        tuple(_SCORES.split(" | ")),
        tuple(rows),
        (
            "Best mean Dice over both crops first. With several seeds the mean is over all their runs. "
            "(located): the rule is told where the tumour is.",
        ),
        words=2,
    )


def fall(lines: Sequence[Line]) -> Table:
    """What the crop gave away: Dice as it is minus re-cropped."""
    rows = []
    for line in lines:
        whole, cut = line.dice("as-is"), line.dice("re-cropped")
        falls = {patient: whole[patient] - cut[patient] for patient in whole}
        summary = statistics.summarise(falls.values())
        interval = "–" if summary.low is None else f"{signed(summary.low)} to {signed(summary.high or 0.0)}"
        worst = max(falls, key=lambda patient: falls[patient])
        rows.append((line.label, signed(line.fall), interval, f"{signed(falls[worst])} ({worst})"))
    return Table(
        "Fall of Dice from as-is to re-cropped",
        ("method", "mean", "95 % of the mean", "largest"),
        tuple(rows),
        ("Negative: better when re-cropped.",),
    )


def tests(family: Family, count: int) -> Table:
    """Signed-rank tests against one line."""
    smallest = smallest_signed_rank_p(count)
    number_of = len(family.tests)
    reachable = min(1.0, smallest * number_of)
    note = (
        f"Wilcoxon's signed-rank test, two-sided, on the Dice of the same {count} patients; Holm over the {number_of} "
        f"tests of this table. With {count} patients p cannot be below {smallest:.4f}, nor the smallest corrected one "
        f"below {reachable:.3f}"
    )
    out_of_reach = f": no difference here can reach {_LEVEL} after the correction."
    return Table(
        f"Against {family.against}",
        ("method", "crop", "mean difference of Dice", "patients better", "p", "p (Holm)"),
        tuple(_test(test, count) for test in family.tests),
        (note + (out_of_reach if reachable > _LEVEL else "."),),
        words=2,
    )


def cost(lines: Sequence[Line]) -> Table:
    """What the trained methods cost."""
    rows = []
    for line in lines:
        if not line.trained:
            continue
        facts = [run.facts for run in line.runs]
        first = facts[0]
        trained = [f.training_seconds for f in facts if f.training_seconds is not None]
        steps = sorted({f.steps for f in facts if f.steps is not None})
        window = "–" if first.window is None else " x ".join(str(length) for length in first.window)
        rows.append(
            (
                line.label,
                line.runs[0].title,
                number(None if first.parameters is None else first.parameters / 1e6, 2),
                number(None if first.macs is None else first.macs / 1e9, 1),
                window,
                line.runs[0].budget or "as shipped",
                ", ".join(str(count) for count in steps) or "–",
                number(fmean(trained) / 60 if trained else None, 0),
                line.seeds,
            )
        )
    return Table(
        "What they cost",
        tuple(_COST.split(" | ")),
        tuple(rows),
        (
            "GMAC: multiply-accumulates of one window. Training: wall time of the steps, over all sittings.",
            *(f"{line.label}: {line.runs[0].facts.note}." for line in lines if line.runs[0].facts.note),
        ),
        words=2,
    )


def patients(lines: Sequence[Line], data: Data) -> Table:
    """Dice of every patient."""
    rows = []
    for line in lines:
        whole, cut = line.dice("as-is"), line.dice("re-cropped")
        rows.append((line.label, *(f"{whole[patient]:.3f} / {cut[patient]:.3f}" for patient in data.patients)))
    return Table("Dice of every patient, as-is / re-cropped", ("method", *data.patients), tuple(rows))


def runs(comparison: Comparison) -> Table:
    """Where every number comes from."""
    rows = []
    for run in comparison.runs.runs:
        origin = run.origin
        commit = (origin.commit or "–")[:10]
        machine = f"{origin.processor}, {origin.threads} threads"
        threshold = number(run.facts.threshold, 1)
        rows.append((run.file_name, origin.command, commit, origin.date[:10], machine, run.facts.precision, threshold))
    left_out = tuple(f"Left out: {one.reason}" for one in comparison.runs.left_out)
    return Table(
        f"The {len(rows)} runs",
        ("file", "command", "commit", "date", "machine", "precision", "threshold"),
        tuple(rows),
        left_out,
        words=7,
    )


def line_rows(line: Line) -> Table:
    """Every row of one line: all numbers of every patient, crop and run."""
    rows = []
    for run in line.runs:
        for row in run.rows:
            if row.method != line.method:
                continue
            distance = "no contour" if row.hd95_mm == float("inf") else f"{row.hd95_mm:.1f}"
            shares = (f"{value:.3f}" for value in (row.nsd, row.lesion_f1))
            volumes = (row.fpv_ml, row.fnv_ml, row.volume_ml, row.reference_volume_ml, row.seconds)
            seed = "–" if run.seed is None else str(run.seed)
            first = (row.patient, row.crop, seed, f"{row.dice:.3f}", distance)
            rows.append((*first, *shares, *(f"{value:.1f}" for value in volumes)))
    return Table(
        line.label,
        tuple(_ROW.split(" | ")),
        tuple(rows),
        words=2,
    )


def _test(test: Test, count: int) -> tuple[str, ...]:
    return (
        test.label,
        test.crop,
        signed(test.difference),
        f"{test.better} of {count}",
        f"{test.p:.4f}",
        f"{test.p_holm:.3f}",
    )


def signed(value: float, digits: int = 3) -> str:
    """With its sign, nothing for zero."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if float(f"{value:.{digits}f}") == 0 else text


def as_markdown(table: Table) -> str:
    """One table with its title and notes."""
    lines = [f"### {table.title}", "", *(f"{note}\n" for note in table.notes)]
    lines += [f"| {' | '.join(table.headings)} |", f"|{'---|' * len(table.headings)}"]
    lines += [f"| {' | '.join(row)} |" for row in table.rows]
    return "\n".join(lines)
