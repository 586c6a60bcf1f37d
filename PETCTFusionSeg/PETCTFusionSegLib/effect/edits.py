"""What the effect does to a segment: always through the editor, which masks, overwrites and remembers for undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import Box
from PETCTFusionSegLib.mrml.editor_grid import EditorGrid
from PETCTFusionSegLib.mrml.imports import NodeHandle
from PETCTFusionSegLib.mrml.labelmaps import Mask
from PETCTFusionSegLib.mrml.segmentations import segmentImage


@dataclass(frozen=True)
class Target:
    """The segment that was selected when something was asked for."""

    segmentation: NodeHandle
    segmentId: str
    name: str


class SegmentEdits:
    """Reads and edits segments of the editor that an effect belongs to."""

    def __init__(self, scriptedEffect: Any) -> None:
        self._effect = scriptedEffect

    def target(self) -> Target:
        """The selected segment. Raises `BadInputError` when there is none."""
        editor = self._effect.parameterSetNode()
        node = editor.GetSegmentationNode() if editor is not None else None
        segmentId = str(editor.GetSelectedSegmentID() or "") if editor is not None else ""
        segment = node.GetSegmentation().GetSegment(segmentId) if node is not None else None
        if segment is None:
            raise BadInputError(_("No segment is selected."), _("Add one, or select one in the list."))
        return Target(NodeHandle(node), segmentId, str(segment.GetName()))

    def node(self, target: Target) -> Any:
        """The target's segmentation. Raises `BadInputError` when it, or the segment, cannot be edited here any more."""
        editor = self._effect.parameterSetNode()
        scene = editor.GetScene() if editor is not None else None
        node = target.segmentation.nodeIn(scene) if scene is not None else None
        if node is None or node.GetSegmentation().GetSegment(target.segmentId) is None:
            sentence = _('The segment "{name}" was deleted meanwhile, so the result was dropped.')
            raise BadInputError(sentence.format(name=target.name), _("Select another segment and repeat."))
        if editor.GetSegmentationNode() is not node:
            sentence = _('"{name}" is no longer in this editor, so the result was dropped.')
            raise BadInputError(sentence.format(name=node.GetName()), _("Select it again and repeat."))
        return node

    def grid(self, target: Target) -> EditorGrid:
        """The grid on which the target is edited. Raises `BadInputError`."""
        return EditorGrid.of(self._effect.referenceGeometryImage(), self.node(target))

    def mask(self, target: Target, grid: Geometry) -> Mask:
        """The segment's voxels (z, y, x) on a small world grid."""
        return np.asarray(sitk.GetArrayFromImage(segmentImage(self.node(target), target.segmentId, grid.empty())) != 0)

    def paint(self, target: Target, grid: EditorGrid, box: Box, add: Mask) -> None:
        """Add voxels (on `box` of `grid`) to the segment, within the masking; saves no state for undo."""
        self._modify(target, grid, box, add, "ModificationModeAdd")

    def change(self, target: Target, grid: EditorGrid, box: Box, wanted: Mask) -> float:
        """Bring the segment to `wanted` on `box`, within the masking, as one step of undo; the change in ml, signed.

        Only voxels that differ are touched; where none differs nothing is done and 0 is returned.
        """
        geometry = grid.geometry(box)
        before = self.mask(target, geometry)
        if np.array_equal(before, wanted):
            return 0.0
        self._effect.saveStateForUndo()
        self._modify(target, grid, box, wanted & ~before, "ModificationModeAdd")
        self._modify(target, grid, box, before & ~wanted, "ModificationModeRemove")
        after = self.mask(target, geometry)
        return (int(after.sum()) - int(before.sum())) * geometry.voxel_ml

    def changeText(self, target: Target, changeMl: float) -> str:
        """What `change` did, in one line."""
        if changeMl == 0:
            return _('Nothing changed in "{name}" here.').format(name=target.name)
        text = _('"{name}" grew by {ml} ml.') if changeMl > 0 else _('"{name}" shrank by {ml} ml.')
        return text.format(name=target.name, ml=f"{abs(changeMl):.1f}")

    def _modify(self, target: Target, grid: EditorGrid, box: Box, mask: Mask, mode: str) -> None:
        import slicer

        if mask.any():
            modes = slicer.qSlicerSegmentEditorAbstractEffect
            labelmap = grid.labelmap(mask, box)
            self._effect.modifySegmentByLabelmap(self.node(target), target.segmentId, labelmap, getattr(modes, mode))
