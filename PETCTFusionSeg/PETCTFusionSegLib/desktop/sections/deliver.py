"""The Deliver section: contours, label map, lesions and comparison as files in one folder."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.machine import SETTINGS_GROUP
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.delivering import Delivering

_FOLDER = f"{SETTINGS_GROUP}/DeliverFolder"


class DeliverSection(Section):
    """Saves on one click; says what was saved only after it was read back."""

    name = "Deliver"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        import ctk

        super().__init__(bench, ui)
        self._settings = bench.settings
        self._delivering = Delivering(bench, self._show)
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
        return self._delivering.waitsFor()

    def refresh(self) -> None:
        """Say what a click would save."""
        self._showState()

    def sceneCloses(self) -> None:
        """What is not written yet is not written any more."""
        self._delivering.sceneCloses()

    def cleanup(self) -> None:
        """The module or the application ends: files that are being written become whole."""
        self._delivering.cleanup()

    def save(self) -> None:
        """Save everything that there is into the folder."""
        folder = str(self.ui.deliverFolderEdit.currentPath)
        if self._delivering.start(folder):
            self._settings.setValue(_FOLDER, folder)

    def _show(self) -> None:
        self.ui.deliverLabel.text = self._delivering.sentence
        self._showState()

    def _showState(self) -> None:
        folder = str(self.ui.deliverFolderEdit.currentPath).strip()
        self.ui.deliverButton.enabled = bool(folder) and not self._delivering.busy
        self.ui.deliverButton.toolTip = self._toolTip() if folder else _("Choose a folder first.")

    def _toolTip(self) -> str:
        return self._delivering.what() + _(". Files that exist are never overwritten.")
