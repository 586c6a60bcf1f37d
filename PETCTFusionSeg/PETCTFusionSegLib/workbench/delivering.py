"""Files of the edited segmentation on one request: started, waited for, and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.delivery import Delivery

from .bench import Workbench

_POLL_MS, _POLL_WAIT_S = 30, 0.01


class Delivering:
    """One saving at a time. `show` is called when one begins or ends; `files` are those of the last one."""

    def __init__(self, bench: Workbench, show: Callable[[], None]) -> None:
        self._bench, self._show = bench, show
        self._delivery: Delivery | None = None
        self._timer = bench.makeTimer(_POLL_MS, False, self._poll)
        self.files: list[Path] = []
        self.sentence = ""
        """What is to be said of the last one."""

    @property
    def busy(self) -> bool:
        """True while files are being written."""
        return self._delivery is not None

    def waitsFor(self) -> str:
        """A segmentation in the editor."""
        if self._bench.segmentation() is None:
            return _("There is something to save when there is a result, or a segmentation is chosen under Edit.")
        return ""

    def what(self) -> str:
        """What a request would save."""
        parts = [_("Segments (.seg.nrrd), label map (.nii.gz), lesions (.csv)")]
        if self._bench.study.reference is not None:
            parts.append(_("comparison with the reference (.csv)"))
        return ", ".join(parts)

    def start(self, folder: str) -> bool:
        """Save everything that there is into the folder; False, with a sentence, when that cannot begin."""
        study = self._bench.study
        self.files = []
        self._delivery = Delivery(self._bench.scene, self._bench.segmentation(), study.ct, study.pet, study.reference)
        self.sentence = _("Saving...")
        try:
            self._delivery.start(folder)
        except Exception as error:
            self.sentence = self._told(error)
            self._end()
            return False
        self._timer.start()
        self._show()
        return True

    def sceneCloses(self) -> None:
        """What is not written yet is not written any more."""
        if self._delivery is not None:
            self.sentence = _("The scene was closed while it was being saved. Save again.")
            self._end()

    def cleanup(self) -> None:
        """The application ends: files that are being written become whole."""
        self._timer.stop()
        if self._delivery is not None:
            self._delivery.close(wait=True)
        self._delivery = None

    def _poll(self) -> None:
        delivery = self._delivery
        if delivery is None or not delivery.poll(_POLL_WAIT_S):
            return
        self.files = list(delivery.files)
        names = ", ".join(file.name for file in self.files)
        parts = [_("Saved and read back: {files}.").format(files=names)] if names else []
        if delivery.error is not None:
            parts.append(self._told(delivery.error))
        self.sentence = " ".join([*parts, *delivery.notes])
        self._end()

    def _told(self, error: BaseException) -> str:
        if isinstance(error, FusionError):
            return str(error)
        self._bench.fail(error)
        return _("Not everything could be saved: {error}.").format(error=error)

    def _end(self) -> None:
        self._timer.stop()
        if self._delivery is not None:
            self._delivery.close()
        self._delivery = None
        self._show()
