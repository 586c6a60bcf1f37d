"""The Edit section: the embedded Segment Editor."""

from __future__ import annotations

from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _


class EditSection(Section):
    """Slicer's own tools on the result."""

    name = "Edit"

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Edit")

    def sceneOpened(self) -> None:
        """Find or make the editor's node."""
        self.bench.editor.connectScene(self.bench.scene)

    def sceneCloses(self) -> None:
        """Forget the editor's node."""
        self.bench.editor.letGo()

    def enter(self) -> None:
        """Effects may listen to the views."""
        self.bench.editor.enter()

    def exit(self) -> None:
        """No effect stays active behind the user's back."""
        self.bench.editor.exit()

    def cleanup(self) -> None:
        """Forget the editor's node."""
        self.bench.editor.letGo()
