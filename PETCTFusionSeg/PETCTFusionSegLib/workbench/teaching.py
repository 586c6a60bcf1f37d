"""A lesson under way: cases made ready, drawings checked, hints, and what is revealed when it may be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import CancelledError, FusionError
from petctfusion.models import InstalledModel, default_model, find_model
from petctfusion.teaching import CaseMaterial, Course, Lesson, Score, prepare_case, read_lesson, score_drawing
from petctfusion.teaching.attempt import Attempt
from petctfusion.teaching.lesson import NEVER, PhantomCase
from PETCTFusionSegLib.i18n import _

from .background import Background
from .bench import Workbench
from .inputs import StudyImages
from .lesson_scene import NETWORK_RGB, TRUTH_RGB, LessonScene
from .progress import Progress, progressText
from .runner import Listener, RunResult
from .scan_sliders import ScanSliders

_PREPARE, _CHECK, _NETWORK = "prepare", "check", "network"
REFERENCE, NETWORK = "reference", "network"


class Teaching:
    """Follows one learner."""

    def __init__(self, bench: Workbench, shown: Callable[[], None], opened: Callable[[], None]) -> None:
        """`shown` is called when anything a page shows has changed, `opened` when a case has come into the views."""
        self.bench = bench
        self._shown = shown
        self._opened = opened
        self.background = Background(bench.makeTimer)
        self.scene = LessonScene(bench, self._onDrawn)
        self.course: Course | None = None
        self.material: CaseMaterial | None = None
        self.score: Score | None = None
        """Of the drawing as it is; None before a check, and when it was changed after it."""
        self.changed = False
        """Whether the drawing was changed after its last check."""
        self.networkScore: Score | None = None
        self.fraction = 0.0
        """How far the network is, 0 to 1."""
        self._network: sitk.Image | None = None
        self._running = False
        self._checked = ""
        self.sliders = ScanSliders(bench, self.scene, self.background, shown)

    @property
    def attempt(self) -> Attempt | None:
        """At the present case."""
        return self.course.attempt if self.course is not None else None

    @property
    def ready(self) -> bool:
        """Whether the present case can be drawn on."""
        return self.material is not None

    @property
    def preparing(self) -> bool:
        """True while a case is simulated or read."""
        return self.background.busy(_PREPARE)

    @property
    def running(self) -> bool:
        """True while the network is asked."""
        return self._running

    @property
    def checking(self) -> bool:
        """True while a drawing is scored."""
        return self.background.busy(_CHECK)

    def may(self, what: str) -> bool:
        """Whether a field of `ShownWhen` may be shown now."""
        return self.ready and self.attempt is not None and self.attempt.may_show(what)

    # --- the lesson

    def open(self, path: Path | None) -> None:
        """Read the instructor's file (None: the package's) and begin; what is wrong with it becomes a sentence."""
        self._ask("lesson", partial(_readable, path), self._begin)

    def _begin(self, lesson: Lesson) -> None:
        self.course = Course(lesson)
        self.bench.say(lesson.about)
        self._prepare()

    def next(self) -> None:
        """The next case; after the last one the lesson is finished."""
        if self.course is None or self.course.finished:
            return
        self.course.next()
        if not self.course.finished:
            self.bench.say("")
            self._prepare()
        else:
            self.bench.say(_("The lesson is finished. Print the score sheet, or look at a case again."))
        self._shown()

    def lookBack(self, number: int) -> None:
        """Show a case again, with what was drawn, once the lesson is finished."""
        if self.course is not None and self.course.finished:
            self.course.look_back(number)
            self._prepare()

    def _prepare(self) -> None:
        assert self.course is not None
        self._letGo()
        self._ask(_PREPARE, partial(prepare_case, self.course.case), self._onPrepared)
        self._shown()

    def _onPrepared(self, material: CaseMaterial) -> None:
        course = self.course
        assert course is not None
        self.material = material
        source = course.case.source
        self.sliders.begin(material, source.conditions if isinstance(source, PhantomCase) else None)
        name = _("Case {number}").format(number=course.number + 1)
        self.scene.open(material, name, course.attempt.drawing if course.finished else None)
        result = course.attempt.result
        if not course.finished:
            course.attempt.begin()
        elif result is not None:
            self.score, self._checked = result.score, self.scene.content()
        self._opened()
        self.bench.changed()
        self._shown()

    # --- what the learner does

    def check(self) -> None:
        """Score what is drawn."""
        if self.material is None or self.checking:
            return
        drawing, self._checked = self.scene.drawn(), self.scene.content()
        self._ask(_CHECK, partial(score_drawing, drawing, self.material.reference), partial(self._onScore, drawing))

    def _onScore(self, drawing: sitk.Image, score: Score) -> None:
        attempt, material = self.attempt, self.material
        if attempt is None or material is None:
            return
        attempt.check(score, drawing)
        self.score, self.changed = score, False
        if attempt.may_show("errors"):
            self.showErrors()
            self.goToWorst()
        self._shown()

    def hint(self) -> None:
        """The next hint, or why there is none now."""
        if self.attempt is None:
            return
        if self.attempt.next_hint() is None:
            waits = self.attempt.checks_to_hint
            if waits is None:
                self.bench.say(_("There is no further hint."))
            else:
                self.bench.say(_("The next hint comes after {count} more check(s).").format(count=waits))
        self._shown()

    def showErrors(self) -> None:
        """Mark where the drawing is right and where not; again: no more. Also a change of the drawing ends it."""
        if self.scene.errorsShown:
            self.scene.hideErrors()
        elif self.may("errors") and self.score is not None and self.material is not None:
            self._try(partial(self.scene.showErrors, self.material.reference))
        self._shown()

    def goToWorst(self) -> None:
        """Center the views where the drawing was farthest from the truth at the last check."""
        worst = self.score.worst if self.score is not None else None
        if self.may("errors") and worst is not None:
            self.scene.goTo(worst.point)
            near = {
                "drawing": _("The drawing is {mm} mm from the truth here."),
                "reference": _("The truth is {mm} mm from the drawing here."),
            }
            self.bench.say(near[worst.on].format(mm=f"{worst.distance_mm:.0f}"))

    def showReference(self) -> None:
        """The truth as an outline; from then on drawings do not count. Again: no more outline."""
        if self.scene.shows(REFERENCE):
            self.scene.showContour(REFERENCE, None)
        elif self.may("reference") and self.material is not None and self.attempt is not None:
            self.attempt.reveal()
            self.scene.showContour(REFERENCE, self.material.reference, _("Truth"), TRUTH_RGB)
        self._shown()

    def _onDrawn(self) -> None:
        """Errors are those of the drawing that was checked: marks that follow the brush would draw for the learner."""
        if self.score is not None and self.scene.content() != self._checked:
            self.score, self.changed = None, True
            self.scene.hideErrors()
            self._shown()

    # --- the network

    def showNetwork(self) -> None:
        """What a network draws on this case, which is asked the first time; again: no more outline."""
        if self._running:
            self.bench.say(_("Stopping..."))
            self.bench.runner.cancel()
        elif self.scene.shows(NETWORK):
            self.scene.showContour(NETWORK, None)
        elif self._network is not None:
            self.scene.showContour(NETWORK, self._network, _("Network"), NETWORK_RGB)
        elif self.may("network"):
            self._try(self._run)
        self._shown()

    def showMap(self, node: Any) -> None:
        """Lay what the network looked at over the slices; None gives the PET back."""
        if node is None or self.may("attention"):
            self.scene.showMap(node)
        self._shown()

    def _run(self) -> None:
        material, course = self.material, self.course
        if material is None or course is None:
            return
        model = _model(course.case.model)
        images = StudyImages(material.ct, material.pet, "SUVbw", ())
        listener = Listener(partial(self._onNetwork, material), self._onNetworkError, self._onProgress)
        wantsMaps = course.case.show.attention != NEVER
        runner, machine = self.bench.runner, self.bench.readMachine()
        self.bench.say(_("Preparing...") if runner.warm else _("Starting the worker..."))
        runner.run(lambda: images, model, machine, listener, model.card.threshold, maps=wantsMaps)
        self._running, self.fraction = True, 0.0

    def _onProgress(self, progress: Progress) -> None:
        self.fraction = progress.fraction
        self.bench.say(progressText(progress))
        self._shown()

    def _onNetwork(self, material: CaseMaterial, result: RunResult) -> None:
        self._running = False
        if material is self.material:
            self._network = sitk.Cast(result.labels != 0, sitk.sitkUInt8)
            self.scene.addMaps(result.maps)
            self.showNetwork()
            self._ask(_NETWORK, partial(score_drawing, self._network, material.reference), self._onNetworkScore)
            self.bench.say(" ".join([_("This is what the network draws."), *result.notes]))
        self._shown()

    def _onNetworkScore(self, score: Score) -> None:
        self.networkScore = score
        self._shown()

    def _onNetworkError(self, error: BaseException) -> None:
        self._running = False
        if isinstance(error, CancelledError):
            self.bench.say(_("Cancelled."))
        else:
            self.bench.fail(error)
        self._shown()

    # --- the end

    def close(self) -> None:
        """The scene is closed or the session ends."""
        self._letGo()
        self.background.close()
        self.scene.close()

    def _letGo(self) -> None:
        """Nothing of the last case is waited for."""
        self.background.forget()
        if self._running:
            self.bench.runner.cancel()
        self.sliders.end()
        self.material = self.score = self.networkScore = self._network = None
        self.fraction, self.changed = 0.0, False

    def _ask(self, key: str, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def failed(error: Exception) -> None:
            self.bench.fail(error)
            self._shown()

        self.background.ask(key, work, done, failed)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except FusionError as error:
            self.bench.fail(error)


def _readable(path: Path | None) -> Lesson:
    """The lesson; also its networks have to be installed."""
    lesson = read_lesson(path)
    for case in lesson.cases:
        if case.show.network != NEVER:
            _model(case.model)
    return lesson


def _model(name: str) -> InstalledModel:
    return find_model(name) if name else default_model()
