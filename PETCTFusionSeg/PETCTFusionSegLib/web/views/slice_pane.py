"""A slice view: fused volumes and contours in one plane, which follows its MRML nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from trame_slicer.views import SliceView

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.transforms import Matrix, matrixToArray

from .pane import Pane, Send, unit
from .pointer import Point

Ras = tuple[float, float, float]
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
_ZOOM = 1.1
# A slice whose normal turns less than this from an axis of the body is named after that axis alone.
_OBLIQUE = 0.98


class BoardSliceView(SliceView):
    """trame-slicer's slice view, whose picture lies below the contours whatever was in the scene first."""

    def set_view_node(self, node: Any) -> None:
        """Two-dimensional actors are drawn in the order in which they were added: the image comes before all."""
        renderer, actor = self.first_renderer(), self._render_manager.image_actor
        if not renderer.HasViewProp(actor):
            renderer.AddViewProp(actor)
        super().set_view_node(node)


class SlicePane(Pane):
    """`node` and `composite` are the MRML nodes that everybody else acts on."""

    def __init__(self, name: str, view: BoardSliceView, orientation: str, send: Send) -> None:
        super().__init__(name, view, send)
        self.orientation = orientation
        self.node.SetOrientation(orientation)

    @property
    def logic(self) -> Any:
        """Slicer's logic of the slice."""
        return self.view._logic

    @property
    def node(self) -> Any:
        """The slice node."""
        return self.view.get_view_node()

    @property
    def composite(self) -> Any:
        """The node that names the volumes."""
        return self.logic.GetSliceCompositeNode()

    def volumes(self) -> list[Any]:
        """The volume nodes that are shown, the background first."""
        layers = (self.logic.GetBackgroundLayer(), self.logic.GetForegroundLayer())
        nodes = [layer.GetVolumeNode() if layer is not None else None for layer in layers]
        return [node for node in nodes if node is not None and node.GetImageData() is not None]

    def toRas(self) -> Matrix:
        """Pixels to world RAS in mm."""
        return matrixToArray(self.node.GetXYToRAS())

    def place(self, point: Point) -> Ras:
        """World RAS (mm) of a pixel."""
        x, y, z = (float(value) for value in (self.toRas() @ [*point, 0.0, 1.0])[:3])
        return x, y, z

    def normal(self) -> Ras:
        """World RAS direction across the slice, length 1."""
        x, y, z = (float(value) for value in unit(self.toRas()[:3, 2]))
        return x, y, z

    def resized(self, before: tuple[int, int] | None) -> None:
        """What was in view stays in view, as large as the room allows, and comes back when the size does."""
        assert self.size is not None
        width, height = self.size
        first = before or self.node.GetDimensions()[:2]
        scale = self.node.GetFieldOfView()[0] / first[0] * min(first) / min(width, height)
        self.logic.ResizeSliceNode(width, height)
        self.node.SetFieldOfView(scale * width, scale * height, self.node.GetFieldOfView()[2])

    def fit(self) -> None:
        """All of the volume in view; the slice stays where it is."""
        offset = self.logic.GetSliceOffset()
        self.logic.FitSliceToBackground()
        self.logic.SetSliceOffset(offset)

    def wheel(self, steps: float, event: Mapping[str, Any]) -> None:
        """The next slice; with Ctrl the view comes nearer."""
        if event.get("ctrl"):
            factor = _ZOOM**-steps
            field = self.node.GetFieldOfView()
            self.node.SetFieldOfView(field[0] * factor, field[1] * factor, field[2])
        else:
            self.moveTo(self.logic.GetSliceOffset() + steps * self.view.get_slice_step())

    def moveTo(self, offset: float) -> None:
        """Cut there (mm along the normal), within the volume, and through the middle of voxels."""
        low, high = self.view.get_slice_range()
        self.logic.SetSliceOffset(min(max(offset, low), high))
        self.logic.SnapSliceOffsetToIJK()

    def info(self) -> dict[str, Any]:
        """Where the slice lies, and what the page needs for slider, letters and brush."""
        low, high = self.view.get_slice_range()
        toRas = self.toRas()
        across, up = unit(toRas[:3, 0]), unit(toRas[:3, 1])
        return {
            "mm": float(np.linalg.norm(toRas[:3, 0])),
            "offset": float(self.logic.GetSliceOffset()),
            "low": float(low),
            "high": float(high),
            "step": float(self.view.get_slice_step()),
            "text": self._position(toRas) if self.volumes() else "",
            "letters": [_letter(-across), _letter(across), _letter(up), _letter(-up)] if self.volumes() else [],
        }

    def _position(self, toRas: Matrix) -> str:
        """The place along the body's axis that the slice is across, as "S 12.5 mm"."""
        normal = unit(toRas[:3, 2])
        axis = int(np.abs(normal).argmax())
        if abs(normal[axis]) < _OBLIQUE:
            return _("{mm} mm, oblique").format(mm=f"{self.logic.GetSliceOffset():.1f}")
        # The plane's point on that axis, wherever the view looks.
        position = float(toRas[:3, 3] @ normal / normal[axis]) if abs(normal[axis]) > 0 else 0.0
        return f"{_ENDS[axis][int(position >= 0)]} {abs(position):.1f} mm"


def _letter(direction: Any) -> str:
    """The side of the body that a direction (RAS) mostly points to."""
    axis = int(np.abs(direction).argmax())
    return _ENDS[axis][int(direction[axis] > 0)]
