"""Computations beside the event loop; their answers come back on the main thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from petctfusion.metrics.background import BackgroundThread

from .timers import MakeTimer

_LOOK_MS = 20


@dataclass(frozen=True)
class _Asked:
    number: int
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]


class Background:
    """One thread. Of the questions with one key only the latest is answered, so that a slider never lags behind."""

    def __init__(self, makeTimer: MakeTimer) -> None:
        self._thread = BackgroundThread("background")
        self._timer = makeTimer(_LOOK_MS, False, self._look)
        self._asked: dict[str, _Asked] = {}
        self._answers: deque[tuple[str, int, Any, Exception | None]] = deque()
        self._count = 0

    def ask(
        self, key: str, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Do `work`, which touches no node; then one of `done` and `failed` is called, unless `key` is asked again."""
        self._count += 1
        number = self._count
        self._asked[key] = _Asked(number, done, failed)

        def job() -> None:
            try:
                self._answers.append((key, number, work(), None))
            except Exception as error:
                self._answers.append((key, number, None, error))

        self._thread.submit(key, job)
        if not self._timer.isActive():
            self._timer.start()

    def busy(self, key: str) -> bool:
        """Whether a question of this key waits for its answer."""
        return key in self._asked

    def forget(self) -> None:
        """No answer is wanted any more."""
        for key in self._asked:
            self._thread.drop(key)
        self._asked.clear()
        self._timer.stop()

    def close(self) -> None:
        """As `forget`, for good."""
        self.forget()
        self._thread.close(wait=False)

    def _look(self) -> None:
        while self._answers:
            key, number, value, error = self._answers.popleft()
            asked = self._asked.get(key)
            if asked is None or asked.number != number:
                continue
            del self._asked[key]
            if error is not None:
                asked.failed(error)
            else:
                asked.done(value)
        if not self._asked:
            self._timer.stop()
