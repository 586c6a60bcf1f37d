"""What is known of the chosen volumes: the PET's units, and whether they can be segmented together."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from petctfusion.volumes import Finding, Verdict
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live_events import EditObserver
from PETCTFusionSegLib.mrml.reference_segment import (
    chooseReferenceSegment,
    chosenReferenceSegment,
    referenceSegment,
    segmentChoices,
)
from PETCTFusionSegLib.mrml.study_verdict import studyVerdict

from . import inputs
from .bench import Workbench

ROLES = ("ct", "pet", "extra", "reference")
UNITS = (None, "SUVbw", "BQML")
"""What a user can say about a PET whose units are unknown; None takes it back."""
# A stroke on the reference, or a transform that is dragged, fires many events.
_LOOK_AGAIN_MS = 200
# Glyph and colour (Okabe and Ito's, told apart by everybody); the words beside them say the same.
_MARKS = {
    "ready": ("\u2714", "#009e73"),
    "will_resample": ("\u21bb", "#56b4e9"),
    "refused": ("\u2716", "#d55e00"),
    "known": ("\u2714", "#009e73"),
    "ask": ("?", "#e69f00"),
    "waiting": ("\u2026", "#888888"),
}


class StudyCheck:
    """Keeps `bench.units` and `bench.verdict` true to the chosen nodes, also while these are drawn on or moved."""

    def __init__(self, bench: Workbench, show: Callable[[], None]) -> None:
        """`show` is called whenever there may be something else to show."""
        self._bench, self._show = bench, show
        self._watched: tuple[Any, ...] = ()
        self._timer = bench.makeTimer(_LOOK_AGAIN_MS, True, self._lookAgain)
        self._observer = EditObserver(self._onNodeEvent)

    def choose(self, **nodes: Any) -> None:
        """Make these nodes (or None) the study's, by role."""
        for role, node in nodes.items():
            setattr(self._bench.study, role, node)
        self._bench.changed()

    def declareUnits(self, units: str | None) -> None:
        """Keep what the user says about the PET's units."""
        if self._bench.study.pet is not None:
            inputs.declareUnits(self._bench.study.pet, units)
            self._bench.changed()

    def chooseSegment(self, segmentId: str) -> None:
        """Compare with this segment of the reference; empty for the one of the same name, else all joined."""
        if self._bench.study.reference is not None and segmentId != chosenReferenceSegment(self._bench.study.reference):
            chooseReferenceSegment(self._bench.study.reference, segmentId)
            self._bench.changed()

    @property
    def segments(self) -> dict[str, str]:
        """What can be meant of the reference, by id; empty where there is nothing to choose."""
        choices = segmentChoices(self._bench.study.reference)
        return {"": _("The one of the same name, else all"), **choices} if choices else {}

    @property
    def segment(self) -> str:
        """What is meant."""
        return referenceSegment(self._bench.study.reference)

    @property
    def declaredUnits(self) -> str | None:
        """What the user said."""
        return inputs.declaredUnits(self._bench.study.pet)

    @property
    def asksForUnits(self) -> bool:
        """True when the user has to say what the PET's units are, or did so."""
        units = self._bench.units
        return units is not None and (self.declaredUnits is not None or units.state == "ask")

    def refresh(self) -> None:
        """Look at the nodes chosen now, and watch these."""
        nodes = tuple(getattr(self._bench.study, role) for role in ROLES)
        if nodes != self._watched:
            self._watched = nodes
            self._observer.watch(self._bench.scene, *nodes)
        self._look()

    def close(self) -> None:
        """No observer stays at a node that goes."""
        self._timer.stop()
        self._observer.stop()
        self._watched = ()
        self._bench.verdict = self._bench.units = None

    def _onNodeEvent(self) -> None:
        # Not started anew by every event, or a long drag would never show anything.
        if not self._timer.isActive():
            self._timer.start()

    def _lookAgain(self) -> None:
        before = self._bench.verdict, self._bench.units
        if self._bench.sceneOpen:
            self._look()
        if (self._bench.verdict, self._bench.units) != before:
            self._bench.changed()

    def _look(self) -> None:
        study, bench = self._bench.study, self._bench
        bench.units = inputs.unitsBadge(study.pet) if study.pet is not None else None
        missing = study.ct is None or study.pet is None
        bench.verdict = None if missing else studyVerdict(study.ct, study.pet, study.extra, study.reference)
        self._show()


def unitsHtml(badge: inputs.UnitsBadge | None) -> str:
    """The PET's units with their evidence; empty without a PET."""
    return marked(badge.state, badge.text) if badge is not None else ""


def verdictHtml(verdict: Verdict | None) -> str:
    """The verdict as one marked sentence, and what else was noticed below it."""
    if verdict is None:
        return marked("waiting", _("Choose a CT and a PET: whether they fit together is said here."))
    first = {"ready": _("Ready."), "will_resample": _("Will be resampled."), "refused": _("Cannot be segmented.")}
    severity = {"ready": "", "will_resample": "resample", "refused": "refuse"}[verdict.status]
    reasons = [_sentence(finding) for finding in verdict.findings if finding.severity == severity]
    notes = [_sentence(finding) for finding in verdict.findings if finding.severity == "note"]
    lines = [marked(verdict.status, " ".join([first[verdict.status], *reasons])), *map(escape, notes)]
    return "<br>".join(lines)


def marked(state: str, text: str) -> str:
    """A text behind the glyph of its state, as rich text."""
    glyph, colour = _MARKS[state]
    return f'<span style="color:{colour}; font-weight:bold">{glyph}</span> {escape(text)}'


def _sentence(finding: Finding) -> str:
    return f"{finding.message} {finding.hint}".strip()
