"""One Segment Editor's copy of the effect: puts form, mouse and tools together, and turns failures into a sentence."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _

from .box import BoxTool
from .brush import SuvBrush
from .clicks import ClickTool
from .edits import SegmentEdits
from .form import EffectForm
from .local_run import LocalRun
from .options import CT, PET, readOptions
from .outline import BrushOutline
from .pointer import Pointer

if TYPE_CHECKING:
    from PETCTFusionSegLib.workbench.bench import Workbench

_log = logging.getLogger("PETCTFusionSeg.effect")


class FusionEffect:
    """Lives as long as its editor."""

    def __init__(self, scriptedEffect: Any) -> None:
        self._effect = scriptedEffect
        self.edits = SegmentEdits(scriptedEffect)
        self.run = LocalRun(self.say, self.showOptions, self.attempt)
        self.brush = SuvBrush(self.edits)
        self.clicks = ClickTool(self.edits, self.run, self.say)
        self.box = BoxTool(self.edits, self.run, self.say)
        self.outline = BrushOutline(scriptedEffect)
        self.pointer = Pointer(scriptedEffect, self)
        self.form = EffectForm(scriptedEffect, self.boxClicked, self.newBoxClicked)

    def useBench(self, bench: Workbench) -> None:
        """Share the panel's study, results and worker."""
        self.run.bench = bench

    def activate(self) -> None:
        """Offer the module's study where nothing was chosen yet."""
        options, study = readOptions(self._effect), self.run.study(self._effect.scene())
        if options.ct is None and study.ct is not None:
            self._effect.setNodeReference(CT, study.ct)
        if options.pet is None and study.pet is not None:
            self._effect.setNodeReference(PET, study.pet)
        self.showOptions()

    def deactivate(self) -> None:
        """Leave the views; a run goes on."""
        self.pointer.release()
        self.outline.clear()

    def cleanup(self) -> None:
        """The editor ends."""
        self.outline.clear()
        self.run.shutdown()

    def showOptions(self) -> None:
        """The form shows what the editor's node holds."""
        if self._effect.parameterSetNode() is not None:
            self.form.show(readOptions(self._effect), self.run.busy)

    def say(self, sentence: str) -> None:
        """One line under the options."""
        self.form.say(sentence)

    def attempt(self, action: Callable[[], None]) -> bool:
        """Do it; False when it failed, with a sentence in the form."""
        try:
            action()
        except FusionError as error:
            self.say(str(error))
        except Exception as error:
            _log.error("%s", traceback.format_exc())
            self.say(_("This should not have happened: {error}. The details are in the log.").format(error=error))
        else:
            return True
        return False

    def beginStroke(self) -> bool:
        """Remember the segment for undo; False with a sentence when there is nothing to paint on."""
        return self.attempt(self._beginStroke)

    def _beginStroke(self) -> None:
        self.edits.target()
        self._effect.saveStateForUndo()
        self.say("")

    def paint(self, point: tuple[float, float, float], normal: tuple[float, float, float] | None = None) -> bool:
        """Paint at a world point (RAS mm), with a `normal` (RAS) only in its slice; False when it failed."""
        return self.attempt(lambda: self.brush.stamp(readOptions(self._effect), point, normal))

    def click(self, point: tuple[float, float, float], foreground: bool) -> bool:
        """Add the region at a world point (RAS mm) or give it up; False when it failed."""
        return self.attempt(lambda: self.clicks.click(readOptions(self._effect), point, foreground))

    def boxClicked(self) -> None:
        """Run the network in the box, or cancel what runs."""
        self.attempt(self.run.cancel if self.run.busy else lambda: self.box.start(readOptions(self._effect)))

    def newBoxClicked(self) -> None:
        """Put a box into the middle of the views and choose it."""
        self.attempt(lambda: self.box.addTo(self._effect))
