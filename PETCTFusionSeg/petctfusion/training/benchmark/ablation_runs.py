"""Which finished runs belong to the rows of a study: its own, and trainings of the very same recipe made elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from petctfusion.training.benchmark.ablation import Ablation, AblationEntry
from petctfusion.training.benchmark.comparison import Line
from petctfusion.training.benchmark.run import Data, Run
from petctfusion.training.benchmark.runs import LeftOut, finished_runs
from petctfusion.training.benchmark.system import BudgetName
from petctfusion.training.checkpoint import differences
from petctfusion.training.recipe import Recipe


@dataclass(frozen=True)
class AblationRuns:
    """`lines` of the rows that were run, in the study's order, labelled by the row; `missing` names the others.

    `reused`: sentences on runs that were made for another table.
    """

    study: Ablation
    data: Data | None
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    reused: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def runs_of(study: Ablation, folders: Sequence[Path], split: str, budget: BudgetName) -> AblationRuns:
    """Everything that is finished in `folders`; those first in the list are taken first where two made the same.

    Raises `BadInputError` for a row whose recipe cannot be read.
    """
    found: list[tuple[Path, Run]] = []
    left_out: list[LeftOut] = []
    for folder in folders:
        runs, damaged = finished_runs(folder, split)
        found += [(path, run) for path, run in runs if run.budget == budget]
        left_out += damaged
    chosen = {}
    for entry in study.entries():
        chosen[entry.row.name] = _of_row(entry, found, budget, left_out)
    counted = Counter(run.data for runs in chosen.values() for _, run in runs)
    data = counted.most_common(1)[0][0] if counted else None
    lines, reused = [], []
    for entry in study.entries():
        own = [(path, run) for path, run in chosen[entry.row.name] if run.data == data]
        others = [path for path, run in chosen[entry.row.name] if run.data != data]
        left_out += [LeftOut(path, f"{path.name} was measured on other patients than most runs.") for path in others]
        if own:
            lines.append(_line(entry, [run for _, run in own]))
        reused += [
            f"{entry.row.name}: not trained again, its recipe and seed {run.seed} are those of {path.name} "
            f"(commit {(run.origin.commit or 'unknown')[:10]})."
            for path, run in own
            if run.system != entry.name
        ]
    done = {line.label for line in lines}
    missing = tuple(row.name for row in study.rows if row.name not in done)
    return AblationRuns(study, data, tuple(lines), missing, tuple(reused), tuple(left_out))


def twin_of(entry: AblationEntry, folders: Sequence[Path], data: Data, budget: BudgetName, seed: int) -> Path | None:
    """The result of another table whose recipe, seed and patients are those of the row; None where there is none."""
    for folder in folders:
        for path, run in finished_runs(folder, data.split)[0]:
            matches = run.system != entry.name and (run.budget, run.seed, run.data) == (budget, seed, data)
            if matches and not _change(run, entry, budget):
                return path
    return None


def _of_row(
    entry: AblationEntry, found: Sequence[tuple[Path, Run]], budget: BudgetName, left_out: list[LeftOut]
) -> list[tuple[Path, Run]]:
    """One run a seed."""
    by_seed: dict[int, tuple[Path, Run]] = {}
    for own in (True, False):
        for path, run in found:
            if run.seed is None or run.seed in by_seed or (run.system == entry.name) != own:
                continue
            change = _change(run, entry, budget)
            if not change:
                by_seed[run.seed] = (path, run)
            elif own:
                left_out.append(LeftOut(path, f"{path.name} was made by another recipe than the row's now ({change})."))
    return [by_seed[seed] for seed in sorted(by_seed)]


def _change(run: Run, entry: AblationEntry, budget: BudgetName) -> str:
    """What differs between the recipe of a run and that of the row, "" for nothing."""
    kept = run.facts.recipe
    if kept is None or "network" not in kept or run.seed is None:
        return "it has none"
    recipe: Recipe = entry.system().resolved(budget, run.seed)
    begun = kept.get("initial", "")
    if begun != recipe.initial:
        return f"initial = {begun or 'nothing'}, now {recipe.initial or 'nothing'}"
    return next((f"{n} = {was}, now {now}" for n, was, now in differences({**kept, "name": recipe.name}, recipe)), "")


def _line(entry: AblationEntry, runs: list[Run]) -> Line:
    name = entry.row.name
    rows = tuple(replace(row, method=name) for run in runs for row in run.rows)
    return Line(name, name, tuple(replace(run, title=entry.row.title) for run in runs), rows)
