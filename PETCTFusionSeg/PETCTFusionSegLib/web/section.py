"""What a section of the page is, and what all of them know of the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PETCTFusionSegLib.workbench.keys import Keys

if TYPE_CHECKING:
    from PETCTFusionSegLib.workbench.bench import Workbench

    from .transfers import FileTransfers
    from .views.board import ViewBoard


@dataclass
class PageContext:
    """The page that a section is a part of."""

    server: Any
    """The trame server of this session."""
    board: ViewBoard
    folder: Path
    """This session's own folder: uploads, downloads and whatever a section writes; removed at the end."""
    transfers: FileTransfers
    """Uploads, and the addresses under which files can be fetched."""
    lesson: Path | None = None
    """The instructor's file of a teaching session; None is the shipped one."""
    keys: Keys = field(default_factory=Keys)
    """Sections add the keys of what they do."""

    @property
    def state(self) -> Any:
        """What Python and the page share; every key begins with its section's name."""
        return self.server.state

    @property
    def ctrl(self) -> Any:
        """The server's controller."""
        return self.server.controller


class Section:
    """One section; subclasses build their widgets and do nothing for the events they do not need."""

    name = ""
    """The beginning of the section's state keys and of its elements' ids, in lower case."""
    collapsed = False

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        self.bench = bench
        self.page = page

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading; sections translate it."""
        return cls.name

    def build(self) -> None:
        """Make the widgets, within the section's place on the page; called once."""

    def waitsFor(self) -> str:
        """What has to be there before this section applies; empty when it does."""
        return ""

    def refresh(self) -> None:
        """Nodes, the edited segmentation, a result or a run changed: bring the state up to date."""

    def sceneOpened(self) -> None:
        """The session starts, or its scene was emptied."""

    def sceneCloses(self) -> None:
        """Let go of every node."""

    def cleanup(self) -> None:
        """The session ends."""


def nodeOfClass(scene: Any, identifier: object, className: str) -> Any:
    """The node that the page named; None where it names none of this class, as anybody can send anything."""
    node = scene.GetNodeByID(identifier) if isinstance(identifier, str) and identifier else None
    return node if node is not None and node.IsA(className) else None
