"""The Study section: which volumes, in which units, whether they can be segmented, and what to compare with."""

from __future__ import annotations

from html import escape
from typing import Any

from petctfusion.volumes import Finding, Verdict
from PETCTFusionSegLib.desktop import inputs
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live_events import EditObserver
from PETCTFusionSegLib.mrml.study_verdict import studyVerdict

_UNITS = (None, "SUVbw", "BQML")
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


class StudySection(Section):
    """CT, PET and its units, an additional volume, the reference, and the verdict on them."""

    name = "Study"

    def __init__(self, bench: Workbench, ui: Any) -> None:

        super().__init__(bench, ui)
        self._filling = False
        self._watched: tuple[Any, ...] = ()
        self._timer = makeTimer(_LOOK_AGAIN_MS, True, self._lookAgain)
        self._observer = EditObserver(self._onNodeEvent)
        self._selectors = {
            "ct": ui.ctSelector,
            "pet": ui.petSelector,
            "extra": ui.extraSelector,
            "reference": ui.referenceSelector,
        }
        ui.petUnitsSelector.connect("currentIndexChanged(int)", self._onUnitsChosen)
        for selector in self._selectors.values():
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChosen)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Study")

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self._filling = True
        for name, selector in self._selectors.items():
            selector.setCurrentNode(getattr(self.bench.study, name))
        self._filling = False

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._timer.stop()
        self._observer.stop()
        self._watched = ()
        self.bench.verdict = self.bench.units = None

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.sceneCloses()

    def refresh(self) -> None:
        """Show units and verdict of the nodes chosen now, and watch these."""
        self._watch()
        self._look()
        for name in ("ct", "pet", "extra"):
            self._selectors[name].enabled = not self.bench.runner.busy
        self.ui.petUnitsSelector.enabled = not self.bench.runner.busy

    def _onChosen(self) -> None:
        if self._filling or not self.bench.sceneOpen:
            return
        for name, selector in self._selectors.items():
            setattr(self.bench.study, name, selector.currentNode())
        self.bench.changed()

    def _onUnitsChosen(self, index: int) -> None:
        if self.bench.study.pet is not None and not self._filling:
            inputs.declareUnits(self.bench.study.pet, _UNITS[index])
            self.bench.changed()

    def _watch(self) -> None:
        nodes = tuple(getattr(self.bench.study, name) for name in self._selectors)
        if nodes != self._watched:
            self._watched = nodes
            self._observer.watch(self.bench.scene, *nodes)

    def _onNodeEvent(self) -> None:
        # Not started anew by every event, or a long drag would never show anything.
        if not self._timer.isActive():
            self._timer.start()

    def _lookAgain(self) -> None:
        before = self.bench.verdict, self.bench.units
        if self.bench.sceneOpen:
            self._look()
        if (self.bench.verdict, self.bench.units) != before:
            self.bench.changed()

    def _look(self) -> None:
        study, bench = self.bench.study, self.bench
        bench.units = inputs.unitsBadge(study.pet) if study.pet is not None else None
        missing = study.ct is None or study.pet is None
        bench.verdict = None if missing else studyVerdict(study.ct, study.pet, study.extra, study.reference)
        self._showUnits(bench.units)
        self.ui.verdictLabel.text = verdictHtml(bench.verdict)

    def _showUnits(self, badge: inputs.UnitsBadge | None) -> None:
        ui = self.ui
        ui.petUnitsFrame.visible = badge is not None
        ui.label_petUnits.visible = badge is not None
        if badge is None:
            return
        declared = inputs.declaredUnits(self.bench.study.pet)
        ui.petUnitsBadge.text = marked(badge.state, badge.text)
        ui.petUnitsSelector.visible = declared is not None or badge.state == "ask"
        self._filling = True
        ui.petUnitsSelector.currentIndex = _UNITS.index(declared) if declared in _UNITS else 0
        self._filling = False


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
