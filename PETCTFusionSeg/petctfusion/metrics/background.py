"""One thread for work that must not hold up an interface; of the jobs with one key only the latest is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class BackgroundThread:
    """Runs jobs one after the other in a thread that starts with the first one. A job must not raise."""

    def __init__(self, name: str = "comparison") -> None:
        self._name = name
        self._jobs: dict[Hashable, Callable[[], None]] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, key: Hashable, job: Callable[[], None]) -> None:
        """Run `job` as soon as the thread is free; a waiting job of the same key is dropped. Ignored after `close`."""
        with self._condition:
            if self._closed:
                return
            self._jobs[key] = job
            if self._thread is None:
                # A daemon, so that an application that forgets to close it can still end.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._condition.notify()

    def drop(self, key: Hashable) -> None:
        """Forget a job of this key that still waits; one that runs goes on."""
        with self._condition:
            self._jobs.pop(key, None)

    def close(self, wait: bool = True) -> None:
        """Drop what waits, and end the thread when the running job has ended; `wait` for that."""
        with self._condition:
            self._closed = True
            self._jobs.clear()
            self._condition.notify()
            thread = self._thread
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._jobs and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                job = self._jobs.pop(next(iter(self._jobs)))
            job()
            # A closure keeps the arrays it was given: hold it no longer than it runs.
            del job
