"""Draws the patches of the next step while the present one computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Drawn = TypeVar("Drawn")


class Feed(Generic[Drawn]):
    """`draw(step, index)` for every index of a step, one step ahead, in `threads` threads.

    The result depends on neither threads nor time, as a draw depends on its step and index alone.
    """

    def __init__(self, draw: Callable[[int, int], Drawn], indices: Sequence[int], last: int, threads: int = 1) -> None:
        self._draw, self._indices, self._last = draw, indices, last
        self._next: tuple[int, list[Future[Drawn]]] | None = None
        self._pool = ThreadPoolExecutor(threads, "patches")
        _one_core_each(self._pool, threads)

    def __enter__(self) -> Feed[Drawn]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def batch(self, step: int) -> list[Drawn]:
        """What was drawn for `step`; the step after it is begun, up to the last."""
        ready = self._next[1] if self._next is not None and self._next[0] == step else self._begun(step)
        drawn = [future.result() for future in ready]
        self._next = (step + 1, self._begun(step + 1)) if step + 1 < self._last else None
        return drawn

    def _begun(self, step: int) -> list[Future[Drawn]]:
        return [self._pool.submit(self._draw, step, index) for index in self._indices]


def _one_core_each(pool: ThreadPoolExecutor, threads: int) -> None:
    """One core for each drawing thread: the others belong to the step. torch's number is a thread's own (OpenMP)."""
    before = torch.get_num_threads()
    everybody = threading.Barrier(threads + 1)

    def begin() -> None:
        # A thread's first question takes over the number of the process; asked later, it would undo the 1.
        torch.get_num_threads()
        torch.set_num_threads(1)
        everybody.wait()

    for _ in range(threads):
        pool.submit(begin)
    everybody.wait()
    # The library of matrix products has one number for the whole process.
    torch.set_num_threads(before)
