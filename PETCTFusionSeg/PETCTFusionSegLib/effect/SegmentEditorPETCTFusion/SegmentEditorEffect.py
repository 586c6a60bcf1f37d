"""The door between a Segment Editor and the effect: Slicer loads this file by its path and asks for this class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect  # type: ignore[import-not-found]

from PETCTFusionSegLib.effect.registration import EFFECT_NAME
from PETCTFusionSegLib.i18n import _

if TYPE_CHECKING:
    from PETCTFusionSegLib.effect.fusion import FusionEffect
    from PETCTFusionSegLib.workbench.bench import Workbench


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):  # type: ignore[misc]
    """One instance for each Segment Editor; what it does is in `FusionEffect`, made when it is first switched on."""

    def __init__(self, scriptedEffect: Any) -> None:
        scriptedEffect.name = EFFECT_NAME
        scriptedEffect.title = _("PET/CT Fusion")
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.fusion: FusionEffect | None = None
        self._bench: Workbench | None = None

    def clone(self) -> Any:
        """The copy that an editor works with."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects  # type: ignore[import-not-found]

        copy = effects.qSlicerSegmentEditorScriptedEffect(None)
        copy.setPythonSource(__file__.replace("\\", "/"))
        return copy

    def icon(self) -> Any:
        """What stands on the effect's button."""
        import qt

        return qt.QIcon(str(Path(__file__).with_suffix(".png")))

    def helpText(self) -> str:
        """What the editor shows beside the options."""
        return _(
            "<html>Contour with the PET and the network. Edits respect Masking and can be undone."
            "<ul><li><b>SUV brush</b>: paint, and only what passes the SUV rule is added. Shift + wheel: size.</li>"
            "<li><b>Add tumor</b>, <b>Remove</b>: click; the region around the click is added or given up.</li>"
            "<li><b>Network in a box</b>: run the network where the box is; the rest stays as it is.</li></ul></html>"
        )

    def useBench(self, bench: Workbench) -> None:
        """The module's panel shares its study, results and worker with the effect in its own editor."""
        self._bench = bench
        if self.fusion is not None:
            self.fusion.useBench(bench)

    def createCursor(self, _viewWidget: Any) -> Any:
        """A cross, which hides less of the image than the icon."""
        import qt

        return qt.QCursor(qt.Qt.CrossCursor)

    def setMRMLDefaults(self) -> None:
        """The editor's node came."""
        from PETCTFusionSegLib.effect.options import writeDefaults

        writeDefaults(self.scriptedEffect)

    def updateGUIFromMRML(self) -> None:
        """An option changed in the scene."""
        if self.fusion is not None:
            self.fusion.showOptions()

    def updateMRMLFromGUI(self) -> None:
        """The form writes each option when it is changed."""

    def activate(self) -> None:
        """The user chose the effect. Its options are made now, so that a Segment Editor opens as fast as without it."""
        from PETCTFusionSegLib.effect.fusion import FusionEffect

        if self.fusion is None:
            self.fusion = FusionEffect(self.scriptedEffect)
            if self._bench is not None:
                self.fusion.useBench(self._bench)
        self.fusion.activate()

    def deactivate(self) -> None:
        """The user left the effect; a run goes on."""
        if self.fusion is not None:
            self.fusion.deactivate()

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        """A mouse event in a view; True keeps it from everybody else."""
        if self.fusion is None or viewWidget.className() != "qMRMLSliceWidget":
            return False
        x, y, z = self.xyToRas(callerInteractor.GetEventPosition(), viewWidget)
        return self.fusion.pointer.event(callerInteractor, eventId, viewWidget, (x, y, z))

    def processViewNodeEvents(self, _viewNode: Any, _eventId: int, viewWidget: Any) -> None:
        """The slice was moved or zoomed, so the outline of the brush is drawn anew with the next move."""
        if self.fusion is not None and viewWidget.className() == "qMRMLSliceWidget":
            self.fusion.outline.hide(viewWidget)

    def cleanup(self) -> None:
        """The editor ends."""
        if self.fusion is not None:
            self.fusion.cleanup()
        self.fusion = None
