"""The Segment section: which model, where to, Apply that turns into Cancel, and how far the run is."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from petctfusion.models import InstalledModel
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.section import PageContext, Section, nodeOfClass
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.model_card import cardHtml
from PETCTFusionSegLib.workbench.model_choice import ModelChoice, deviceChoices
from PETCTFusionSegLib.workbench.segmenting import Segmenting

_NEW = ""


class SegmentSection(Section):
    """The widgets of a run."""

    name = "segment"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self.choice = ModelChoice()
        self.segmenting = Segmenting(bench, self._showProgress)
        self._cardOf: InstalledModel | None = None
        page.state.update(
            {
                "segment_models": [
                    {"value": model.reference, "title": model.card.title} for model in self.choice.models
                ],
                "segment_model": self.choice.reference,
                "segment_outputs": [],
                "segment_output": _NEW,
                "segment_threshold": 0.5,
                "segment_busy": False,
                "segment_button": _("Apply"),
                "segment_why": "",
                "segment_percent": 0,
                "segment_elapsed": "",
                "segment_card": "",
                "segment_note": "",
            }
        )
        self.showDevices([])
        page.state.change("segment_model")(self._onModel)
        page.state.change("segment_output")(self._onOutput)
        page.state.change("segment_device")(self._onDevice)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Segment")

    def build(self) -> None:
        """Model with its card, device, threshold, target; the one button, and how far the run is."""
        common = {"density": "compact", "hide_details": True, "disabled": ("segment_busy",), "classes": "mb-2"}
        v3.VSelect(
            label=_("Model"), v_model=("segment_model",), items=("segment_models",), id="segment_model", **common
        )
        with html.Details(id="segment_card_details", classes="mb-2"):
            html.Summary(_("What this model is, and how well it did"), style="cursor: pointer; font-size: 0.85rem;")
            html.Div(v_html=("segment_card",), id="segment_card", style="font-size: 0.85rem;", classes="pt-1")
        html.Div("{{ segment_note }}", v_show=("segment_note",), id="segment_note", classes="section-waits mb-2")
        with html.Div(classes="d-flex ga-2"):
            v3.VSelect(
                label=_("Device"),
                v_model=("segment_device",),
                items=("segment_devices",),
                id="segment_device",
                **common,
            )
            v3.VTextField(
                label=_("Threshold"),
                v_model_number=("segment_threshold",),
                type="number",
                min=0.01,
                max=0.99,
                step=0.01,
                id="segment_threshold",
                style="max-width: 110px;",
                **common,
            )
        v3.VSelect(
            label=_("Result goes to"),
            v_model=("segment_output",),
            items=("segment_outputs",),
            id="segment_output",
            **common,
        )
        v3.VBtn(
            "{{ segment_button }}",
            id="segment_apply",
            block=True,
            color=("segment_busy ? undefined : 'primary'",),
            disabled=("!segment_busy && !!segment_why",),
            click=self.apply,
        )
        html.Div(
            "{{ segment_why }}",
            v_show=("segment_why && !segment_busy",),
            id="segment_why",
            classes="section-waits pt-1",
        )
        with html.Div(v_if=("segment_busy",), classes="d-flex align-center ga-2 pt-2"):
            v3.VProgressLinear(
                model_value=("segment_percent",), height=8, rounded=True, color="primary", id="segment_progress"
            )
            html.Div("{{ segment_elapsed }}", id="segment_elapsed", classes="numbers", style="min-width: 4em;")

    # --- the page's events

    def sceneOpened(self) -> None:
        """Show the study's own choice."""
        self.choice.choose(self.bench.study.model)
        self.bench.study.model = self.choice.reference

    def sceneCloses(self) -> None:
        """Stop a run whose study is about to go."""
        self.segmenting.sceneCloses()

    def cleanup(self) -> None:
        """Nothing ticks any more."""
        self.segmenting.cleanup()

    def refresh(self) -> None:
        """Apply or Cancel, and why not; the card of the chosen model."""
        state = self.page.state
        state.segment_busy = self.bench.runner.busy
        state.segment_button = _("Cancel") if self.bench.runner.busy else _("Apply")
        state.segment_why = self.segmenting.whyNot(self.choice.model)
        state.segment_model = self.choice.reference
        state.segment_note = self.choice.note(self.bench.study.extra)
        self._showOutputs()
        if self.choice.model is not self._cardOf:
            self._cardOf = self.choice.model
            state.segment_card = cardHtml(self.choice.model) if self.choice.model is not None else ""
            if self.choice.model is not None:
                state.segment_threshold = self.choice.model.card.threshold

    def apply(self) -> None:
        """Start a run, or cancel the one that is under way."""
        if self.bench.runner.busy:
            self.segmenting.cancel()
        elif self.choice.model is not None and not self.segmenting.whyNot(self.choice.model):
            self.segmenting.start(self.choice.model, self.choice.threshold(self._threshold()))

    def showDevices(self, devices: list[dict[str, Any]]) -> None:
        """The devices that the worker found."""
        chosen = self.bench.readMachine().device
        choices = deviceChoices(devices, chosen)
        with self.page.state as state:
            state.segment_devices = [{"value": value, "title": text} for value, text in choices.items()]
            state.segment_device = chosen

    # --- what the visitor does

    def _onModel(self, segment_model: str, **_state: Any) -> None:
        if segment_model != self.choice.reference:
            self.choice.choose(str(segment_model))
            self.bench.study.model = self.choice.reference
            self.bench.changed()

    def _onOutput(self, segment_output: str, **_state: Any) -> None:
        chosen = nodeOfClass(self.bench.scene, segment_output, "vtkMRMLSegmentationNode")
        if chosen is not self.bench.study.output:
            self.bench.study.output = chosen
            self.bench.changed()

    def _onDevice(self, segment_device: str, **_state: Any) -> None:
        machine = self.bench.readMachine()
        machine.device = str(segment_device)
        self.bench.keepMachine(machine)

    # --- what is shown

    def _threshold(self) -> float:
        """What stands in the field; the model's own where that is no number between 0 and 1."""
        assert self.choice.model is not None
        own = self.choice.model.card.threshold
        try:
            shown = float(self.page.state.segment_threshold)
        except (TypeError, ValueError):
            shown = own
        if not 0 < shown < 1:
            shown = own
        with self.page.state as state:
            state.segment_threshold = shown
        return shown

    def _showProgress(self) -> None:
        with self.page.state as state:
            state.segment_percent = round(100 * self.segmenting.fraction)
            state.segment_elapsed = self.segmenting.elapsed

    def _showOutputs(self) -> None:
        import slicer

        study, state = self.bench.study, self.page.state
        if study.output is not None and study.output.GetScene() is None:
            study.output = None
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", self.bench.scene)
        choices = [(_NEW, _("A new segmentation"))]
        choices += [(node.GetID(), node.GetName()) for node in nodes if node is not study.reference]
        state.segment_outputs = [{"value": value, "title": text} for value, text in choices]
        state.segment_output = study.output.GetID() if study.output is not None else _NEW
