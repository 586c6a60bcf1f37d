"""Many patients at once, in processes: one that fails, or even dies, costs its own row and no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from petctfusion.errors import OutOfMemoryError
from petctfusion.evaluation.case import Failure, Outcome, Settings, outcome_of
from petctfusion.evaluation.pairs import Pair

Report = Callable[[int, int], None]


def usable_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def evaluate_cohort(pairs: Sequence[Pair], settings: Settings, jobs: int, report: Report) -> list[Outcome]:
    """The outcome of every pair, in order; `report(done, total)` is called after each.

    One job works in this process. More work in as many processes, started anew (spawn) so that no thread or library
    of this one is copied. On KeyboardInterrupt they are ended before it goes on.
    """
    outcomes: dict[int, Outcome] = {}

    def keep(number: int, outcome: Outcome) -> None:
        outcomes[number] = outcome
        report(len(outcomes), len(pairs))

    for number, pair in enumerate(pairs):
        if pair.problem:
            keep(number, outcome_of(pair, settings))
    rest = [number for number in range(len(pairs)) if number not in outcomes]
    if min(jobs, len(rest)) <= 1:
        for number in rest:
            keep(number, outcome_of(pairs[number], settings))
    else:
        _in_processes(pairs, rest, settings, min(jobs, len(rest)), keep)
        # A process that died took those of its neighbours with it: each once more, in a process of its own.
        for number in [number for number in rest if number not in outcomes]:
            _in_processes(pairs, [number], settings, 1, keep)
            if number not in outcomes:
                keep(number, _died(pairs[number]))
    return [outcomes[number] for number in range(len(pairs))]


def _in_processes(
    pairs: Sequence[Pair], numbers: Sequence[int], settings: Settings, jobs: int, keep: Callable[[int, Outcome], None]
) -> None:
    """Keeps the outcome of each of `numbers`, until a process dies."""
    others = {process.pid for process in multiprocessing.active_children()}
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        with _held_interrupt():
            futures: dict[Future[Outcome], int] = {pool.submit(outcome_of, pairs[n], settings): n for n in numbers}
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                keep(futures[future], future.result())
    except BrokenProcessPool:
        pass
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process.pid not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _held_interrupt() -> Iterator[None]:
    """Ctrl-C waits meanwhile. Processes started here inherit that: also before `_begin` they leave it to the parent."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """In a new process: Ctrl-C is the parent's to answer, one thread is its share, and it ends with its parent."""
    import SimpleITK as sitk

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _died(pair: Pair) -> Failure:
    return Failure(
        pair.patient,
        "The process that evaluated it was ended from outside, or crashed.",
        "If memory is short, evaluate fewer at a time: --jobs 1.",
        OutOfMemoryError.kind,
    )
