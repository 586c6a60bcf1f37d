"""The Teaching section: a case to draw, Check, hints, what is revealed, and the score sheet at the end."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from petctfusion.teaching import Attempt, Check, PassingMarks
from petctfusion.teaching.sheet import sheet_csv, sheet_html, time_text
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.agreement_overlay import BOTH, COLOURS, REFERENCE_ALONE, SEGMENTATION_ALONE
from PETCTFusionSegLib.mrml.maps import mapText, shownMap
from PETCTFusionSegLib.web.editor import WebEditor
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.teaching import NETWORK, REFERENCE, Teaching

from .edit_brush import BrushControls
from .teaching_sliders import SliderControls

_LONGEST_NAME = 80


class TeachingSection(Section):
    """One learner's lesson. The truth is in the page only as numbers, and only after Check."""

    name = "teaching"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self.teaching = Teaching(bench, self._show, page.board.fit)
        assert isinstance(bench.editor, WebEditor)
        self.brush = BrushControls(bench.editor, page, lambda: None)
        self.sliders = SliderControls(self.teaching, page)
        page.state.update({f"teaching_{key}": value for key, value in _nothing().items()})
        page.state.update({f"teaching_{key}": "" for key in ("map", "learner", "sheet", "table")})
        page.state.change("teaching_map")(self._onMap)
        page.state.change("teaching_learner")(self._onLearner)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Lesson")

    def sceneOpened(self) -> None:
        """Begin the lesson."""
        self.teaching.open(self.page.lesson)

    def sceneCloses(self) -> None:
        """Let go of every node."""
        self.teaching.close()

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.teaching.close()

    def refresh(self) -> None:
        """The brush, and what stands in the way of the lesson."""
        self._show()

    # --- what the learner does

    def next(self) -> None:
        """The next case, or the end."""
        self.teaching.next()
        self._writeSheet()

    def _onMap(self, teaching_map: str, **_state: Any) -> None:
        node = self.bench.scene.GetNodeByID(teaching_map) if teaching_map else None
        if node is not shownMap(self.bench.scene):
            self.teaching.showMap(node)

    def _onLearner(self, teaching_learner: str, **_state: Any) -> None:
        if self.teaching.course is not None:
            self.teaching.course.learner = str(teaching_learner or "").strip()[:_LONGEST_NAME]
            self._writeSheet()

    def _writeSheet(self) -> None:
        """The learner's name stays in this session's folder, which goes with the session."""
        course = self.teaching.course
        if course is None or not course.finished:
            return
        files = {"score_sheet.html": sheet_html(course), "score_sheet.csv": sheet_csv(course)}
        addresses = []
        for name, text in files.items():
            path = self.page.folder / name
            path.write_text(text, encoding="utf-8")
            addresses.append(self.page.transfers.offer(path, inPage=name.endswith("html")))
        with self.page.state as state:
            state.teaching_sheet, state.teaching_table = addresses

    # --- widgets

    def build(self) -> None:
        """From the task to the end of the lesson."""
        html.Div("{{ teaching_place }}", id="teaching_place", classes="pcf-label")
        html.Div("{{ teaching_title }}", id="teaching_title", classes="text-subtitle-1")
        html.Div("{{ teaching_task }}", id="teaching_task", classes="mb-2", style="font-size: 0.9rem;")
        v3.VProgressLinear(v_show=("teaching_loading",), indeterminate=True, classes="mb-2", id="teaching_loading")
        with html.Div(v_show=("teaching_ready",)):
            with html.Div(v_show=("!teaching_finished",)):
                self.brush.build()
            self._buildHints()
            self._buildCheck()
            self._buildScore()
            self._buildReveal()
        self._buildEnd()
        self.sliders.build()

    def _buildHints(self) -> None:
        with html.Div(v_show=("teaching_hints.length",), id="teaching_hints", classes="mt-2"):
            v3.VAlert(
                "{{ hint }}",
                v_for="(hint, number) in teaching_hints",
                key="number",
                icon="mdi-lightbulb-on-outline",
                density="compact",
                variant="tonal",
                classes="mb-1",
                style="font-size: 0.85rem;",
            )

    def _buildCheck(self) -> None:
        with html.Div(classes="pcf-row my-2", v_show=("!teaching_finished",)):
            _button(_("Check"), "teaching_check", self.teaching.check, "mdi-check", "teaching_checking", "primary")
            _button(
                "{{ teaching_hint }}", "teaching_hint", self.teaching.hint, "mdi-lightbulb-outline", "!teaching_more"
            )

    def _buildScore(self) -> None:
        with html.Div(v_show=("teaching_score.length",), id="teaching_score"):
            with html.Table(classes="pcf-table"), html.Tbody(), html.Tr(v_for="row in teaching_score", key="row[0]"):
                html.Td("{{ row[0] }}", classes="pcf-name")
                html.Td("{{ row[1] }}", raw_attrs=[':data-test="`score-${row[0]}`"'])
            html.Div("{{ teaching_verdict }}", id="teaching_verdict", classes="mt-1", style="font-size: 0.9rem;")

    def _buildReveal(self) -> None:
        with html.Div(classes="pcf-row mt-2", v_show=("teaching_may.length",)):
            _toggle(_("Where it is wrong"), "errors", self.teaching.showErrors, "!teaching_may.includes('errors')")
            _toggle(_("Truth"), "reference", self.teaching.showReference, "!teaching_may.includes('reference')")
            _toggle("{{ teaching_ask }}", "network", self.teaching.showNetwork, "!teaching_may.includes('network')")
            _button(_("Worst place"), "teaching_worst", self.teaching.goToWorst, "mdi-target", "!teaching_worst")
        with html.Div(v_show=("teaching_errors",), classes="pcf-legend mt-1", id="teaching_legend"):
            for key, text in ((BOTH, _("right")), (SEGMENTATION_ALONE, _("too much")), (REFERENCE_ALONE, _("missing"))):
                with html.Span():
                    html.I(style="background: rgb({}, {}, {});".format(*COLOURS[key]))
                    html.Span(text)
        v3.VProgressLinear(v_show=("teaching_running",), model_value=("teaching_percent",), classes="mt-2")
        html.Div(
            "{{ teaching_network_score }}", id="teaching_network_score", classes="mt-1", style="font-size: 0.9rem;"
        )
        v3.VSelect(
            v_show=("teaching_maps.length > 1",),
            label=_("Where the network looked"),
            v_model=("teaching_map",),
            items=("teaching_maps",),
            density="compact",
            hide_details=True,
            classes="mt-2",
            id="teaching_map",
        )

    def _buildEnd(self) -> None:
        with html.Div(v_show=("!teaching_finished && teaching_total",), classes="pcf-row mt-3"):
            _button("{{ teaching_next }}", "teaching_next", self.next, "mdi-arrow-right", "teaching_loading")
        with html.Div(v_show=("teaching_finished",), id="teaching_end", classes="mt-3"):
            v3.VTextField(
                label=_("Your name on the sheet"),
                v_model=("teaching_learner",),
                maxlength=_LONGEST_NAME,
                density="compact",
                hide_details=True,
                id="teaching_learner",
            )
            with html.Div(classes="pcf-row mt-2"):
                for text, identifier, icon in (
                    (_("Score sheet to print"), "teaching_sheet", "mdi-printer-outline"),
                    (_("Table (CSV)"), "teaching_table", "mdi-table"),
                ):
                    v3.VBtn(text, href=(identifier,), target="_blank", prepend_icon=icon, id=identifier, size="small")
            html.Div(_("Look at a case again"), classes="pcf-label mt-3")
            with html.Div(classes="pcf-row"):
                v3.VBtn(
                    "{{ number }}",
                    v_for="number in teaching_total",
                    key="number",
                    click=(self.teaching.lookBack, "[number - 1]"),
                    active=("number === teaching_number",),
                    size="small",
                    raw_attrs=[':data-test="`case-${number}`"'],
                )

    # --- what is shown

    def _show(self) -> None:
        teaching, course = self.teaching, self.teaching.course
        values = _nothing()
        if course is not None:
            values |= self._values(course.attempt)
            values |= {
                "place": _("{lesson}: case {number} of {total}").format(
                    lesson=course.lesson.title, number=course.number + 1, total=len(course.attempts)
                ),
                "title": course.case.title,
                "task": course.case.task,
                "total": len(course.attempts),
                "number": course.number + 1,
                "finished": course.finished,
                "loading": teaching.preparing,
                "next": _("Finish") if course.last else _("Next case"),
            }
        with self.page.state as state:
            state.update({f"teaching_{key}": value for key, value in values.items()})
            shown = shownMap(self.bench.scene)
            state.teaching_map = shown.GetID() if shown is not None else ""
            self.brush.show()
            self.sliders.show()

    def _values(self, attempt: Attempt) -> dict[str, Any]:
        teaching = self.teaching
        maps = [{"value": "", "title": _("Nothing")}] if teaching.may("attention") else []
        if maps:
            maps += [{"value": node.GetID(), "title": mapText(node)} for node in teaching.scene.maps()]
        return {
            "ready": teaching.ready,
            "hints": [one.text for one in attempt.hints],
            "hint": _("Hint ({taken} of {all})").format(taken=len(attempt.hints), all=len(attempt.case.hints)),
            "more": attempt.checks_to_hint is not None,
            "checking": teaching.checking,
            "score": _scoreRows(_shownCheck(attempt)),
            "verdict": _verdict(attempt, teaching.changed),
            "may": [what for what in ("errors", "reference", "network") if teaching.may(what)],
            "worst": teaching.may("errors") and teaching.score is not None and teaching.score.worst is not None,
            "errors": teaching.scene.errorsShown,
            "reference": teaching.scene.shows(REFERENCE),
            "network": teaching.scene.shows(NETWORK),
            "ask": _("Cancel") if teaching.running else _("Network"),
            "running": teaching.running,
            "percent": round(100 * teaching.fraction),
            "network_score": self._networkText(),
            "maps": maps,
        }

    def _networkText(self) -> str:
        score = self.teaching.networkScore
        if score is None:
            return ""
        text = _("The network: Dice {dice}, HD95 {hd95}, {missed} ml missed, {extra} ml too much.")
        return text.format(
            dice=f"{score.dice:.2f}",
            hd95=score.hd95_text,
            missed=f"{score.missed_ml:.1f}",
            extra=f"{score.extra_ml:.1f}",
        )


def _nothing() -> dict[str, Any]:
    """What a page without a case shows."""
    texts = dict.fromkeys(("place", "title", "task", "hint", "verdict", "ask", "network_score", "next"), "")
    lists: dict[str, Any] = {key: [] for key in ("hints", "score", "may", "maps")}
    flags = ("loading", "ready", "finished", "more", "worst", "errors", "reference", "network", "running", "checking")
    return {**texts, **lists, **dict.fromkeys(flags, False), "percent": 0, "total": 0, "number": 0}


def _shownCheck(attempt: Attempt) -> Check | None:
    """The last one; when the lesson is over, the one that counted."""
    if attempt.finished:
        return attempt.result
    return attempt.checks[-1] if attempt.checks else None


def _scoreRows(last: Check | None) -> list[list[str]]:
    if last is None:
        return []
    score, lesions = last.score, last.score.lesions_found + last.score.lesions_missed
    found = _("{found} of {all}").format(found=score.lesions_found, all=lesions)
    return [
        [_("Dice"), f"{score.dice:.3f}"],
        [_("HD95"), score.hd95_text],
        [_("Missed"), f"{score.missed_ml:.1f} ml"],
        [_("Too much"), f"{score.extra_ml:.1f} ml"],
        [_("Tumors found"), found + (f" (+{score.lesions_extra})" if score.lesions_extra else "")],
        [_("Time"), time_text(last.seconds)],
    ]


def _verdict(attempt: Attempt, changed: bool) -> str:
    last = _shownCheck(attempt)
    if last is None:
        return ""
    sentences = list(last.score.shortcomings(attempt.case.passing))
    if attempt.case.passing != PassingMarks() and not sentences:
        sentences = [_("Passed.")]
    if not last.counts:
        sentences.append(_("The truth was shown before: this check does not count."))
    if changed:
        sentences.append(_("The drawing was changed since."))
    return " ".join(sentences)


def _button(text: str, identifier: str, click: Any, icon: str, disabled: str, color: str | None = None) -> None:
    v3.VBtn(text, id=identifier, click=click, prepend_icon=icon, disabled=(disabled,), size="small", color=color)


def _toggle(text: str, key: str, click: Any, disabled: str) -> None:
    v3.VBtn(
        text,
        id=f"teaching_{key}",
        click=click,
        active=(f"teaching_{key}",),
        color=(f"teaching_{key} ? 'primary' : undefined",),
        disabled=(disabled,),
        size="small",
    )
