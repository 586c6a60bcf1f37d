"""What a run leaves to look at: log.csv, tuning.csv and, where it is installed, TensorBoard's events."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from petctfusion.volumes.writing import output_error

STEPS, TUNING = "log.csv", "tuning.csv"
_EVENTS = "tensorboard"


class RunLogs:
    """Rows from step `step` + 1 on; what stands there of later steps than `step` is forgotten, as they come again."""

    def __init__(self, folder: Path, step: int, events: bool = False, say: Callable[[str], None] | None = None) -> None:
        self._folder = folder
        for name in (STEPS, TUNING):
            _forget_later_rows(folder / name, step)
        self._events = _event_writer(folder / _EVENTS, step, say or (lambda _: None)) if events else None

    def row(self, name: str, step: int, values: Mapping[str, Any]) -> None:
        """One row of a table. Raises `OutputError`."""
        path = self._folder / name
        row = {"step": step, **values}
        try:
            is_new = not path.exists()
            with path.open("a", newline="") as file:
                writer = csv.DictWriter(file, list(row))
                if is_new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise output_error(path, error) from error

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Points of TensorBoard's curves."""
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def flush(self) -> None:
        """To disk, before a checkpoint says that these steps are done."""
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """No more points."""
        if self._events is not None:
            self._events.close()


def _event_writer(folder: Path, step: int, say: Callable[[str], None]) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("no TensorBoard here, curves go to the CSV files only (pip install 'petctfusion[train]')")
        return None
    # Whatever a killed run drew beyond its checkpoint is hidden: those steps come again.
    return SummaryWriter(str(folder), purge_step=step + 1)  # type: ignore[no-untyped-call]


def _forget_later_rows(path: Path, step: int) -> None:
    """A run killed while it wrote may also leave half a row."""
    if not path.exists():
        return
    header, *rows = path.read_text().splitlines() or [""]
    columns = header.count(",")
    whole = [row for row in rows if row.count(",") == columns and row.partition(",")[0].isdigit()]
    kept = [row for row in whole if int(row.partition(",")[0]) <= step]
    if kept != rows:
        path.write_text("\n".join([header, *kept]) + "\n")
