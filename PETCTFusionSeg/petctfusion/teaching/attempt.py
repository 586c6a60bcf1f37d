"""One learner at one case: what was checked, which hints were taken, how long it took, what may be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import SimpleITK as sitk

from petctfusion.teaching.lesson import AFTER_CHECK, AT_END, AT_ONCE, Case, Hint, PassingMarks
from petctfusion.teaching.scoring import Score

Clock = Callable[[], float]


@dataclass(frozen=True)
class Check:
    """One press of Check: the score, after how many seconds at the case and with how many hints."""

    score: Score
    seconds: float
    hints: int
    counts: bool
    """False once the truth was revealed."""


@dataclass
class Attempt:
    """Time runs between `begin` and `leave`. The last check before the truth was revealed is the one that counts."""

    case: Case
    clock: Clock
    checks: list[Check] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    drawing: sitk.Image | None = None
    """What was drawn at the check that counts."""
    revealed: bool = False
    finished: bool = False
    """The lesson is over: what waits for its end may be shown."""
    _before_s: float = 0.0
    _since: float | None = None

    def begin(self) -> None:
        """The learner turns to this case."""
        if self._since is None:
            self._since = self.clock()

    def leave(self) -> None:
        """The learner turns away from it."""
        self._before_s, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        """Spent at this case so far."""
        return self._before_s + (self.clock() - self._since if self._since is not None else 0.0)

    def check(self, score: Score, drawing: sitk.Image) -> Check:
        """Note the score of what is drawn now."""
        counts = not self.revealed and not self.finished
        self.checks.append(Check(score, self.seconds, len(self.hints), counts))
        if counts:
            self.drawing = drawing
        return self.checks[-1]

    @property
    def counted(self) -> tuple[Check, ...]:
        """The checks before the truth was revealed."""
        return tuple(one for one in self.checks if one.counts)

    @property
    def result(self) -> Check | None:
        """The check that counts; None when there was none."""
        return self.counted[-1] if self.counted else None

    @property
    def passed(self) -> bool | None:
        """Whether the result reaches every mark; None without a result or marks."""
        if self.result is None or self.case.passing == PassingMarks():
            return None
        return not self.result.score.shortcomings(self.case.passing)

    def may_show(self, what: str) -> bool:
        """Whether one of the fields of `ShownWhen` may be shown now."""
        moment = getattr(self.case.show, what)
        if moment == AFTER_CHECK:
            return bool(self.checks) or self.finished
        return bool(moment == AT_ONCE or (moment == AT_END and self.finished))

    def next_hint(self) -> Hint | None:
        """Take the next hint; None when there is none, or its time has not come (`checks_to_hint`)."""
        if self.checks_to_hint != 0:
            return None
        self.hints.append(self.case.hints[len(self.hints)])
        return self.hints[-1]

    @property
    def checks_to_hint(self) -> int | None:
        """How many more checks the next hint waits for; None when there is no further hint."""
        if len(self.hints) >= len(self.case.hints):
            return None
        return max(0, self.case.hints[len(self.hints)].after_checks - len(self.checks))

    def reveal(self) -> None:
        """The learner sees the truth: later drawings do not count."""
        self.revealed = True
