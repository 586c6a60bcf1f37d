"""Many tasks at once, in processes: one that dies costs its own outcome and no other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import TypeVar, cast

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def usable_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def outcomes(
    function: Callable[[Task], Outcome],
    tasks: Sequence[Task],
    jobs: int,
    died: Callable[[Task], Outcome],
    report: Callable[[int, int], None],
) -> list[Outcome]:
    """`function` of every task, in order; `report(done, total)` is called after each.

    One job works in this process. More work in as many processes, started anew (spawn) so that no thread or library of
    this one is copied; the function and the tasks must be picklable. Where one of them dies, its task is tried once
    more alone, and then `died(task)` is its outcome. What `function` raises ends all of them and is raised here, as is
    a KeyboardInterrupt.
    """
    found: dict[int, Outcome] = {}

    def keep(number: int, outcome: Outcome) -> None:
        found[number] = outcome
        report(len(found), len(tasks))

    if min(jobs, len(tasks)) <= 1:
        for number, task in enumerate(tasks):
            keep(number, function(task))
        return [found[number] for number in range(len(tasks))]
    _in_processes(function, tasks, range(len(tasks)), min(jobs, len(tasks)), keep)
    # A process that died took those of its neighbours with it: each once more, in a process of its own.
    for number in [number for number in range(len(tasks)) if number not in found]:
        _in_processes(function, tasks, [number], 1, keep)
        if number not in found:
            keep(number, died(tasks[number]))
    return [found[number] for number in range(len(tasks))]


def _in_processes(
    function: Callable[[Task], Outcome],
    tasks: Sequence[Task],
    numbers: Sequence[int],
    jobs: int,
    keep: Callable[[int, Outcome], None],
) -> None:
    """Keeps the outcome of each of `numbers`, except of those whose process died.

    Each process has a pipe of its own, and no thread stands between: the pool of concurrent.futures waited for ever,
    now and then, when its processes were ended while one of them wrote (Python 3.11).
    """
    context = multiprocessing.get_context("spawn")
    left = list(reversed(numbers))
    busy: dict[Connection, int] = {}
    processes = []
    try:
        with _held_interrupt():
            for _ in range(jobs):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(function, theirs), daemon=True)
                process.start()
                processes.append(process)
                theirs.close()
                _hand_over(ours, tasks, left, busy)
        while busy:
            for ready in wait(list(busy)):
                pipe = cast("Connection", ready)
                number = busy.pop(pipe)
                try:
                    outcome, error = pipe.recv()
                except (EOFError, OSError):
                    continue
                if error is not None:
                    raise error
                keep(number, outcome)
                _hand_over(pipe, tasks, left, busy)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _hand_over(pipe: Connection, tasks: Sequence[Task], left: list[int], busy: dict[Connection, int]) -> None:
    """The next task to the process behind `pipe`, if there is one."""
    if left:
        number = left.pop()
        busy[pipe] = number
        with contextlib.suppress(OSError):  # it has died already; the next look at its pipe finds that
            pipe.send(tasks[number])


def _serve(function: Callable[[Task], Outcome], pipe: Connection) -> None:
    """In a new process: answers every task with (outcome, None) or (None, what was raised)."""
    _begin()
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = pipe.recv()
            try:
                answer: tuple[Outcome | None, Exception | None] = (function(task), None)
            except Exception as error:
                answer = (None, error)
            pipe.send(answer)


@contextmanager
def _held_interrupt() -> Iterator[None]:
    """Ctrl-C waits meanwhile, and processes started here inherit that: before `_begin` too they leave it to us."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # of POSIX only

    # The first process started by spawn starts the tracker before it, and that lets SIGINT through again (seen with
    # Python 3.11): started here, it does not.
    resource_tracker.ensure_running()
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
