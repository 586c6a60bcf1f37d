"""The panel: puts the sections one below the other, and passes on what happens to the scene and the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PETCTFusionSegLib.workbench.parameters import StudyParameters, readStudy, writeStudy

from .bench import DesktopBench
from .section import Section
from .sections.compare import CompareSection
from .sections.computer import ComputerSection
from .sections.deliver import DeliverSection
from .sections.edit import EditSection
from .sections.lesions import LesionsSection
from .sections.maps import MapsSection
from .sections.segment import SegmentSection
from .sections.study import StudySection
from .sections.view import ViewSection
from .segmenteditor import EmbeddedEditor
from .widgets import makeQuiet, makeTimer
from .worker_process import makeRunner

SECTIONS: tuple[type[Section], ...] = (
    StudySection,
    ViewSection,
    SegmentSection,
    EditSection,
    CompareSection,
    LesionsSection,
    MapsSection,
    DeliverSection,
    ComputerSection,
)


class Panel:
    """All sections, in the order in which the work goes."""

    def __init__(self, layout: Any, resourcePath: Callable[[str], str], parameterNode: Callable[[], Any]) -> None:
        """Fill `layout`; `parameterNode` gives the module's parameter node of the scene as it is now."""
        import slicer

        self._parameterNode = parameterNode
        self._changing = False
        self.root, self._forms = _build(layout, resourcePath)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.runner = makeRunner(self._add, self._onDevices)
        self.editor = EmbeddedEditor(self.ui.segmentEditorWidget, self.changed)
        self.bench = DesktopBench(
            StudyParameters(),
            self.editor,
            self.runner,
            self._say,
            self.changed,
            makeTimer,
            settings=slicer.app.settings(),
        )
        self.sections: dict[str, Any] = {kind.name: kind(self.bench, self.ui) for kind in SECTIONS}
        for form in self._forms.values():
            form.setMRMLScene(slicer.mrmlScene)
        self.sceneOpened()

    def sceneOpened(self) -> None:
        """Take the scene's own choices; at the start, and after a scene was closed or loaded."""
        self.bench.sceneOpen = True
        self.bench.study = readStudy(self._parameterNode(), self.bench.readMachine())
        for section in self.sections.values():
            section.sceneOpened()
        self.changed()

    def sceneCloses(self) -> None:
        """Let go of every node."""
        self.bench.sceneOpen = False
        for section in self.sections.values():
            section.sceneCloses()
        self.bench.results.clear()

    def enter(self) -> None:
        """The module became visible."""
        for section in self.sections.values():
            section.enter()

    def exit(self) -> None:
        """The module is left; a run goes on."""
        for section in self.sections.values():
            section.exit()

    def cleanup(self) -> None:
        """The module or the application ends: no worker and no observer stays behind."""
        self.runner.shutdown()
        for section in self.sections.values():
            section.cleanup()

    def changed(self) -> None:
        """Keep the choices in the scene, and let every section look again."""
        if self._changing or not self.bench.sceneOpen:
            return
        self._changing = True
        try:
            writeStudy(self._parameterNode(), self.bench.study)
            for name, section in self.sections.items():
                waitsFor = section.waitsFor()
                getattr(self.ui, f"{name}WaitLabel").text = waitsFor
                getattr(self.ui, f"{name}WaitLabel").visible = bool(waitsFor)
                self._forms[name].enabled = not waitsFor
                self._forms[name].visible = not waitsFor
                section.refresh()
        finally:
            self._changing = False

    def _onDevices(self, devices: list[dict[str, Any]]) -> None:
        self.sections["Segment"].showDevices(devices)

    def _add(self, sentence: str) -> None:
        self._say(f"{self.ui.statusLabel.text} {sentence}".strip())

    def _say(self, sentence: str) -> None:
        self.ui.statusLabel.text = sentence
        self.ui.statusLabel.visible = bool(sentence)


def _build(layout: Any, resourcePath: Callable[[str], str]) -> tuple[Any, dict[str, Any]]:
    """The widget with all sections' frames, and each section's form by its name."""
    import ctk
    import qt
    import slicer

    root = qt.QWidget()
    column = qt.QVBoxLayout(root)
    column.setContentsMargins(0, 0, 0, 0)
    forms = {}
    for kind in SECTIONS:
        frame = ctk.ctkCollapsibleButton()
        frame.objectName = f"{kind.name}Section"
        frame.text = kind.title()
        # Its own widget, because the button decides about the visibility of its children.
        body = qt.QWidget()
        qt.QVBoxLayout(frame).addWidget(body)
        inside = qt.QVBoxLayout(body)
        inside.setContentsMargins(0, 0, 0, 0)
        waits = qt.QLabel()
        waits.objectName = f"{kind.name}WaitLabel"
        waits.wordWrap = True
        makeQuiet(waits)
        inside.addWidget(waits)
        forms[kind.name] = slicer.util.loadUI(resourcePath(f"UI/{kind.name}.ui"))
        inside.addWidget(forms[kind.name])
        frame.collapsed = kind.collapsed
        column.addWidget(frame)
    column.addStretch(1)
    layout.addWidget(root)
    return root, forms
