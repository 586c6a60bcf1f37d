"""The Study section: which volumes, in which units, whether they can be segmented; where files come in."""

from __future__ import annotations

import asyncio
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.hanging import hangStudy, lesionPlace
from PETCTFusionSegLib.mrml.sample_studies import SAMPLE_PATIENT
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode
from PETCTFusionSegLib.web.arrivals import addArrived, readArrival
from PETCTFusionSegLib.web.opening import readStudy, showStudy
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.web.start import SessionStart
from PETCTFusionSegLib.web.uploads import VOLUMES, Arrival
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.study import UNITS, StudyCheck, unitsHtml, verdictHtml

_ROLE_OF = {"CT": "ct", "PET": "pet", "MR": "extra", "contour": "reference"}
_NONE = ""


class StudySection(Section):
    """CT, PET and its units, an additional volume, the reference, and the verdict on them."""

    name = "study"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self._check = StudyCheck(bench, self._show)
        self._task: asyncio.Task[None] | None = None
        page.transfers.arrived = self.receive
        page.state.update(
            {
                "study_volumes": [],
                "study_references": [],
                "study_ct": _NONE,
                "study_pet": _NONE,
                "study_extra": _NONE,
                "study_reference": _NONE,
                "study_segments": [],
                "study_segment": _NONE,
                "study_units": "",
                "study_units_choice": 0,
                "study_units_ask": False,
                "study_verdict": "",
                "study_busy": False,
            }
        )

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Study")

    def build(self) -> None:
        """Volumes, units, verdict, and the ways in."""
        self._buildSelect(_("CT"), "ct", "study_volumes")
        self._buildSelect(_("PET"), "pet", "study_volumes")
        self._buildUnits()
        self._buildSelect(_("Additional volume"), "extra", "study_volumes")
        self._buildSelect(_("Reference contour"), "reference", "study_references", locked=False)
        self._buildSegments()
        html.Div(v_html="study_verdict", id="study_verdict", classes="py-2", style="font-size: 0.85rem;", role="status")
        with html.Div(classes="pcf-row"):
            v3.VBtn(
                _("Open files"),
                raw_attrs=['tag="label"', 'for="study_files"'],
                title=_("NIfTI, NRRD, MHA or DICOM (.zip); they can also be dropped anywhere on the page"),
                size="small",
                variant="tonal",
            )
            html.Input(
                type="file",
                multiple=True,
                raw_attrs=[f'accept="{",".join([*VOLUMES, ".gz", ".dcm", ".zip"])}"', 'aria-label="files"'],
                id="study_files",
                classes="pcf-file",
            )
            v3.VBtn(
                _("Load phantom"),
                click=self.loadPhantom,
                disabled=("study_busy",),
                title=_("A simulated patient with a known contour"),
                size="small",
                variant="tonal",
                id="study_phantom",
            )
            with html.Form(method="post", action="end"):
                v3.VBtn(
                    _("End session"),
                    type="submit",
                    title=_("Remove everything that was sent and drawn from the server. Download first."),
                    size="small",
                    variant="text",
                    id="study_end",
                )

    def refresh(self) -> None:
        """Show the nodes there are, units and verdict of the chosen ones, and watch these."""
        self._check.refresh()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._check.close()

    def cleanup(self) -> None:
        """As when the scene closes."""
        if self._task is not None:
            self._task.cancel()
        self.sceneCloses()

    # --- what the user does

    def choose(self, role: str, identifier: str) -> None:
        """Make the node with this id the study's `role`."""
        if role in _ROLE_OF.values():
            self._check.choose(**{role: self.bench.scene.GetNodeByID(identifier) if identifier else None})

    def chooseSegment(self, segmentId: str) -> None:
        """Compare with this segment of the reference."""
        self._check.chooseSegment(segmentId)

    def declareUnits(self, index: int) -> None:
        """Take the user's word for the PET's units."""
        self._check.declareUnits(UNITS[index])

    def loadPhantom(self) -> None:
        """Simulate the sample patient; the page goes on meanwhile."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._loadPhantom())

    async def receive(self, arrival: Arrival) -> str:
        """Take what was uploaded into the scene. Raises `BadInputError` for what cannot be read."""
        self.bench.say(_("Reading what was sent..."))
        try:
            ct = self.bench.study.ct
            grid = geometryOfVolumeNode(ct) if ct is not None and arrival.dicom is not None else None
            found = await asyncio.to_thread(readArrival, arrival, grid)
            nodes = addArrived(self.bench.scene, found, self.bench.study.ct)
        except Exception:
            self.bench.say("")
            raise
        chosen = {_ROLE_OF[role]: node for role, node in nodes.items()}
        if "reference" in chosen and self.bench.study.reference is not None:
            # It may be what the reader wants to edit: the comparison stays as it is.
            del chosen["reference"]
        self._check.choose(**chosen)
        study = self.bench.study
        if "ct" in chosen or "pet" in chosen:
            hangStudy(self.bench.scene, study.ct, study.pet, lesionPlace(study.reference))
            self.page.board.fit()
        names = ", ".join(f"{one.role} {one.name}" for one in found)
        taken = _("Taken as {names}. If that is wrong, choose others under Study.").format(names=names)
        sentence = " ".join([taken, *(note for one in found for note in one.notes)])
        self.bench.say(sentence)
        return sentence

    async def _loadPhantom(self) -> None:
        self.bench.say(_("Simulating the sample patient, a few seconds..."))
        with self.page.state as state:
            state.study_busy = True
        try:
            start = SessionStart(self.page.folder, phantomSeed=SAMPLE_PATIENT.seed)
            study = await asyncio.to_thread(readStudy, start)
            if study is not None:
                showStudy(self.bench, self.page.board, study)
            self.bench.say("")
        except Exception as error:
            self.bench.fail(error)
        finally:
            with self.page.state as state:
                state.study_busy = False
        self.bench.changed()

    # --- widgets

    def _buildSelect(self, label: str, role: str, items: str, locked: bool = True) -> None:
        v3.VSelect(
            label=label,
            v_model=(f"study_{role}",),
            items=(items,),
            update_modelValue=(self.choose, f"['{role}', $event]"),
            disabled=("study_busy",) if locked else False,
            density="compact",
            hide_details=True,
            classes="mb-2",
            id=f"study_{role}",
        )

    def _buildSegments(self) -> None:
        v3.VSelect(
            v_show=("study_segments.length",),
            label=_("Which of its segments"),
            v_model=("study_segment",),
            items=("study_segments",),
            update_modelValue=(self.chooseSegment, "[$event]"),
            density="compact",
            hide_details=True,
            classes="mb-2",
            id="study_segment",
        )

    def _buildUnits(self) -> None:
        with html.Div(v_show=("study_units",), classes="mb-2", style="font-size: 0.85rem;"):
            html.Span(_("PET units: "), classes="pcf-label")
            html.Span(v_html="study_units", id="study_units")
            v3.VSelect(
                v_show=("study_units_ask",),
                v_model=("study_units_choice",),
                items=(
                    "study_unit_items",
                    [
                        {"title": _("Not known"), "value": 0},
                        {"title": _("SUV by body weight"), "value": 1},
                        {"title": _("Bq/ml"), "value": 2},
                    ],
                ),
                update_modelValue=(self.declareUnits, "[$event]"),
                disabled=("study_busy",),
                label=_("The PET's values are"),
                density="compact",
                hide_details=True,
                classes="mt-2",
                id="study_units_choice",
            )

    # --- what is shown

    def _show(self) -> None:
        bench, study = self.bench, self.bench.study
        volumes = _listed(bench.scene, "vtkMRMLScalarVolumeNode")
        labels = [node for node in volumes if node.IsA("vtkMRMLLabelMapVolumeNode")]
        references = [*_listed(bench.scene, "vtkMRMLSegmentationNode"), *labels]
        declared = self._check.declaredUnits
        with self.page.state as state:
            state.study_volumes = _items(node for node in volumes if node not in labels)
            state.study_references = _items(references)
            for role in _ROLE_OF.values():
                node = getattr(study, role)
                state[f"study_{role}"] = node.GetID() if node is not None else _NONE
            state.study_segments = [{"title": name, "value": key} for key, name in self._check.segments.items()]
            state.study_segment = self._check.segment
            state.study_units = unitsHtml(bench.units)
            state.study_units_ask = self._check.asksForUnits
            state.study_units_choice = UNITS.index(declared) if declared in UNITS else 0
            state.study_verdict = verdictHtml(bench.verdict)
            state.study_busy = bench.runner.busy


def _listed(scene: Any, kind: str) -> list[Any]:
    """The nodes that a user knows of: no helpers, and no maps that a network drew."""
    nodes = scene.GetNodesByClass(kind)
    return [node for node in nodes if not node.GetHideFromEditors() and not node.GetAttribute("PETCTFusionSeg.Map")]


def _items(nodes: Any) -> list[dict[str, str]]:
    return [{"title": _("None"), "value": _NONE}, *({"title": one.GetName(), "value": one.GetID()} for one in nodes)]
