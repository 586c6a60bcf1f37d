"""Progress on stderr: a bar on a terminal, plain lines of ten per cent in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

_STEP_PERCENT = 10
_NAMES = {
    "load": "loading the model",
    "prepare": "preparing",
    "segment": "segmenting",
    "restore": "finishing",
    "download": "downloading",
    "check": "checking",
    "unpack": "unpacking",
    "convert": "converting",
    "simulate": "simulating",
}
_UNITS = {"download": "MB", "check": "MB", "unpack": "MB"}


def stage_name(stage: str) -> str:
    """The worker's word for a stage as a person would say it."""
    return _NAMES.get(stage, stage)


class ProgressDisplay:
    """Shows (done, total, stage, seconds left); use as a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._bar: tqdm[None] | None = None
        self._stage = ""
        self._next_percent = 0

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def update(self, done: int, total: int, stage: str, eta_s: float | None = None) -> None:
        """One event of the worker; a new stage starts anew."""
        if stage != self._stage:
            self._close()
            self._stage, self._next_percent = stage, 0
        if self._terminal:
            self._draw(done, total)
        else:
            self._print(done, total, eta_s)

    def say(self, line: str) -> None:
        """A line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def _draw(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            unit = _UNITS.get(self._stage, "it")
            # `initial`: a continued download would otherwise count what was there as fetched at once.
            shown = {"desc": stage_name(self._stage), "unit": unit, "initial": done, "total": total or None}
            self._bar = tqdm(file=self._stream, leave=True, miniters=1, **shown)
        # The memory ladder starts the windows again, smaller and more of them.
        self._bar.total = total or None
        # Not refresh(): a fast download would draw hundreds of bars a second.
        self._bar.update(done - self._bar.n)

    def _print(self, done: int, total: int, eta_s: float | None) -> None:
        if total <= 1:
            # A stage of one step has no per cent worth telling: its name, once.
            if self._next_percent == 0:
                print(stage_name(self._stage), file=self._stream, flush=True)
                self._next_percent = 101
            return
        percent = 100 * done // total
        if percent < self._next_percent:
            return
        left = f", about {eta_s:.0f} s left" if eta_s is not None and done < total else ""
        print(f"{stage_name(self._stage)} {percent} %{left}", file=self._stream, flush=True)
        self._next_percent = percent - percent % _STEP_PERCENT + _STEP_PERCENT

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
