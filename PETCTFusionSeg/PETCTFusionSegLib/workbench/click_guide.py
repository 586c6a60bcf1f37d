"""The network that answers a click: that of the result, where its model takes clicks and its study is still there."""

from __future__ import annotations

from petctfusion.inference.clicks import REACH_MM
from petctfusion.inference.guidance import click_context_mm
from petctfusion.models import ModelCard
from PETCTFusionSegLib.mrml.transforms import Matrix

from .local_study import contextMm, studyAround
from .parameters import StudyParameters
from .results import StudyOutcome
from .runner import Guide


def clickGuide(study: StudyParameters, outcome: StudyOutcome, place: Matrix) -> Guide | None:
    """The guide for a click at an LPS point (1, 3); None where constraints on the probability answer it.

    Raises `BadInputError` when the study cannot be used there.
    """
    card = _clickCard(outcome)
    if card is None or study.ct is None or study.pet is None:
        return None
    margin = contextMm(outcome.model) + 2 * max(card.spacing_mm)
    return Guide(outcome.model, studyAround(study.ct, study.pet, study.extra, place, margin).volumes)


def sentMm(outcome: StudyOutcome) -> float:
    """How much of the segment around a click travels: what it can change, and what a network looks at."""
    card = _clickCard(outcome)
    return REACH_MM if card is None else max(REACH_MM, click_context_mm(card.patch, card.spacing_mm))


def _clickCard(outcome: StudyOutcome) -> ModelCard | None:
    card = outcome.model.card
    return card if isinstance(card, ModelCard) and card.clicks is not None else None
