"""Follows a prediction that is being edited: small changes are answered at once, large ones in the background.

Every accepted prediction has a revision. Numbers are given only when they belong to the latest one; while a large
change is being computed there are none, and `state` says so. A stale result is never given as current.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from petctfusion.errors import BadInputError, FusionError
from petctfusion.metrics.agreement import MaskAgreement
from petctfusion.metrics.background import BackgroundThread
from petctfusion.metrics.changes import Box3, Placed, around, find_change
from petctfusion.metrics.live import LiveComparison, WorstPlace
from petctfusion.metrics.masks import BoolArray

State = Literal["empty", "current", "computing", "failed", "closed"]
# A brush stroke changes tens to thousands of voxels. Up to 8,500 at once took at most 34 ms on a busy two-core machine
# (326 x 400 x 400 voxels, 10 lesions, both surfaces), a replacement of everything about ten times that.
LARGE_VOXELS = 8_000


class Engine(Protocol):
    """What is used of `live.LiveComparison`."""

    @property
    def prediction(self) -> BoolArray: ...  # noqa: D102
    def replace(self, prediction: BoolArray) -> None: ...  # noqa: D102
    def update(self, box: Box3, values: BoolArray) -> None: ...  # noqa: D102
    def agreement(self) -> MaskAgreement | None: ...  # noqa: D102
    def worst(self) -> WorstPlace | None: ...  # noqa: D102


class ComparisonFollower:
    """Numbers of one prediction against one reference on one grid, kept current while the prediction changes.

    All methods are for one thread (that of the interface); what runs in the background is inside. A finished background
    result is announced by `notify`, which runs in the background thread, and seen by polling `state`.
    """

    def __init__(
        self,
        reference: BoolArray,
        spacing_mm: Sequence[float],
        *,
        tolerance_mm: float | None = None,
        large_voxels: int = LARGE_VOXELS,
        thread: BackgroundThread | None = None,
        notify: Callable[[], None] | None = None,
        engine: Callable[[], Engine] | None = None,
    ) -> None:
        """`reference` is (z, y, x) and is not copied; `large_voxels` changed at once go to the background.

        `thread` may serve several followers; without one the follower has its own. `engine` makes what computes.
        """
        self.reference = reference
        self._make = engine or _live_comparison(reference, spacing_mm, tolerance_mm)
        self._large = large_voxels
        self._own_thread = thread is None
        self._thread = thread or BackgroundThread()
        self._notify = notify
        self._condition = threading.Condition()
        self._engine: Engine | None = None
        self._region: Box3 | None = None
        self._pending: Callable[[], Placed] | None = None
        self._busy = False
        self._closed = False
        self._revision = 0
        self._result: tuple[int, MaskAgreement | None] | None = None
        self._failure: tuple[int, str] | None = None
        self.leaves = False
        """True when the mask given last has voxels outside the reference's array; they are not in the numbers."""
        self._asked: set[str] = set()
        self._extras: dict[str, tuple[int, Any]] = {}

    @property
    def revision(self) -> int:
        """How many predictions were accepted."""
        return self._revision

    @property
    def state(self) -> State:
        """`empty` before the first prediction, then `computing`, `current` or `failed`; `closed` at the end."""
        with self._condition:
            return self._state()

    @property
    def sentence(self) -> str:
        """Why there are no numbers; empty when there are."""
        with self._condition:
            if self._failure is not None and self._failure[0] == self._revision:
                return self._failure[1]
            return "Computing..." if self._state() == "computing" else ""

    def numbers(self) -> MaskAgreement | None:
        """The agreement of the latest prediction with the reference; None while there is none that is current."""
        with self._condition:
            return self._result[1] if self._result is not None and self._state() == "current" else None

    def worst(self) -> WorstPlace | None:
        """The worst place of the latest prediction; None while its numbers are not current, or without a contour."""
        if self.state != "current" or self._engine is None:
            return None
        return self._engine.worst()

    def prediction(self) -> BoolArray | None:
        """The latest prediction, a view to read only; None while it is being computed."""
        return self._engine.prediction if self.state == "current" and self._engine is not None else None

    def set_prediction(self, prediction: Placed | BoolArray) -> bool:
        """Take the mask as it is now; the array may change afterwards. False when nothing changed.

        Voxels of a `Placed` mask beyond the reference's array are left out (`leaves` says so). Raises `BadInputError`
        on an array of another shape than the reference, and after `close`.
        """
        placed = self._placed(prediction)
        with self._condition:
            self._require_open()
            if self._busy or self._engine is None:
                # The engine belongs to the background thread now: what changed can only be found there.
                whole = tuple(slice(0, size) for size in self.reference.shape)
                self.leaves = placed.leaves((whole[0], whole[1], whole[2]))
                self._queue(_frozen(placed.within(self.reference.shape)))
                return True
        change = find_change(self._engine.prediction, self._region, placed, self._large)
        self.leaves = change.leaves
        if change.voxels == 0:
            return False
        if change.boxes is None:
            with self._condition:
                self._queue(_frozen(placed.within(self.reference.shape)))
            return True
        self._revision += 1
        try:
            self._apply(self._engine, change.boxes, placed)
            self._publish(self._revision, self._engine.agreement())
        except Exception as error:
            self._fail(self._revision, error)
        return True

    def set_prediction_later(self, make: Callable[[], Placed]) -> None:
        """As `set_prediction`, but `make` is called in the background thread (resampling takes its time)."""
        with self._condition:
            self._require_open()
            self.leaves = False
            self._queue(make)

    def ask(self, name: str, function: Callable[[BoolArray, BoolArray], Any]) -> bool:
        """Compute `function(prediction, reference)` in the background, on a copy; `answer` gives the result.

        False when the numbers are not current: ask again when they are.
        """
        prediction = self.prediction()
        if prediction is None:
            return False
        revision, copy = self._revision, prediction.copy()
        reference = self.reference
        self._asked.add(name)
        self._thread.submit((id(self), name), lambda: self._answer(name, revision, lambda: function(copy, reference)))
        return True

    def answer(self, name: str) -> Any:
        """The result of `ask` for the latest prediction, None while there is none; a `FusionError` is returned."""
        with self._condition:
            found = self._extras.get(name)
            return found[1] if found is not None and found[0] == self._revision else None

    def wait(self, timeout_s: float) -> bool:
        """Let the background thread work; True when nothing is being computed any more."""
        with self._condition:
            return self._condition.wait_for(lambda: self._state() != "computing", timeout_s)

    def close(self) -> None:
        """Drop what waits and let go of the arrays; an own thread is ended."""
        with self._condition:
            self._closed = True
            self._pending = None
            self._condition.notify_all()
        for key in (id(self), *((id(self), name) for name in self._asked)):
            self._thread.drop(key)
        if self._own_thread:
            self._thread.close()
        self._engine = None

    def _state(self) -> State:
        if self._closed:
            return "closed"
        if self._revision == 0:
            return "empty"
        if self._failure is not None and self._failure[0] == self._revision:
            return "failed"
        return "current" if self._result is not None and self._result[0] == self._revision else "computing"

    def _require_open(self) -> None:
        if self._closed:
            raise BadInputError("This comparison was closed.", "Start a new one.")

    def _placed(self, prediction: Placed | BoolArray) -> Placed:
        if isinstance(prediction, Placed):
            return prediction
        if prediction.shape != self.reference.shape:
            raise BadInputError(
                f"A prediction of shape {prediction.shape} is not on the reference's grid of {self.reference.shape}.",
                "Bring it to the reference's grid, or say where it lies (Placed).",
            )
        return Placed(prediction)

    def _queue(self, make: Callable[[], Placed]) -> None:
        """Under the lock: replaces what waits, so that of many large changes only the last is computed."""
        self._revision += 1
        self._pending = make
        if not self._busy:
            self._busy = True
            self._thread.submit(id(self), self._work)

    def _work(self) -> None:
        """In the background thread, which owns the engine while `_busy`."""
        while True:
            with self._condition:
                make, revision, self._pending = self._pending, self._revision, None
                if make is None or self._closed:
                    self._busy = False
                    return
            try:
                self._take(make())
                with self._condition:
                    superseded = self._pending is not None or self._closed
                if superseded:
                    continue
                result = self._engine.agreement() if self._engine is not None else None
                self._publish(revision, result, last=True)
            except Exception as error:
                self._fail(revision, error, last=True)
            with self._condition:
                if not self._busy:
                    break
        if self._notify is not None:
            self._notify()

    def _take(self, placed: Placed) -> None:
        engine = self._engine
        if engine is None:
            engine = self._make()
            engine.replace(placed.on(self.reference.shape))
            self._engine = engine
        else:
            change = find_change(engine.prediction, self._region, placed, self._large)
            if change.boxes is not None:
                self._apply(engine, change.boxes, placed)
            else:
                engine.replace(placed.on(self.reference.shape))
        self._region = placed.within(self.reference.shape).box

    def _apply(self, engine: Engine, boxes: Sequence[Box3], placed: Placed) -> None:
        for box in boxes:
            engine.update(box, placed.on_box(box))
        self._region = around(placed.within(self.reference.shape).box)

    def _publish(self, revision: int, result: MaskAgreement | None, last: bool = False) -> None:
        with self._condition:
            self._result = (revision, result)
            self._released(last)

    def _fail(self, revision: int, error: Exception, last: bool = False) -> None:
        """The engine may have stopped halfway: the next prediction is computed from the start."""
        with self._condition:
            self._engine = None
            self._region = None
            self._failure = (revision, _sentence(error))
            self._released(last)

    def _released(self, last: bool) -> None:
        """Under the lock: the thread gives the engine back unless another prediction waits."""
        if last and self._pending is None:
            self._busy = False
        self._condition.notify_all()

    def _answer(self, name: str, revision: int, compute: Callable[[], Any]) -> None:
        try:
            value = compute()
        except Exception as error:
            value = error if isinstance(error, FusionError) else FusionError(_sentence(error))
        with self._condition:
            self._extras[name] = (revision, value)
        if self._notify is not None:
            self._notify()


def _frozen(placed: Placed) -> Callable[[], Placed]:
    """A copy, because the array belongs to somebody who goes on editing it."""
    copy = Placed(placed.mask(), placed.first)
    return lambda: copy


def _sentence(error: Exception) -> str:
    if isinstance(error, FusionError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory to compare these masks. Close other volumes and try again."
    return f"The comparison failed: {error or type(error).__name__}."


def _live_comparison(
    reference: BoolArray, spacing_mm: Sequence[float], tolerance_mm: float | None
) -> Callable[[], Engine]:
    def make() -> Engine:
        engine: Engine = LiveComparison(reference, spacing_mm, tolerance_mm=tolerance_mm)
        return engine

    return make
