"""The score sheet at the end of a lesson: one page to print, and a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from html import escape

from petctfusion.evaluation import html
from petctfusion.teaching.attempt import Attempt
from petctfusion.teaching.course import Course
from petctfusion.teaching.lesson import PassingMarks

_COLUMNS = (
    "Case", "Dice", "First Dice", "HD95", "Volume (ml)", "Truth (ml)", "Missed (ml)", "Extra (ml)", "Lesions found",
    "Checks", "Hints", "Time", "Passed",
)  # fmt: skip
_DEFINITIONS = (
    ("Dice", "Twice the common volume over the sum of both: 1 is equal, 0 has nothing in common."),
    ("HD95", "The larger of the two directed 95th percentiles of the distances between the surfaces."),
    ("Missed, extra", "Volume of the truth that was not drawn, and of the drawing that is not in the truth."),
    ("First Dice", "At the first check; the other numbers are those of the last check before the truth was revealed."),
    ("Time", "At the case until that check, in minutes and seconds."),
)


def sheet_html(course: Course) -> str:
    """One A4 page that needs nothing else; what the learner and the instructor wrote is escaped."""
    rows = (html.row(_cells(number, one), 1) for number, one in enumerate(course.attempts, start=1))
    parts = [
        f"<h1>{escape(course.lesson.title)}</h1>",
        f"<p>Learner: <b>{escape(course.learner) or '________________'}</b></p>",
        f'<p class="quiet">{escape(course.begun.strftime("%Y-%m-%d %H:%M"))}</p>',
        _facts(course),
        html.section("Cases", html.table(_COLUMNS, rows, 1)),
        _remarks(course),
        html.section("What the numbers mean", html.definition_list(_DEFINITIONS)),
        '<p class="quiet">For teaching; not a medical device.</p>',
    ]
    return html.document(f"{course.lesson.title}: {course.learner or 'score sheet'}", parts)


def sheet_csv(course: Course) -> str:
    """One row a case, numbers in full; a case without a check has none."""
    text = io.StringIO()
    names = (
        "learner", "case", "title", "dice", "first_dice", "hd95_mm", "volume_ml", "reference_volume_ml", "missed_ml",
        "extra_ml", "lesions_found", "lesions_missed", "lesions_extra", "checks", "hints", "seconds", "passed",
    )  # fmt: skip
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for number, one in enumerate(course.attempts, start=1):
        row: dict[str, object] = {"learner": _harmless(course.learner), "case": number}
        row |= {"title": _harmless(one.case.title), "checks": len(one.counted)}
        if one.result is not None:
            score = one.result.score
            row |= {name: getattr(score, name) for name in names if hasattr(score, name)}
            row |= {"first_dice": one.counted[0].score.dice, "hints": one.result.hints}
            row |= {"seconds": round(one.result.seconds, 1), "passed": "" if one.passed is None else one.passed}
        writer.writerow(row)
    return text.getvalue()


def time_text(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _cells(number: int, attempt: Attempt) -> tuple[str, ...]:
    name, result = f"{number}. {attempt.case.title}", attempt.result
    if result is None:
        return (name, *["–"] * 8, "0", str(len(attempt.hints)), time_text(attempt.seconds), "–")
    score, lesions = result.score, result.score.lesions_found + result.score.lesions_missed
    return (
        name,
        f"{score.dice:.2f}",
        f"{attempt.counted[0].score.dice:.2f}",
        score.hd95_text,
        f"{score.volume_ml:.1f}",
        f"{score.reference_volume_ml:.1f}",
        f"{score.missed_ml:.1f}",
        f"{score.extra_ml:.1f}",
        f"{score.lesions_found} of {lesions}" + (f", {score.lesions_extra} too many" if score.lesions_extra else ""),
        str(len(attempt.counted)),
        str(result.hints),
        time_text(result.seconds),
        {None: "–", True: "yes", False: "no"}[attempt.passed],
    )


def _facts(course: Course) -> str:
    scores = [one.result.score for one in course.attempts if one.result is not None]
    marked = [one.passed for one in course.attempts if one.case.passing != PassingMarks()]
    facts = [("Cases checked", f"{len(scores)} of {len(course.attempts)}")]
    if scores:
        facts.append(("Mean Dice", f"{sum(one.dice for one in scores) / len(scores):.2f}"))
    if marked:
        facts.append(("Passed", f"{sum(one is True for one in marked)} of {len(marked)}"))
    facts.append(("Time", time_text(sum(one.seconds for one in course.attempts))))
    return (
        '<div class="facts">'
        + "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in facts)
        + ("</div>")
    )


def _remarks(course: Course) -> str:
    lines = [
        f"<dt>{number}. {escape(one.case.title)}</dt><dd>{escape(' '.join(sentences))}</dd>"
        for number, one in enumerate(course.attempts, start=1)
        if one.result is not None and (sentences := one.result.score.shortcomings(one.case.passing))
    ]
    return html.section("Not reached", f"<dl>{''.join(lines)}</dl>") if lines else ""


def _harmless(text: str) -> str:
    """A spreadsheet takes text that begins like a formula for one."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
