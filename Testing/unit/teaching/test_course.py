"""A learner's way through a lesson: time, hints, which check counts, what may be shown when; the sheet at the end."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import SimpleITK as sitk

from petctfusion.teaching import Case, Course, Hint, Lesson, PassingMarks, Score, ShownWhen
from petctfusion.teaching.lesson import PhantomCase
from petctfusion.teaching.sheet import sheet_csv, sheet_html, time_text

GOOD = Score(0.91, 3.2, 40.0, 41.0, 3.0, 2.0, 2, 0, 1, None)
POOR = replace(GOOD, dice=0.4, hd95_mm=float("inf"), lesions_found=0, lesions_missed=2, lesions_extra=0)
DRAWING = sitk.Image(2, 2, 2, sitk.sitkUInt8)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _case(title: str = "Thigh", **changes) -> Case:
    return Case(title, "Draw.", PhantomCase(), **changes)


def _course(*cases: Case) -> tuple[Course, Clock]:
    clock = Clock()
    course = Course(Lesson("Contours", "", cases or (_case(), _case())), clock)
    course.attempt.begin()
    return course, clock


def test_time_runs_at_a_case_only_while_the_learner_is_there():
    course, clock = _course()
    clock.now += 30
    first = course.attempt
    first.check(POOR, DRAWING)
    clock.now += 10
    course.next()
    clock.now += 7
    course.attempt.begin()
    clock.now += 5
    assert (first.seconds, course.attempt.seconds) == (40, 5)
    assert first.result is not None
    assert first.result.seconds == 30
    course.next()
    clock.now += 1000
    assert course.finished
    assert course.attempts[1].seconds == 5


def test_the_last_check_before_the_truth_counts():
    course, _clock = _course()
    attempt = course.attempt
    attempt.check(POOR, DRAWING)
    attempt.check(GOOD, DRAWING)
    attempt.reveal()
    attempt.check(replace(GOOD, dice=1.0), sitk.Image(3, 3, 3, sitk.sitkUInt8))
    assert attempt.result is not None
    assert attempt.result.score is GOOD
    assert attempt.drawing is DRAWING
    assert (len(attempt.checks), len(attempt.counted)) == (3, 2)


def test_hints_come_one_by_one_and_some_after_checks():
    course, _clock = _course(_case(hints=(Hint("a"), Hint("b", 1), Hint("c", 2))))
    attempt = course.attempt
    assert attempt.next_hint() == Hint("a")
    assert attempt.next_hint() is None
    assert attempt.checks_to_hint == 1
    attempt.check(POOR, DRAWING)
    assert attempt.next_hint() == Hint("b", 1)
    assert attempt.checks_to_hint == 1
    attempt.check(GOOD, DRAWING)
    assert attempt.next_hint() == Hint("c", 2)
    assert attempt.checks_to_hint is None
    assert attempt.next_hint() is None
    assert [one.hints for one in attempt.checks] == [1, 2]


def test_what_is_shown_when():
    show = ShownWhen(reference="after check", errors="at end", network="never", sliders="at once")
    course, _clock = _course(_case(show=show))
    attempt = course.attempt

    def shown() -> list[str]:
        return [name for name in ("reference", "errors", "network", "sliders") if attempt.may_show(name)]

    assert shown() == ["sliders"]
    attempt.check(POOR, DRAWING)
    assert shown() == ["reference", "sliders"]
    course.next()
    assert shown() == ["reference", "errors", "sliders"]


def test_looking_back_changes_nothing():
    course, clock = _course()
    course.look_back(1)
    assert course.number == 0
    course.attempt.check(GOOD, DRAWING)
    course.next()
    course.next()
    course.next()
    course.look_back(0)
    clock.now += 60
    assert (course.number, course.finished) == (0, True)
    course.attempt.check(POOR, DRAWING)
    assert course.attempt.result is not None
    assert course.attempt.result.score is GOOD
    course.look_back(7)
    assert course.number == 0


def test_passing_needs_every_mark():
    course, _clock = _course(_case(passing=PassingMarks(dice=0.8, hd95_mm=5)), _case())
    attempt = course.attempt
    assert attempt.passed is None
    attempt.check(POOR, DRAWING)
    assert attempt.passed is False
    attempt.check(GOOD, DRAWING)
    assert attempt.passed is True
    course.next()
    course.attempt.check(GOOD, DRAWING)
    assert course.attempt.passed is None


def _finished() -> Course:
    marks = PassingMarks(dice=0.8)
    course, clock = _course(_case(passing=marks), _case(title="=1+1", passing=marks), _case(title="Skipped"))
    course.learner = '<script>alert("x")</script>'
    clock.now += 75
    course.attempt.check(POOR, DRAWING)
    course.attempt.check(GOOD, DRAWING)
    course.next()
    course.attempt.check(POOR, DRAWING)
    course.next()
    course.next()
    return course


def test_the_sheet_needs_nothing_from_anywhere_and_escapes_what_people_wrote():
    page = sheet_html(_finished())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|https?://", page)
    assert "size: A4" in page
    for text in ("0.91", "0.40", "no contour", "1:15", "2 of 2, 1 too many", "2 of 3", "1 of 2", "Not reached"):
        assert text in page, text


def test_the_table_holds_numbers_and_no_formula():
    rows = list(csv.DictReader(io.StringIO(sheet_csv(_finished()))))
    assert [row["case"] for row in rows] == ["1", "2", "3"]
    assert rows[1]["title"] == "'=1+1"
    assert [row["dice"] for row in rows] == ["0.91", "0.4", ""]
    assert (rows[0]["first_dice"], rows[0]["checks"], rows[0]["passed"]) == ("0.4", "2", "True")
    assert (rows[1]["passed"], rows[2]["checks"], rows[2]["passed"]) == ("False", "0", "")


def test_times_are_minutes_and_seconds():
    assert [time_text(one) for one in (0, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "60:00"]
