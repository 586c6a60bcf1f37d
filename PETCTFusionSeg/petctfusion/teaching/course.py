"""A learner's way through a lesson: the cases in order, then a look back at any of them."""

from __future__ import annotations

import time
from datetime import datetime

from petctfusion.teaching.attempt import Attempt, Clock
from petctfusion.teaching.lesson import Case, Lesson


class Course:
    """Begins at the first case. An attempt's time runs once it is begun, which is when its images are there."""

    def __init__(self, lesson: Lesson, clock: Clock = time.monotonic) -> None:
        self.lesson = lesson
        self.learner = ""
        self.begun = datetime.now().astimezone()
        self.attempts = [Attempt(case, clock) for case in lesson.cases]
        self.number = 0
        self.finished = False

    @property
    def attempt(self) -> Attempt:
        """The one at the present case."""
        return self.attempts[self.number]

    @property
    def case(self) -> Case:
        """The present case."""
        return self.attempt.case

    @property
    def last(self) -> bool:
        """Whether there is no further case."""
        return self.number + 1 >= len(self.attempts)

    def next(self) -> None:
        """Turn to the next case; after the last one the lesson is finished."""
        if self.finished:
            return
        self.attempt.leave()
        if self.last:
            self.finished = True
            for one in self.attempts:
                one.finished = True
            return
        self.number += 1

    def look_back(self, number: int) -> None:
        """Show a case again once the lesson is finished; no time runs."""
        if self.finished and 0 <= number < len(self.attempts):
            self.number = number
