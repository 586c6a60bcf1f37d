"""The grid on which a segmentation is edited: small boxes of it in the world, and label maps that fit it exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import vtk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .boxes import Box, boxAround, subGrid
from .labelmaps import Mask, orientedLabelmap
from .transforms import Matrix, geometryFromIjkToRas, isSheared, linearToWorld, matrixToArray

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode, vtkOrientedImageData


@dataclass(frozen=True)
class EditorGrid:
    """`world` is the grid in LPS, `own` its index-to-RAS matrix below the segmentation's parent transforms.

    `first` is the index (z, y, x) that the editor gives to the first voxel of `world`.
    """

    world: Geometry
    own: Matrix
    first: tuple[int, int, int]

    @classmethod
    def of(cls, reference: vtkOrientedImageData | None, segmentation: vtkMRMLSegmentationNode) -> EditorGrid:
        """From the editor's reference geometry. Raises `BadInputError` without one, or under a transform that bends."""
        extent = reference.GetExtent() if reference is not None else (0, -1, 0, -1, 0, -1)
        size = (extent[1] - extent[0] + 1, extent[3] - extent[2] + 1, extent[5] - extent[4] + 1)
        if reference is None or min(size) < 1:
            sentence = _("The segmentation has no grid yet.")
            raise BadInputError(sentence, _("Choose a source volume in the Segment Editor."))
        matrix = vtk.vtkMatrix4x4()
        reference.GetImageToWorldMatrix(matrix)
        own = matrixToArray(matrix)
        toWorld = linearToWorld(segmentation)
        if toWorld is None or isSheared(toWorld @ own):
            sentence = _("The segmentation lies under a transform that bends or shears.")
            raise BadInputError(sentence, _("Harden the transform in the Data module, or edit before transforming."))
        world = toWorld @ own
        world[:, 3] = world @ np.array([*extent[0::2], 1.0])
        return cls(geometryFromIjkToRas(world, size), own, (extent[4], extent[2], extent[0]))

    def around(self, points: Matrix, margin_mm: float = 0.0) -> Box | None:
        """The box that holds LPS points (N, 3) and a margin, within the grid; None when they miss it."""
        return boxAround(self.world, points, margin_mm)

    def geometry(self, box: Box) -> Geometry:
        """A box of the grid in the world."""
        return subGrid(self.world, box)

    def labelmap(self, mask: Mask, box: Box) -> vtkOrientedImageData:
        """What the editor takes for an edit: ones where `mask` (z, y, x, on `box`) is true."""
        z, y, x = (axis.start + first for axis, first in zip(box, self.first, strict=True))
        return orientedLabelmap(mask, self.own, (z, y, x))
