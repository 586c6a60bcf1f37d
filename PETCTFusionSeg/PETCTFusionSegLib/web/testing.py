"""What is in the scene, for tests: the route exists only in a session that was ordered so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import web

from PETCTFusionSegLib.mrml.pet_colours import petColour
from PETCTFusionSegLib.mrml.transforms import arrayFromImage

if TYPE_CHECKING:
    from .session import WebSession

PATH = "/testing/state"


def addTestingRoute(application: web.Application, session: WebSession) -> None:
    """Before the application runs."""

    async def answer(request: web.Request) -> web.Response:
        del request
        return web.json_response(sceneState(session))

    application.add_routes([web.get(PATH, answer)])


def sceneState(session: WebSession) -> dict[str, Any]:
    """Volumes and how they are shown, voxels of every segment, where the slice views are, what was chosen and said."""
    scene, study = session.bench.scene, session.bench.study
    chosen = {name: getattr(study, name) for name in ("ct", "pet", "extra", "reference", "output")}
    return {
        "volumes": {node.GetName(): _volume(node) for node in scene.GetNodesByClass("vtkMRMLScalarVolumeNode")},
        "segments": {node.GetName(): _segments(node) for node in scene.GetNodesByClass("vtkMRMLSegmentationNode")},
        "slices": {node.GetName(): node.GetSliceOffset() for node in scene.GetNodesByClass("vtkMRMLSliceNode")},
        "opacity": [node.GetForegroundOpacity() for node in scene.GetNodesByClass("vtkMRMLSliceCompositeNode")],
        "drawn": {
            node.GetName(): bool(node.GetDisplayNode() and node.GetDisplayNode().GetVisibility())
            for node in scene.GetNodesByClass("vtkMRMLSegmentationNode")
        },
        "chosen": {name: node.GetName() if node is not None else None for name, node in chosen.items()},
        "status": session.page.state.status,
        "worker": session.bench.runner.workerPid,
        "pid": os.getpid(),
        "uploads": len(list(session.page.folder.glob("upload-*"))),
    }


def _volume(node: Any) -> dict[str, Any]:
    image, display = node.GetImageData(), node.GetDisplayNode()
    window = [display.GetWindowLevelMin(), display.GetWindowLevelMax()] if display is not None else None
    if image is None:
        return {}
    total = float(arrayFromImage(image).sum(dtype=np.float64))
    return {"size": image.GetDimensions(), "sum": total, "window": window, "color": petColour(node)}


def _segments(node: Any) -> dict[str, int]:
    """Voxels by segment name, the rejected ones too."""
    import slicer

    found = {}
    for segmentId in node.GetSegmentation().GetSegmentIDs():
        labelmap = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(segmentId, labelmap)
        extent = labelmap.GetExtent()
        empty = extent[0] > extent[1] or labelmap.GetPointData().GetScalars() is None
        name = node.GetSegmentation().GetSegment(segmentId).GetName()
        found[name] = 0 if empty else int(np.count_nonzero(arrayFromImage(labelmap)))
    return found
