"""A contour of one block in a real scene, and strokes of the brush into it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage
from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.web.drawing.brush import Stroke, gridOfSegment

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
LPS = np.array([-1.0, -1.0, 1.0])
BALL = (slice(15, 25), slice(18, 30), slice(20, 34))


def study(scene, direction=STRAIGHT, labels=1):
    """CT, and a segmentation with a block; the grid has 44 x 48 x 50 voxels (z, y, x) of 3 x 2 x 2 mm."""
    grid = Geometry((50, 48, 44), (2.0, 2.0, 3.0), (-40.0, 30.0, -200.0), direction)
    ct = volumeNodeFromImage(scene, grid.image(np.zeros(grid.shape, np.int16)), "CT", "CT")
    values = np.zeros(grid.shape, np.uint8)
    values[BALL] = 1
    specs = [
        LabelSpec(value=n + 1, name=f"Label {n}", terminology=NEOPLASM, color=(230, 80, 60)) for n in range(labels)
    ]
    node = createSegmentation(scene, grid.image(values), specs, ct, "Contour", {})
    return grid, ct, node


def voxels(node, grid, place=0):
    identifier = node.GetSegmentation().GetNthSegmentID(place)
    return sitk.GetArrayFromImage(segmentImage(node, identifier, grid.empty())) != 0


def ras(grid, index_zyx):
    """World RAS of a continuous index."""
    x, y, z = grid.points(np.array([index_zyx[::-1]], dtype=float))[0] * LPS
    return float(x), float(y), float(z)


def normalOf(grid, axis_zyx):
    x, y, z = grid.axes[:, 2 - axis_zyx] * LPS
    return float(x), float(y), float(z)


def stroke(node, grid, path, settings, inside=True, axis=0, pet=None):
    segment = gridOfSegment(node, node.GetSegmentation().GetNthSegmentID(0))
    one = Stroke(segment, settings, inside, normalOf(grid, axis), pet, SuvStamp())
    for point in path:
        one.draw([ras(grid, point)])
    return one


PATH = [(20.0, 10.3, 8.2), (20.0, 14.9, 30.1), (20.0, 33.0, 41.7)]
