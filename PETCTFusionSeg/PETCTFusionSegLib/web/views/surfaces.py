"""Surfaces of the visible segments in the 3-D view, made anew when an edit has rested."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk

from PETCTFusionSegLib.mrml.labelmaps import Mask, segmentVoxels
from PETCTFusionSegLib.mrml.live_source import SegmentSource
from PETCTFusionSegLib.mrml.transforms import Matrix, imageFromArray, linearToWorld, matrixFromArray

REST_S = 0.5
# Above so many voxels in its box a segment is looked at in steps of two or more: the surface takes some 50 ms at most.
_MOST_VOXELS = 2_000_000
_SMOOTHING, _PASS_BAND = 30, 0.03


@dataclass
class _Surface:
    """What is drawn of one segment, and of which state of it."""

    print_: Any
    actor: Any


class SegmentSurfaces:
    """Keeps one actor for each visible segment of the segmentations that `nodes` gives."""

    def __init__(
        self, renderer: Any, nodes: Callable[[], list[Any]], busy: Callable[[], bool], drawn: Callable[[], None]
    ) -> None:
        """Nothing is computed while `busy`; `drawn` is called when something looks different."""
        self._renderer, self._nodes, self._busy, self._drawn = renderer, nodes, busy, drawn
        self._surfaces: dict[tuple[str, str], _Surface] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.shown = False

    @property
    def actors(self) -> list[Any]:
        """What is in the view."""
        return [one.actor for one in self._surfaces.values()]

    @property
    def bounds(self) -> tuple[float, ...] | None:
        """Of all that can be seen (RAS, mm: least and greatest x, y, z); None when nothing can."""
        box = vtk.vtkBoundingBox()
        for actor in self.actors:
            if actor.GetVisibility() and actor.GetMapper() is not None:
                box.AddBounds(actor.GetBounds())
        if not box.IsValid():
            return None
        found = [0.0] * 6
        box.GetBounds(found)
        return tuple(found)

    def edited(self) -> None:
        """Something has changed: look when it has rested."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self.shown:
            self._timer = loop.call_later(REST_S, self._rested)

    def stop(self) -> None:
        """Compute nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def update(self) -> bool:
        """Bring one segment up to date; False when all are."""
        wanted = {(node.GetID(), one): (node, one) for node in self._nodes() for one in _visible(node)}
        for key in [key for key in self._surfaces if key not in wanted]:
            self._renderer.RemoveActor(self._surfaces.pop(key).actor)
        for key, (node, identifier) in wanted.items():
            surface = self._surfaces.get(key)
            print_ = SegmentSource(node, [identifier]).fingerprint()
            if surface is None or surface.print_ != print_:
                if surface is None:
                    surface = self._surfaces[key] = _Surface(None, vtk.vtkActor())
                    self._renderer.AddActor(surface.actor)
                surface.print_ = print_
                _shape(surface.actor, node, identifier)
                return True
            _look(surface.actor, node, identifier)
        return False

    def _rested(self) -> None:
        """One segment at a time: in between others get their turn."""
        self._timer = None
        if self._busy():
            self.edited()
        elif self.update():
            self._timer = asyncio.get_running_loop().call_later(0.0, self._rested)
        else:
            self._drawn()


def _visible(node: Any) -> list[str]:
    """Segments that a person has not hidden."""
    display = node.GetDisplayNode()
    if display is None or not display.GetVisibility() or not display.GetVisibility3D():
        return []
    return [
        str(one)
        for one in node.GetSegmentation().GetSegmentIDs()
        if display.GetSegmentVisibility(one) and display.GetSegmentVisibility3D(one)
    ]


def _look(actor: Any, node: Any, identifier: str) -> None:
    display = node.GetDisplayNode()
    actor.GetProperty().SetColor(node.GetSegmentation().GetSegment(identifier).GetColor())
    actor.GetProperty().SetOpacity(display.GetOpacity3D() * display.GetSegmentOpacity3D(identifier))


def _shape(actor: Any, node: Any, identifier: str) -> None:
    """The surface of the segment as it is now; nothing below a transform that bends."""
    segment = node.GetSegmentation().GetSegment(identifier)
    found = segmentVoxels(node.GetBinaryLabelmapInternalRepresentation(identifier), segment)
    toWorld = linearToWorld(node)
    actor.SetVisibility(found is not None and toWorld is not None)
    if found is None or toWorld is None:
        return
    actor.SetMapper(_mapper(*found))
    actor.SetUserMatrix(matrixFromArray(toWorld @ _frame(found[1], found[0])))
    _look(actor, node, identifier)


def _step(mask: Mask) -> int:
    return int(np.ceil((mask.size / _MOST_VOXELS) ** (1 / 3)))


def _frame(ijkToRas: Matrix, mask: Mask) -> Matrix:
    """Index of the padded, thinned mask to RAS."""
    step = _step(mask)
    thinned = np.diag([step, step, step, 1.0])
    thinned[:3, 3] = -step
    return np.asarray(ijkToRas @ thinned)


def _mapper(mask: Mask, _ijkToRas: Matrix) -> Any:
    step = _step(mask)
    padded = np.pad(mask[::step, ::step, ::step].astype(np.uint8), 1)
    surface = vtk.vtkFlyingEdges3D()
    surface.SetInputData(imageFromArray(padded))
    surface.SetValue(0, 0.5)
    surface.ComputeNormalsOff()
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(surface.GetOutputPort())
    smooth.SetNumberOfIterations(_SMOOTHING)
    smooth.SetPassBand(_PASS_BAND)
    smooth.NonManifoldSmoothingOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(normals.GetOutput())
    mapper.ScalarVisibilityOff()
    return mapper
