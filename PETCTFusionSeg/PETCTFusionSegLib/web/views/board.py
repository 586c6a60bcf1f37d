"""The four views of the page, and what is done in them."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image
from trame.widgets import html
from trame_slicer.views import ThreeDView
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy

from PETCTFusionSegLib.i18n import _

from .contour_watch import ContourWatch
from .link import connect
from .pane import Pane
from .pointer import LEFT, PointerEvent, UnusableMessage, number
from .probe import valuesAt
from .schedule import FrameSchedule
from .slice_pane import BoardSliceView, SlicePane
from .surface_pane import SurfacePane
from .surfaces import SegmentSurfaces
from .widget import PetctView

Tool = Callable[[SlicePane, PointerEvent], bool]
FOUR, AXIAL, CORONAL, SAGITTAL, SURFACES = "four", "axial", "coronal", "sagittal", "3d"
LAYOUTS = (FOUR, AXIAL, CORONAL, SAGITTAL, SURFACES)
_LAYOUT = "board_layout"
# Slicer's names of the slice views, by which the hanging knows them, and its colours.
_SLICES = {AXIAL: ("Red", "Axial"), CORONAL: ("Green", "Coronal"), SAGITTAL: ("Yellow", "Sagittal")}
_COLORS = {AXIAL: "#F34A33", SURFACES: "#7A7AC2", CORONAL: "#6EB04B", SAGITTAL: "#EDD54C"}
_GAP = 2


class _Ask(ScheduledRenderStrategy):
    """Slicer asks for a frame of a view; the schedule decides when."""

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__()
        self._ask = ask

    def schedule_render(self) -> None:
        self._ask()


class ViewBoard:
    """Made once, before the page; whoever changes MRML nodes needs nothing of it."""

    def __init__(self, app: Any, server: Any) -> None:
        self._server = server
        self._link = connect(server, self._onMessage)
        self._schedule = FrameSchedule()
        self._fitted = False
        self._brush = ("", 0.0)
        self.tools: list[Tool] = []
        """Asked first, in their order, what to do with the mouse in a slice; the one that says True had it."""
        self.brushResized: Callable[[float], None] = lambda _mm: None
        """The diameter (mm) that the user chose with the keys or the wheel."""
        self._scene = app.scene
        self.slices = {
            name: SlicePane(name, BoardSliceView(app.scene, app.app_logic, tag), orientation, self._link.send)
            for name, (tag, orientation) in _SLICES.items()
        }
        self.surfaces = SurfacePane(SURFACES, ThreeDView(app.scene, app.app_logic, "1"), self._link.send)
        self.panes: dict[str, Pane] = {**self.slices, SURFACES: self.surfaces}
        for pane in self.panes.values():
            self._schedule.add(pane)
            ask = partial(self._schedule.changed, pane)
            pane.view.set_scheduled_render(_Ask(ask))
            pane.view.modified.connect(lambda _view, ask=ask: ask())
        server.state.setdefault(_LAYOUT, FOUR)
        self.drawing: Callable[[], bool] = lambda: False
        """True while the user draws: surfaces wait."""
        self._contours = ContourWatch(app.scene, self._onEdited)
        self._surfaces = SegmentSurfaces(
            self.surfaces.renderer, self._contours.nodes, lambda: self.drawing(), self._onSurfaces
        )

    # --- the page

    def build(self) -> None:
        """Make the views' elements in the current place of the page, which they fill."""
        titles = {AXIAL: _("Axial"), SURFACES: _("3-D"), CORONAL: _("Coronal"), SAGITTAL: _("Sagittal")}
        with html.Div(
            classes=(f"{_LAYOUT} === '{FOUR}' ? 'petct-board four' : 'petct-board one'",),
            id="board",
            style="height: 100%;",
        ):
            for name, title in titles.items():
                PetctView(
                    name=name,
                    title=title,
                    color=_COLORS[name],
                    maximize=_("Large, or all four (double click)"),
                    slices=("true" if name in self.slices else "false",),
                    v_show=(f"{_LAYOUT} === '{FOUR}' || {_LAYOUT} === '{name}'",),
                    id=f"view_{name}",
                )

    @property
    def layout(self) -> str:
        """`four`, or the name of the one view that is shown."""
        return str(self._server.state[_LAYOUT])

    @layout.setter
    def layout(self, layout: str) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"no layout: {layout!r}")
        with self._server.state as state:
            state[_LAYOUT] = layout

    # --- pictures

    def render(self) -> None:
        """Draw every view anew; needed only for what Slicer does not know of."""
        for pane in self.panes.values():
            self._schedule.changed(pane)

    def fit(self) -> None:
        """All of the study in every view."""
        self._fitted = all(pane.size is not None for pane in self.slices.values())
        for pane in self.panes.values():
            pane.fit()

    def screenshot(self) -> bytes:
        """What is shown, as PNG."""
        pictures = {name: pane.picture().image() for name, pane in self.panes.items() if pane.shown}
        if self.layout != FOUR or len(pictures) < len(self.panes):
            whole = next(iter(pictures.values()), Image.new("RGB", (1, 1)))
        else:
            width = max(one.width for one in pictures.values())
            height = max(one.height for one in pictures.values())
            whole = Image.new("RGB", (2 * width + _GAP, 2 * height + _GAP))
            for place, name in enumerate(_COLORS):
                whole.paste(pictures[name], (place % 2 * (width + _GAP), place // 2 * (height + _GAP)))
        stream = io.BytesIO()
        whole.save(stream, "PNG")
        return stream.getvalue()

    def showBrush(self, tool: str, diameterMm: float) -> None:
        """Let the page draw the brush's outline; an empty tool hides it."""
        self._brush = (tool, diameterMm)
        self._sendBrush()

    def _sendBrush(self) -> None:
        tool, diameterMm = self._brush
        self._link.send({"brush": {"tool": tool, "mm": diameterMm}})

    def _onEdited(self) -> None:
        for pane in self.slices.values():
            self._schedule.changed(pane)
        self._surfaces.edited()

    def _onSurfaces(self) -> None:
        self.surfaces.follow(self._surfaces.bounds)
        self._schedule.changed(self.surfaces)

    def stop(self) -> None:
        """The session ends: draw nothing any more."""
        self._surfaces.stop()
        self._contours.stop()
        self._schedule.stop()

    # --- messages of the page

    def _onMessage(self, name: str, message: dict[str, Any]) -> Any:
        """Whatever does not fit is ignored: nobody but a broken page sends it."""
        pane = self.panes.get(name)
        handler = _HANDLERS.get(str(message.get("what")))
        if pane is None or handler is None:
            return None
        try:
            return handler(self, pane, message)
        except UnusableMessage:
            return None

    def _onSize(self, pane: Pane, message: dict[str, Any]) -> None:
        pane.resize(message)
        if not self._fitted and all(one.size is not None for one in self.panes.values()):
            self.fit()
        self._sendBrush()
        if pane is self.surfaces:
            self._surfaces.shown = pane.shown
            self._surfaces.edited()
        self._schedule.restart(pane)

    def _onArrived(self, pane: Pane, _message: dict[str, Any]) -> None:
        self._schedule.arrived(pane)

    def _onPointer(self, pane: Pane, message: dict[str, Any]) -> None:
        if pane.size is None:
            return
        event = PointerEvent.fromPage(message, pane.size[1])
        self._schedule.inHand(pane)
        if isinstance(pane, SlicePane):
            if not self._viewHasMouse() and any(tool(pane, event) for tool in self.tools):
                return
            if self._jumps(pane, event):
                return
        pane.mouse(event)

    def _viewHasMouse(self) -> bool:
        """True while Slicer places points or adjusts the window: then the mouse is its own."""
        node = self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        return node is not None and node.GetCurrentInteractionMode() != node.ViewTransform

    def _jumps(self, pane: SlicePane, event: PointerEvent) -> bool:
        """Without a tool, the left button brings the other slices to where it points."""
        mine = event.button == LEFT and not event.modified and not self._viewHasMouse()
        if not mine:
            return False
        if event.kind in ("down", "move") and event.pressed:
            place = pane.place(event.point)
            for other in self.slices.values():
                if other is not pane:
                    other.node.JumpSliceByOffsetting(*place)
        return True

    def _onWheel(self, pane: Pane, message: dict[str, Any]) -> None:
        self._schedule.inHand(pane)
        pane.wheel(number(message.get("steps"), 100), message)

    def _onOffset(self, pane: Pane, message: dict[str, Any]) -> None:
        if isinstance(pane, SlicePane):
            self._schedule.inHand(pane)
            pane.moveTo(number(message.get("offset")))

    def _onMaximize(self, pane: Pane, _message: dict[str, Any]) -> None:
        self.layout = FOUR if self.layout != FOUR else pane.name

    def _onProbe(self, pane: Pane, message: dict[str, Any]) -> str:
        if not isinstance(pane, SlicePane) or pane.size is None:
            return ""
        place = pane.place((number(message.get("x")), pane.size[1] - 1 - number(message.get("y"))))
        return valuesAt(pane.volumes(), place)

    def _onBrush(self, _pane: Pane, message: dict[str, Any]) -> None:
        self.brushResized(number(message.get("mm")))


_HANDLERS: dict[str, Callable[[ViewBoard, Pane, dict[str, Any]], Any]] = {
    "size": ViewBoard._onSize,
    "arrived": ViewBoard._onArrived,
    "pointer": ViewBoard._onPointer,
    "wheel": ViewBoard._onWheel,
    "offset": ViewBoard._onOffset,
    "maximize": ViewBoard._onMaximize,
    "probe": ViewBoard._onProbe,
    "brush": ViewBoard._onBrush,
}
