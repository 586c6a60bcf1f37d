"""A Slicer scene without the desktop: boots what MRML needs on the `slicer-core` wheel.

In the desktop application nothing here is needed and nothing is replaced: `slicer.mrmlScene`, `slicer.modules` and
`slicer.app` are set only where they are absent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from petctfusion.errors import BadInputError

if TYPE_CHECKING:
    from slicer import vtkMRMLScene, vtkSlicerApplicationLogic

_MODULES = {
    "volumes": ("Volumes", "vtkSlicerVolumesLogic"),
    "volumerendering": ("VolumeRendering", "vtkSlicerVolumeRenderingLogic"),
    "terminologies": ("Terminologies", "vtkSlicerTerminologiesModuleLogic"),
    "segmentations": ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
    "sequences": ("Sequences", "vtkSlicerSequencesLogic"),
    "subjecthierarchy": ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
}


@dataclass
class HeadlessSlicer:
    """A booted scene; keep it alive as long as the scene is used (the logics observe the scene)."""

    scene: vtkMRMLScene
    applicationLogic: vtkSlicerApplicationLogic
    logics: dict[str, Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Close the scene as *File, Close Scene* does; colours and singletons stay usable."""
        self.scene.Clear(False)


def runsInDesktopSlicer() -> bool:
    """True inside the Slicer application, where scene, modules and views already exist."""
    slicer = importSlicer()
    return hasattr(slicer, "app") and not getattr(slicer.app, "isHeadlessStandIn", False)


def importSlicer() -> Any:
    """The `slicer` package; a `BadInputError` with a hint where it is not installed."""
    try:
        import slicer
    except ImportError as error:
        raise BadInputError(
            f"This needs 3D Slicer's libraries, which could not be imported: {error}.",
            'Install them with: pip install "petctfusion[slicer]".',
        ) from error
    return slicer


def bootHeadless(publish: bool = True) -> HeadlessSlicer:
    """A new scene with application logic, colours, segmentations, volumes, terminologies and subject hierarchy.

    With `publish` it becomes `slicer.mrmlScene`, unless there is one that was not made here. About 50 ms after the
    import of slicer. Works without any OpenGL library: views are made only by `views.py`.
    """
    slicer = importSlicer()
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetTemporaryPath(tempfile.gettempdir())
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    patientRightIsScreenLeft = True
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, patientRightIsScreenLeft)
    booted = HeadlessSlicer(scene, application)
    for key, (name, className) in _MODULES.items():
        booted.logics[key] = _addLogic(getattr(slicer, className)(), name, booted)
    _standIn(slicer, booted, publish)
    return booted


def adoptApplication(scene: vtkMRMLScene, application: vtkSlicerApplicationLogic) -> HeadlessSlicer:
    """Publish a scene that somebody else booted (a server without the desktop), and add the logics that it lacks."""
    booted = HeadlessSlicer(scene, application)
    for key, (name, className) in _MODULES.items():
        logic = application.GetModuleLogic(name)
        booted.logics[key] = logic or _addLogic(getattr(importSlicer(), className)(), name, booted)
    _standIn(importSlicer(), booted, publish=True)
    return booted


def moduleLogic(name: str) -> Any:
    """The logic of a Slicer module by its lower-case name, in the desktop or headless."""
    return getattr(importSlicer().modules, name).logic()


def _addLogic(logic: Any, name: str, booted: HeadlessSlicer) -> Any:
    """The application logic comes before the scene: some logics look for their share folder when the scene is set."""
    if hasattr(logic, "SetModuleShareDirectory"):
        logic.SetModuleShareDirectory(str(Path(__file__).parent))
    logic.SetMRMLApplicationLogic(booted.applicationLogic)
    with _quiet():
        logic.SetMRMLScene(booted.scene)
    booted.applicationLogic.SetModuleLogic(name, logic)
    return logic


@contextmanager
def _quiet() -> Iterator[None]:
    """The wheel ships no terminology files, which the terminology logic reports as six errors when it gets a scene."""
    from vtkmodules.vtkCommonCore import vtkObject

    before = vtkObject.GetGlobalWarningDisplay()
    vtkObject.SetGlobalWarningDisplay(0)
    try:
        yield
    finally:
        vtkObject.SetGlobalWarningDisplay(before)


def _standIn(slicer: Any, booted: HeadlessSlicer, publish: bool) -> None:
    """Give `slicer.util` and `moduleLogic` what they expect; only what is absent, or an earlier stand-in of ours."""
    ours = publish and getattr(getattr(slicer, "app", None), "isHeadlessStandIn", False)
    app = SimpleNamespace(
        isHeadlessStandIn=True,
        applicationName="PETCTFusionSeg",
        testingEnabled=lambda: True,
        applicationLogic=lambda: booted.applicationLogic,
        processEvents=lambda: None,
    )
    modules = SimpleNamespace(
        **{key: SimpleNamespace(logic=lambda logic=logic: logic) for key, logic in booted.logics.items()}
    )
    for name, value in (("mrmlScene", booted.scene), ("modules", modules), ("app", app)):
        if ours or not hasattr(slicer, name):
            setattr(slicer, name, value)
