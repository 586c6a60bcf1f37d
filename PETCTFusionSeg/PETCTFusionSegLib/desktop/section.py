"""What a section of the panel is: a form, and what it does when the study, the module or the scene changes."""

from __future__ import annotations

from typing import Any

from .bench import DesktopBench


class Section:
    """One section; subclasses fill `ui`'s widgets and do nothing for the events they do not need."""

    name = ""
    """The form is `Resources/UI/<name>.ui`, its frame in the panel `<name>Section`, its grey line `<name>WaitLabel`."""
    collapsed = False

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        """`ui` has the widgets of all sections by their object names."""
        self.bench = bench
        self.ui = ui

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button; sections translate it."""
        return cls.name

    def waitsFor(self) -> str:
        """What has to be there before this section applies; empty when it does."""
        return ""

    def refresh(self) -> None:
        """Nodes, the edited segmentation, a result or a run changed."""

    def sceneOpened(self) -> None:
        """The panel starts, or a scene was closed or loaded."""

    def sceneCloses(self) -> None:
        """Let go of every node."""

    def enter(self) -> None:
        """The module became visible."""

    def exit(self) -> None:
        """The module is left."""

    def cleanup(self) -> None:
        """The module or the application ends."""
