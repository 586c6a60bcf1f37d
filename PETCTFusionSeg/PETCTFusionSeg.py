"""The door between 3D Slicer and PETCTFusionSegLib, where the work is done. Also parses on Slicer 5.8 (Python 3.9)."""

from __future__ import annotations

import sys
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

SUPPORTED = sys.version_info >= (3, 10)


class PETCTFusionSeg(ScriptedLoadableModule):
    """What the module is called and who made it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("PETCTFusionSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["PETCTFusionSeg contributors"]
        parent.helpText = _(
            "Contours tumors on PET/CT with a fusion network that runs in a process of its own, and compares the "
            "editable result with a reference contour (Dice, HD95). For research use only; not a medical device."
        )
        parent.acknowledgementText = _(
            "The shipped network was trained on the Soft-tissue-Sarcoma collection of The Cancer Imaging Archive "
            "(Vallières et al., doi 10.7937/K9/TCIA.2015.7GO2GSKS, CC BY 3.0), as prepared by the Image Biomarker "
            "Standardisation Initiative."
        )
        if SUPPORTED:
            slicer.app.connect("startupCompleted()", addToSlicer)


def addToSlicer() -> None:
    """The application has started: sample data, the Segment Editor effect and the rest of what needs no open module."""
    from PETCTFusionSegLib.startup import addToSlicer as add

    add()


class PETCTFusionSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Makes the panel and passes the application's events on to the panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.panel: Any = None

    def setup(self) -> None:
        """Called once, when the module is opened for the first time."""
        import qt

        ScriptedLoadableModuleWidget.setup(self)
        if not SUPPORTED:
            self.layout.addWidget(qt.QLabel(_("PETCTFusionSeg needs 3D Slicer 5.10 or newer: please update Slicer.")))
            return
        from PETCTFusionSegLib.desktop.panel import Panel

        self.logic = PETCTFusionSegLogic()
        self.panel = Panel(self.layout, self.resourcePath, self.logic.getParameterNode)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        slicer.app.connect("aboutToQuit()", self.cleanup)

    def cleanup(self) -> None:
        """The application quits or the module is reloaded."""
        slicer.app.disconnect("aboutToQuit()", self.cleanup)
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()
        self.panel = None

    def enter(self) -> None:
        """The module becomes visible."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        """The module is left."""
        if self.panel is not None:
            self.panel.exit()

    def onSceneStartClose(self, _caller: Any, _event: Any) -> None:
        """The scene is about to be emptied."""
        if self.panel is not None:
            self.panel.sceneCloses()

    def onSceneEndClose(self, _caller: Any, _event: Any) -> None:
        """The scene is empty, or another one was loaded."""
        if self.panel is not None:
            self.panel.sceneOpened()


class PETCTFusionSegLogic(ScriptedLoadableModuleLogic):
    """Gives the scene's parameter node; everything else is in PETCTFusionSegLib."""


class PETCTFusionSegTest(ScriptedLoadableModuleTest):
    """Runs the stories in the application; they run on the test harness too."""

    def runTest(self) -> None:
        """Every story, each in an empty scene; the first one that fails raises."""
        from PETCTFusionSegLib.selftest.application import SlicerApplication
        from PETCTFusionSegLib.selftest.stories import STORIES

        with SlicerApplication(PETCTFusionSegWidget) as application:
            for story in STORIES:
                self.delayDisplay((story.__doc__ or story.__name__).splitlines()[0])
                application.reset()
                story(application)
        self.delayDisplay(_("All stories passed."))
