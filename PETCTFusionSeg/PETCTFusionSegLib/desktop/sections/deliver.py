"""The Deliver section: contours, label map, lesions and comparison as files in one folder."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.parameters import SETTINGS_GROUP
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.delivery import Delivery

_FOLDER = f"{SETTINGS_GROUP}/DeliverFolder"
_POLL_MS, _POLL_WAIT_S = 30, 0.01


class DeliverSection(Section):
    """Saves on one click; says what was saved only after it was read back."""

    name = "Deliver"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        import ctk

        super().__init__(bench, ui)
        self._delivery: Delivery | None = None
        self._pollTimer = makeTimer(_POLL_MS, False, self._poll)
        ui.deliverFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.deliverFolderEdit.showHistoryButton = False
        ui.deliverFolderEdit.currentPath = str(bench.settings.value(_FOLDER) or "")
        ui.deliverFolderEdit.connect("currentPathChanged(QString)", self._showState)
        ui.deliverButton.connect("clicked()", self.save)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Deliver")

    def waitsFor(self) -> str:
        """A segmentation in the editor."""
        if self.bench.segmentation() is None:
            return _("There is something to save when there is a result, or a segmentation is chosen under Edit.")
        return ""

    def refresh(self) -> None:
        """Say what a click would save."""
        self._showState()

    def sceneCloses(self) -> None:
        """What is not written yet is not written any more."""
        if self._delivery is not None:
            self._say(_("The scene was closed while it was being saved. Save again."))
            self._end()

    def cleanup(self) -> None:
        """The module or the application ends: files that are being written become whole."""
        self._pollTimer.stop()
        if self._delivery is not None:
            self._delivery.close(wait=True)
        self._delivery = None

    def save(self) -> None:
        """Save everything that there is into the folder."""
        study, folder = self.bench.study, str(self.ui.deliverFolderEdit.currentPath)
        self._delivery = Delivery(self.bench.scene, self.bench.segmentation(), study.ct, study.pet, study.reference)
        self._say(_("Saving..."))
        try:
            self._delivery.start(folder)
        except Exception as error:
            self._say(self._sentence(error))
            self._end()
            return
        self.bench.settings.setValue(_FOLDER, folder)
        self._pollTimer.start()
        self._showState()

    def _poll(self) -> None:
        delivery = self._delivery
        if delivery is None or not delivery.poll(_POLL_WAIT_S):
            return
        names = ", ".join(file.name for file in delivery.files)
        parts = [_("Saved and read back: {files}.").format(files=names)] if names else []
        if delivery.error is not None:
            parts.append(self._sentence(delivery.error))
        self._say(" ".join([*parts, *delivery.notes]))
        self._end()

    def _sentence(self, error: BaseException) -> str:
        if isinstance(error, FusionError):
            return str(error)
        self.bench.fail(error)
        return _("Not everything could be saved: {error}.").format(error=error)

    def _end(self) -> None:
        self._pollTimer.stop()
        if self._delivery is not None:
            self._delivery.close()
        self._delivery = None
        self._showState()

    def _showState(self) -> None:
        folder = str(self.ui.deliverFolderEdit.currentPath).strip()
        self.ui.deliverButton.enabled = bool(folder) and self._delivery is None
        self.ui.deliverButton.toolTip = self._toolTip() if folder else _("Choose a folder first.")

    def _toolTip(self) -> str:
        parts = [_("Segments (.seg.nrrd), label map (.nii.gz), lesions (.csv)")]
        if self.bench.study.reference is not None:
            parts.append(_("comparison with the reference (.csv)"))
        return ", ".join(parts) + _(". Files that exist are never overwritten.")

    def _say(self, sentence: str) -> None:
        self.ui.deliverLabel.text = sentence
