"""A stand-in for the application's views: what its layout manager puts into the scene, without windows.

The layout logic and the slice logics are Slicer's own. In the application `qMRMLLayoutManager` shows a widget for each
view of the layout; a slice widget brings a slice logic with its composite node, a 3-D widget a camera node.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

WIDTH, HEIGHT = 400, 300


class Views:
    """Keeps a slice logic or a camera for every view of the scene's layout."""

    def __init__(self, scene: Any, applicationLogic: Any) -> None:
        self._scene, self._applicationLogic = scene, applicationLogic
        self._sliceLogics = vtk.vtkCollection()
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLScene(scene)
        applicationLogic.SetSliceLogics(self._sliceLogics)
        self.layoutNode = self._layoutLogic.GetLayoutNode()
        self.layoutNode.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.layoutNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onLayout)
        scene.AddObserver(scene.EndCloseEvent, self._onLayout)
        self._onLayout()

    def _onLayout(self, *_unused: Any) -> None:
        views = self._layoutLogic.GetViewNodes()
        for number in range(views.GetNumberOfItems()):
            node = views.GetItemAsObject(number)
            if node.IsA("vtkMRMLSliceNode") and not self._hasLogic(node):
                self._addSlice(node)
            elif node.IsA("vtkMRMLViewNode") and not self._hasCamera(node):
                camera = self._scene.AddNewNodeByClass("vtkMRMLCameraNode")
                camera.SetLayoutName(node.GetLayoutName())

    def _addSlice(self, node: Any) -> None:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._applicationLogic)
        logic.SetMRMLScene(self._scene)
        logic.SetSliceNode(node)
        logic.ResizeSliceNode(WIDTH, HEIGHT)
        self._sliceLogics.AddItem(logic)

    def _hasLogic(self, node: Any) -> bool:
        count = self._sliceLogics.GetNumberOfItems()
        return any(self._sliceLogics.GetItemAsObject(number).GetSliceNode() is node for number in range(count))

    def _hasCamera(self, node: Any) -> bool:
        name = "vtkMRMLCameraNode"
        cameras = [self._scene.GetNthNodeByClass(i, name) for i in range(self._scene.GetNumberOfNodesByClass(name))]
        return any(camera.GetLayoutName() == node.GetLayoutName() for camera in cameras)
