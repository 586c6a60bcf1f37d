"""Looking at a study: the usual hanging, windows, how much of the PET lies over the CT, and keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from PETCTFusionSegLib.mrml.hanging import LAYOUT, PET_OPACITY, petOpacity
from PETCTFusionSegLib.mrml.mip import MIP_VIEW, canProject, displayOf

from .application import SlicerApplication, require
from .steps import chooseStudy
from .study import BALL_CENTRE_MM, BALL_RADIUS_MM

_SLICES = ("Red", "Green", "Yellow")
_NORMALS = {"Red": 2, "Green": 1, "Yellow": 0}


def oneClickGivesTheUsualHanging(app: SlicerApplication) -> None:
    """One button shows the PET over the CT in linked slices through the hottest place, and its projection."""
    study = chooseStudy(app)
    layout = app.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is None:
        return  # Started without a main window, the application has no views.
    before = layout.GetViewArrangement()
    try:
        app.click(app.ui.hangingButton)
        app.pause(0.2)
        require(layout.GetViewArrangement() == LAYOUT, f"the layout is {layout.GetViewArrangement()}")
        for name in _SLICES:
            _requireFused(_composite(app, name), study)
            _requireThroughBall(app.scene.GetSingletonNode(name, "vtkMRMLSliceNode"), _NORMALS[name])
        if canProject():
            view, display = app.scene.GetSingletonNode(MIP_VIEW, "vtkMRMLViewNode"), displayOf(study.pet)
            require(display is not None and display.GetVisibility(), "the projection is not shown")
            require(tuple(display.GetViewNodeIDs()) == (view.GetID(),), "the projection is shown in other views too")
            require(view.GetRaycastTechnique() == view.MaximumIntensityProjection, "the view does not project")
    finally:
        layout.SetViewArrangement(before)
    require(layout.GetViewArrangement() == before, "another layout does not take the hanging back")


def windowsAreOneClickOrOneKey(app: SlicerApplication) -> None:
    """Each window button and its key give the same range, and the buttons show which window there is."""
    study = chooseStudy(app)
    ct, pet = study.ct.GetDisplayNode(), study.pet.GetDisplayNode()
    wanted = (
        ("softTissueButton", "F2", ct, (-160.0, 240.0)),
        ("lungButton", "F3", ct, (-1350.0, 150.0)),
        ("boneButton", "F4", ct, (-500.0, 1300.0)),
        ("suv5Button", "F6", pet, (0.0, 5.0)),
        ("suv10Button", "F7", pet, (0.0, 10.0)),
        ("suv15Button", "F8", pet, (0.0, 15.0)),
    )
    for name, key, display, limits in wanted:
        button = getattr(app.ui, name)
        for act in (lambda button=button: app.click(button), lambda key=key: _press(app, key)):
            display.SetWindowLevelMinMax(1.0, 2.0)
            require(not button.checked, f"{name} is shown as chosen for another window")
            act()
            require(_window(display) == limits, f"{name} and {key} give {_window(display)}, not {limits}")
            require(button.checked, f"{name} is not shown as chosen")


def thePetIsFadedInAndOut(app: SlicerApplication) -> None:
    """The slider and three keys change how much of the PET lies over the CT."""
    study = chooseStudy(app)
    layout = app.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is None:
        return  # Started without a main window, the application has no views.
    before = layout.GetViewArrangement()
    app.click(app.ui.hangingButton)
    app.pause(0.1)
    try:
        _requireOpacity(app, study.pet, PET_OPACITY)
        app.ui.petOpacitySlider.value = 80
        _requireOpacity(app, study.pet, 0.8)
        for key, opacity in (("U", 0.9), ("U", 1.0), ("U", 1.0), ("D", 0.9), ("P", 0.0), ("P", 0.9)):
            _press(app, key)
            _requireOpacity(app, study.pet, opacity)
    finally:
        layout.SetViewArrangement(before)


def aPetInOtherUnitsKeepsItsWindow(app: SlicerApplication) -> None:
    """A range in SUV is refused with a sentence for a PET that does not say that it is SUV."""
    study = chooseStudy(app, unitsKnown=False)
    display = study.pet.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.5, 4000.0)
    app.click(app.ui.suv5Button)
    require(_window(display) == (0.5, 4000.0), "the window was changed")
    require("unknown units" in app.status, f"the panel says {app.status!r}")
    require(not app.ui.suv5Button.checked, "the button is shown as chosen")


def _press(app: SlicerApplication, key: str) -> None:
    """What the key does; no story sends real keys, because another window may have them."""
    found = [binding for binding in app.panel.bench.shortcuts.bindings if binding.key == key]
    require(len(found) == 1, f"the key {key} has {len(found)} meanings")
    found[0].function()


def _composite(app: SlicerApplication, name: str) -> Any:
    kind = "vtkMRMLSliceCompositeNode"
    nodes = [app.scene.GetNthNodeByClass(i, kind) for i in range(app.scene.GetNumberOfNodesByClass(kind))]
    return next(node for node in nodes if node.GetLayoutName() == name)


def _requireFused(composite: Any, study: Any) -> None:
    name = composite.GetLayoutName()
    require(composite.GetBackgroundVolumeID() == study.ct.GetID(), f"{name} does not show the CT")
    require(composite.GetForegroundVolumeID() == study.pet.GetID(), f"{name} does not show the PET")
    require(composite.GetLinkedControl() and composite.GetHotLinkedControl(), f"{name} is not linked")


def _requireThroughBall(view: Any, axis: int) -> None:
    """The slice cuts the ball: world RAS along its normal, mm."""
    centre = BALL_CENTRE_MM * (-1.0, -1.0, 1.0)
    place = view.GetSliceToRAS().GetElement(axis, 3)
    far = float(np.abs(place - centre[axis]))
    require(far < BALL_RADIUS_MM, f"{view.GetLayoutName()} is {far:.0f} mm from the centre of the ball")


def _requireOpacity(app: SlicerApplication, pet: Any, opacity: float) -> None:
    found = petOpacity(app.scene, pet)
    require(found is not None and abs(found - opacity) < 1e-6, f"the PET's opacity is {found}, not {opacity}")
    require(app.ui.petOpacitySlider.value == round(100 * opacity), "the slider does not follow")


def _window(display: Any) -> tuple[float, float]:
    return float(display.GetWindowLevelMin()), float(display.GetWindowLevelMax())


STORIES = (
    oneClickGivesTheUsualHanging,
    windowsAreOneClickOrOneKey,
    thePetIsFadedInAndOut,
    aPetInOtherUnitsKeepsItsWindow,
)
