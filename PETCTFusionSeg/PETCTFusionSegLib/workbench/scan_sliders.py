"""Resolution, noise and breathing under sliders: the patient is scanned anew, and a threshold draws a contour on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import SimpleITK as sitk

from petctfusion.phantom.rescan import Conditions, Scan
from petctfusion.teaching import CaseMaterial, Score, score_drawing
from petctfusion.teaching.cases import truth_of
from petctfusion.teaching.threshold import USUAL_SHARE, threshold_contour
from PETCTFusionSegLib.i18n import _

from .background import Background
from .bench import Workbench
from .lesson_scene import THRESHOLD_RGB, LessonScene

_SCAN = "scan"
_CONTOUR = "threshold"


@dataclass(frozen=True)
class Outcome:
    """A scan and what a threshold draws on it: `score` against the truth of the case; `moving` against everywhere the
    lesions go in this scan, where that is something else."""

    scan: Scan
    contour: sitk.Image
    score: Score
    moving: Score | None


class ScanSliders:
    """For cases whose patient is simulated. `shown` is called when an answer has come."""

    def __init__(self, bench: Workbench, scene: LessonScene, background: Background, shown: Callable[[], None]) -> None:
        self._bench, self._scene, self._background, self._shown = bench, scene, background, shown
        self._material: CaseMaterial | None = None
        self._usual = Conditions()
        self.conditions = Conditions()
        self.share = USUAL_SHARE
        """Of the maximum: where the threshold's contour lies."""
        self.drawn = False
        """Whether that contour is shown."""
        self.outcome: Outcome | None = None

    @property
    def available(self) -> bool:
        """False for patients in files, who cannot be scanned again."""
        return self._material is not None and self._material.patient is not None

    @property
    def breathes(self) -> bool:
        """Whether breathing moves anything that is looked at."""
        patient = self._material.patient if self._material is not None else None
        return patient is not None and patient.breathes

    @property
    def usual(self) -> bool:
        """Whether the scan is the one that the learner draws on."""
        return self.conditions == self._usual

    def begin(self, material: CaseMaterial, conditions: Conditions | None) -> None:
        """Another case, scanned under these conditions."""
        self.end()
        self._material = material
        self._usual = self.conditions = conditions or Conditions()

    def end(self) -> None:
        """The case goes, and its contour with it."""
        self._material, self.outcome, self.drawn, self.share = None, None, False, USUAL_SHARE

    def change(self, **conditions: float) -> None:
        """Scan with other conditions (fields of `Conditions`)."""
        self.conditions = replace(self.conditions, **conditions)
        self._update()

    def reset(self) -> None:
        """The scan that the learner draws on."""
        self.conditions = self._usual
        self._update()

    def setShare(self, share: float) -> None:
        """Draw the threshold's contour at another share of the maximum."""
        self.share = share
        self._update()

    def draw(self, drawn: bool) -> None:
        """Show the threshold's contour, or not."""
        self.drawn = drawn
        self._update()

    @property
    def text(self) -> str:
        """What the threshold draws, in numbers."""
        found = self.outcome
        if found is None or not self.drawn:
            return ""
        text = _("{ml} ml (truth {truth} ml), Dice {dice}").format(
            ml=f"{found.score.volume_ml:.1f}", truth=f"{found.score.reference_volume_ml:.1f}",
            dice=f"{found.score.dice:.2f}",
        )  # fmt: skip
        if found.moving is not None:
            everywhere = _("; with everywhere the tumor goes now ({truth} ml) {dice}")
            text += everywhere.format(truth=f"{found.moving.reference_volume_ml:.1f}", dice=f"{found.moving.dice:.2f}")
        return text

    @property
    def motionText(self) -> str:
        """How far the tumor goes."""
        if not self.breathes:
            return _("Breathing does not move this tumor.")
        if self.outcome is None or self.outcome.scan.motion_mm == 0:
            return ""
        return _("The tumor moves by {mm} mm.").format(mm=f"{self.outcome.scan.motion_mm:.0f}")

    def _update(self) -> None:
        if self._material is None or self._material.patient is None:
            return
        work = partial(_scanned, self._material, self.conditions, self.share)
        self._background.ask(_SCAN, work, self._onScan, self._onError)
        self._shown()

    def _onScan(self, outcome: Outcome) -> None:
        if self._material is None:
            return
        self.outcome = outcome
        self._scene.showScan(outcome.scan)
        contour = outcome.contour if self.drawn else None
        self._scene.showContour(_CONTOUR, contour, _("Threshold"), THRESHOLD_RGB)
        self._shown()

    def _onError(self, error: Exception) -> None:
        self._bench.fail(error)
        self._shown()


def _scanned(material: CaseMaterial, conditions: Conditions, share: float) -> Outcome:
    patient = material.patient
    assert patient is not None
    scan = patient.scan(conditions)
    contour = threshold_contour(scan.pet, patient.lesion_ids, share)
    now = truth_of(patient, scan)
    differs = bool((sitk.GetArrayViewFromImage(now) != sitk.GetArrayViewFromImage(material.reference)).any())
    moving = score_drawing(contour, now) if differs else None
    return Outcome(scan, contour, score_drawing(contour, material.reference), moving)
