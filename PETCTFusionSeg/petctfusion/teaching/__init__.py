"""Lessons in contouring: an instructor's file, cases with a known truth, attempts, scores and the sheet at the end."""

from petctfusion.teaching.attempt import Attempt, Check
from petctfusion.teaching.cases import CaseMaterial, prepare_case
from petctfusion.teaching.course import Course
from petctfusion.teaching.lesson import Case, Hint, Lesson, PassingMarks, ShownWhen
from petctfusion.teaching.lesson_file import read_lesson
from petctfusion.teaching.scoring import Score, score_drawing

__all__ = [
    "Attempt",
    "Case",
    "CaseMaterial",
    "Check",
    "Course",
    "Hint",
    "Lesson",
    "PassingMarks",
    "Score",
    "ShownWhen",
    "prepare_case",
    "read_lesson",
    "score_drawing",
]
