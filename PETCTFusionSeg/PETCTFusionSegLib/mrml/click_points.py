"""Points that the user clicks into the views: tumor here, no tumor here. Two lists that no list of nodes shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer

if TYPE_CHECKING:
    from slicer import vtkMRMLInteractionNode, vtkMRMLMarkupsFiducialNode, vtkMRMLScene, vtkMRMLSelectionNode

Point = tuple[float, float, float]
_CLASS = "vtkMRMLMarkupsFiducialNode"
# Vermilion and sky blue of the colour-blind-safe set of Okabe and Ito: the comparison's colours are others.
_COLORS = {True: (213 / 255, 94 / 255, 0.0), False: (86 / 255, 180 / 255, 233 / 255)}


@dataclass(frozen=True)
class PlacedPoint:
    """A click that waits for its answer: world point in RAS mm, and its id in its list."""

    pointRas: Point
    foreground: bool
    pointId: str


class ClickPoints:
    """Lets the user place one point at a time, and keeps it in the views until it is answered.

    `placed` is called while Slicer still handles the click, so it should only start a timer; `modeChanged` whenever
    placing begins or ends, by whatever hand.
    """

    def __init__(self, scene: vtkMRMLScene, placed: Callable[[], None], modeChanged: Callable[[], None]) -> None:
        self._scene = scene
        self._placed = placed
        self._modeChanged = modeChanged
        self._lists: dict[bool, Any] = {}
        self._tags: list[tuple[Any, int]] = []
        kind = importSlicer().vtkMRMLInteractionNode
        interaction = self._interaction()
        self._tags.append(
            (
                interaction,
                interaction.AddObserver(kind.InteractionModeChangedEvent, lambda *_event: self._modeChanged()),
            )
        )

    def start(self, foreground: bool) -> None:
        """The next click into a view places a point."""
        points = self._listOf(foreground)
        selection = self._selection()
        selection.SetReferenceActivePlaceNodeClassName(_CLASS)
        selection.SetActivePlaceNodeID(points.GetID())
        # Other tools leave the mode persistent; here every click is answered before the next one.
        self._interaction().SwitchToSinglePlaceMode()
        self._modeChanged()

    def stop(self) -> None:
        """No point is placed any more, unless another tool places its own."""
        if self.placing is not None:
            self._interaction().SwitchToViewTransformMode()

    @property
    def placing(self) -> bool | None:
        """True or False while the next click places a foreground or a background point, otherwise None."""
        interaction = self._interaction()
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            return None
        active = self._selection().GetActivePlaceNodeID()
        return next((key for key, node in self._lists.items() if node.GetID() == active), None)

    def waiting(self) -> list[PlacedPoint]:
        """The points that are placed; a point that still follows the mouse is none."""
        found = []
        for foreground, points in self._lists.items():
            for number in range(points.GetNumberOfControlPoints()):
                if points.GetNthControlPointPositionStatus(number) == points.PositionDefined:
                    place = [0.0, 0.0, 0.0]
                    points.GetNthControlPointPositionWorld(number, place)
                    identity = str(points.GetNthControlPointID(number))
                    found.append(PlacedPoint((place[0], place[1], place[2]), foreground, identity))
        return found

    def remove(self, point: PlacedPoint) -> None:
        """Take an answered point out of the views."""
        points = self._lists.get(point.foreground)
        if points is None:
            return
        number = points.GetNthControlPointIndexByID(point.pointId)
        if number >= 0:
            points.RemoveNthControlPoint(number)

    def clear(self) -> None:
        """Take all points out of the views."""
        for points in self._lists.values():
            points.RemoveAllControlPoints()

    def close(self) -> None:
        """Stop placing and remove the lists; used at the end and before the scene goes."""
        self.stop()
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags = []
        for points in self._lists.values():
            if points.GetScene() is self._scene and not self._scene.IsClosing():
                self._scene.RemoveNode(points)
        self._lists = {}

    def _listOf(self, foreground: bool) -> vtkMRMLMarkupsFiducialNode:
        known = self._lists.get(foreground)
        if known is not None and known.GetScene() is self._scene:
            return known
        points = self._scene.CreateNodeByClass(_CLASS)
        points.UnRegister(None)
        points.SetName(_("Tumor here") if foreground else _("No tumor here"))
        # Hidden before it is added: the subject hierarchy makes items for visible nodes only.
        points.SetHideFromEditors(True)
        points.SetSaveWithScene(False)
        points = self._scene.AddNode(points)
        points.CreateDefaultDisplayNodes()
        display = points.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*_COLORS[foreground])
        display.SetColor(*_COLORS[foreground])
        display.SetPointLabelsVisibility(False)
        event = points.PointPositionDefinedEvent
        self._tags.append((points, points.AddObserver(event, lambda *_event: self._placed())))
        self._lists[foreground] = points
        return points

    def _interaction(self) -> vtkMRMLInteractionNode:
        return self._singleton("vtkMRMLInteractionNode")

    def _selection(self) -> vtkMRMLSelectionNode:
        return self._singleton("vtkMRMLSelectionNode")

    def _singleton(self, className: str) -> Any:
        node = self._scene.GetNodeByID(f"{className}Singleton")
        if node is None:
            raise BadInputError(
                _("Points cannot be placed in this scene."), _("Close the scene and load the study again.")
            )
        return node
