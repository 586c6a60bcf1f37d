"""Slice and 3-D views without windows: the real displayable managers of Slicer, drawn into memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy

from petctfusion.errors import FusionError

from .headless import importSlicer

if TYPE_CHECKING:
    from slicer import vtkMRMLVolumeNode

    from .headless import HeadlessSlicer

Rgb = NDArray[np.uint8]
DEBIAN_PACKAGES = "libegl1 libegl-mesa0 libgl1-mesa-dri"
_BACKEND = "VTK_DEFAULT_OPENGL_WINDOW"
_BLACK_BELOW, _LEAST_SHOWN = 16, 0.01
_PROBE = """
import vtkmodules.vtkRenderingOpenGL2, vtkmodules.vtkRenderingCore as core, vtkmodules.vtkCommonCore as common
window = core.vtkRenderWindow(); window.SetOffScreenRendering(1); window.SetSize(16, 16)
renderer = core.vtkRenderer(); renderer.SetBackground(1, 1, 1); window.AddRenderer(renderer); window.Render()
pixels = common.vtkUnsignedCharArray(); window.GetRGBACharPixelData(0, 0, 15, 15, 0, pixels)
raise SystemExit(0 if pixels.GetNumberOfValues() and pixels.GetValue(0) > 200 else 3)
"""


class BlackPictureError(FusionError):
    """A rendering came back black or empty, although a graphics context seemed to be there."""


@dataclass(frozen=True)
class GraphicsProbe:
    """Whether a picture can be rendered here, and one line about it."""

    available: bool
    note: str


def probeGraphics(timeout_s: float = 60.0) -> GraphicsProbe:
    """Draw one white square in a process of its own: without OpenGL, VTK may abort and would take this one along."""
    with _offscreenBackend():
        try:
            done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=timeout_s, check=False)
        except (OSError, subprocess.TimeoutExpired):
            done = None
    if done is not None and done.returncode == 0:
        return GraphicsProbe(True, "rendered with OpenGL")
    return GraphicsProbe(
        False, f"No OpenGL library was found, so the picture has no 3-D view. On Debian install: {DEBIAN_PACKAGES}."
    )


@contextmanager
def _offscreenBackend() -> Iterator[None]:
    """Ask VTK for EGL where there is no display, which spares an X warning and 0.8 s; a choice made outside stays."""
    chosen = os.environ.get(_BACKEND)
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if chosen or display or not sys.platform.startswith("linux"):
        yield
        return
    os.environ[_BACKEND] = "vtkEGLRenderWindow"
    try:
        yield
    finally:
        os.environ.pop(_BACKEND, None)


class _View:
    """A render window in memory with a displayable manager group."""

    def __init__(self, booted: HeadlessSlicer, size: tuple[int, int]) -> None:
        with _offscreenBackend():
            self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(8)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        # The managers look for the window's interactor, which must not start an event loop of its own.
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.group = importSlicer().vtkMRMLDisplayableManagerGroup()
        self._booted = booted

    def _initialize(self, factory: Any, managers: tuple[str, ...]) -> None:
        """The factories belong to the whole process, so an application keeps its own logic in them."""
        before = factory.GetMRMLApplicationLogic()
        factory.SetMRMLApplicationLogic(self._booted.applicationLogic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group.Initialize(factory, self.renderer)
        if before is not None:
            factory.SetMRMLApplicationLogic(before)

    def pixels(self) -> Rgb:
        """Draw and return the picture (rows from the top, columns, RGB); `BlackPictureError` when nothing was drawn."""
        self.window.Render()
        width, height = self.window.GetSize()
        buffer = vtk.vtkUnsignedCharArray()
        self.window.GetPixelData(0, 0, width - 1, height - 1, 0, buffer, 0)
        if buffer.GetNumberOfTuples() != width * height:
            raise BlackPictureError("The rendering returned no pixels.", f"On Debian install: {DEBIAN_PACKAGES}.")
        picture = vtk_to_numpy(buffer).reshape(height, width, 3)[::-1].copy()
        if np.count_nonzero(picture.max(axis=-1) >= _BLACK_BELOW) < _LEAST_SHOWN * width * height:
            raise BlackPictureError("The rendering is black.", f"On Debian install: {DEBIAN_PACKAGES}.")
        return picture

    def close(self) -> None:
        """Let go of the scene and of the graphics context."""
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()


class SliceView(_View):
    """One slice of a fused study with segmentation contours, as a Slicer slice view shows it."""

    def __init__(self, booted: HeadlessSlicer, name: str, size: tuple[int, int]) -> None:
        super().__init__(booted, size)
        slicer = importSlicer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._initialize(
            slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(),
            ("vtkMRMLModelSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D"),
        )
        # Two-dimensional actors draw in the order in which they were added: the image comes before the segmentations.
        self.mapper = vtk.vtkImageMapper()
        self.mapper.SetColorWindow(255)
        self.mapper.SetColorLevel(127.5)
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(self.mapper)
        self.actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self.actor)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(booted.applicationLogic)
        self.logic.SetMRMLScene(booted.scene)
        self.node = self.logic.AddSliceNode(name)
        self.group.SetMRMLDisplayableNode(self.node)

    def show(self, background: vtkMRMLVolumeNode, foreground: vtkMRMLVolumeNode | None, opacity: float) -> None:
        """Put two volumes on top of each other; `opacity` is the foreground's."""
        composite = self.logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(background.GetID())
        if foreground is not None:
            composite.SetForegroundVolumeID(foreground.GetID())
            composite.SetForegroundOpacity(opacity)

    def look(self, orientation: str, centre: tuple[float, float, float], field_mm: tuple[float, float]) -> None:
        """Cut at `centre` (RAS, mm), with at least `field_mm` (width, height) in view."""
        width, height = self.window.GetSize()
        self.node.SetOrientation(orientation)
        self.logic.ResizeSliceNode(width, height)
        scale = max(field_mm[0] / width, field_mm[1] / height)
        self.node.SetFieldOfView(scale * width, scale * height, self.node.GetFieldOfView()[2])
        self.node.JumpSliceByCentering(*centre)

    def pixels(self) -> Rgb:
        """Draw the slice and return it (rows from the top, columns, RGB)."""
        self.logic.UpdatePipeline()
        self.mapper.SetInputConnection(self.logic.GetImageDataConnection())
        return super().pixels()


class SurfaceView(_View):
    """Segmentation surfaces in a Slicer 3-D view."""

    managers: tuple[str, ...] = (
        "vtkMRMLCameraDisplayableManager",
        "vtkMRMLViewDisplayableManager",
        "vtkMRMLModelDisplayableManager",
        "vtkMRMLSegmentationsDisplayableManager3D",
    )

    def __init__(self, booted: HeadlessSlicer, name: str, size: tuple[int, int]) -> None:
        super().__init__(booted, size)
        slicer = importSlicer()
        self._initialize(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), self.managers)
        # Depth peeling, which lets translucent surfaces lie inside each other, needs alpha planes and no multisampling.
        self.window.SetMultiSamples(0)
        self.window.SetAlphaBitPlanes(1)
        self.renderer.SetUseFXAA(True)
        self.renderer.SetUseDepthPeeling(True)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(booted.applicationLogic)
        self.logic.SetMRMLScene(booted.scene)
        self.node = self.logic.AddViewNode(name)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self.node.SetBackgroundColor(0.03, 0.04, 0.05)
        self.node.SetBackgroundColor2(0.16, 0.19, 0.23)
        self.group.SetMRMLDisplayableNode(self.node)

    def look(self, centre: NDArray[np.float64], towards: NDArray[np.float64], radius_mm: float) -> None:
        """Look at `centre` (RAS, mm) against the direction `towards`, a ball of `radius_mm` in view, head up."""
        camera = self.renderer.GetActiveCamera()
        distance = radius_mm / np.sin(np.radians(camera.GetViewAngle() / 2))
        camera.SetFocalPoint(*(float(value) for value in centre))
        camera.SetPosition(*(float(value) for value in centre + distance * towards / np.linalg.norm(towards)))
        camera.SetViewUp(0, 0, 1)
        camera.OrthogonalizeViewUp()
        self.renderer.ResetCameraClippingRange()
