"""Training on stderr: a bar on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from petctfusion.training.trainer import TrainingProgress

_LINE_EVERY_S = 60.0
# Shown numbers are means over about fifty steps.
_NEW_SHARE = 0.02


class TrainingDisplay:
    """Loss, soft Dice, patches a second and time left; use as a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from tqdm import tqdm

        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._bar = tqdm(unit="step", disable=not self._terminal, file=self._stream)
        self._loss = self._seconds = math.nan
        self._dice: float | None = None
        self._line_due = time.monotonic() + _LINE_EVERY_S

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def update(self, progress: TrainingProgress) -> None:
        """One step is done."""
        self._loss = _mixed(self._loss, progress.loss)
        self._seconds = _mixed(self._seconds, progress.seconds_per_step)
        self._dice = progress.dice if progress.dice is not None else self._dice
        if self._terminal:
            if self._bar.total is None:
                # Steps of earlier sittings were not done at this sitting's speed.
                self._bar.total = progress.steps
                self._bar.initial = self._bar.n = self._bar.last_print_n = progress.step - 1
            self._bar.update(progress.step - self._bar.n)
            self._bar.set_postfix_str(self._numbers(progress))
        elif time.monotonic() >= self._line_due or progress.step == progress.steps:
            self._line_due = time.monotonic() + _LINE_EVERY_S
            left = (progress.steps - progress.step) * self._seconds / 60
            self.say(f"step {progress.step}/{progress.steps} {self._numbers(progress)}, about {left:.0f} min left")
        if progress.score is not None:
            self.say(f"step {progress.step}: {progress.score}")

    def say(self, line: str) -> None:
        """A line beside the bar."""
        self._bar.write(line, file=self._stream)

    def _numbers(self, progress: TrainingProgress) -> str:
        parts = [f"loss {self._loss:.3f}"]
        if self._dice is not None:
            parts.append(f"Dice {self._dice:.3f}")
        parts.append(f"{progress.batch / max(self._seconds, 1e-9):.1f} patches/s")
        if progress.skipped:
            parts.append(f"{progress.skipped} skipped")
        return ", ".join(parts)


def _mixed(mean: float, value: float) -> float:
    """A running mean that takes no part in what is not a number."""
    if not math.isfinite(value):
        return mean
    return value if math.isnan(mean) else mean + _NEW_SHARE * (value - mean)
