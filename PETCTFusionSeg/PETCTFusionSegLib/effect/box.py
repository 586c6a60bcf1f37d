"""The network in a box: what it finds there is added to the selected segment, or becomes a new segmentation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import OrientedBox, boxAround, labelsOnGrid, subGrid
from PETCTFusionSegLib.mrml.imports import NodeHandle
from PETCTFusionSegLib.mrml.segmentations import createSegmentation
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode

from .edits import SegmentEdits, Target
from .local_run import LocalResult, LocalRun
from .options import ROI, EffectOptions, readOptions

NEW_BOX_MM = 80.0


class BoxTool:
    """The box counts as it lay when the run began; nothing outside it changes."""

    def __init__(self, edits: SegmentEdits, run: LocalRun, say: Callable[[str], None]) -> None:
        self._edits = edits
        self._run = run
        self._say = say

    def start(self, options: EffectOptions) -> None:
        """Run the network where the chosen ROI is. Raises `FusionError` when it cannot begin."""
        if options.roi is None:
            raise BadInputError(_("There is no box."), _('Click "New box", then move and size it in the views.'))
        box = OrientedBox.ofRoi(options.roi)
        if options.output == "new" and options.ct is not None:
            apply = partial(self._newSegmentation, NodeHandle(options.ct), box)
        else:
            apply = partial(self._addToSegment, self._edits.target(), box)
        self._run.start(options.ct, options.pet, box.corners(), apply)

    def addTo(self, scriptedEffect: Any) -> None:
        """A new ROI in the middle of the first slice view (of the CT where there is none), chosen at once."""
        scene, options = scriptedEffect.scene(), readOptions(scriptedEffect)
        view = scene.GetFirstNodeByClass("vtkMRMLSliceNode")
        if view is not None:
            toRas = view.GetSliceToRAS()
            centre = [toRas.GetElement(row, 3) for row in range(3)]
        elif options.ct is not None:
            bounds = [0.0] * 6
            options.ct.GetRASBounds(bounds)
            centre = [(bounds[axis] + bounds[axis + 1]) / 2 for axis in (0, 2, 4)]
        else:
            raise BadInputError(_("There is no CT to put a box into."), _("Choose it in the effect's options."))
        roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", scene.GenerateUniqueName(_("Network box")))
        roi.CreateDefaultDisplayNodes()
        roi.SetSize(NEW_BOX_MM, NEW_BOX_MM, NEW_BOX_MM)
        roi.SetCenterWorld(centre)
        scriptedEffect.setNodeReference(ROI, roi)

    def _addToSegment(self, target: Target, box: OrientedBox, found: LocalResult) -> None:
        grid = self._edits.grid(target)
        part = grid.around(box.corners())
        if part is None:
            raise BadInputError(_("The box lies outside the segmentation's grid."), _("Move it into the volume."))
        geometry = grid.geometry(part)
        inside = box.holds(geometry) & (labelsOnGrid(found.labels, geometry) != 0)
        wanted = self._edits.mask(target, geometry) | inside
        self._say(self._edits.changeText(target, self._edits.change(target, grid, part, wanted)))

    def _newSegmentation(self, handle: NodeHandle, box: OrientedBox, found: LocalResult) -> None:
        import slicer

        ct = handle.nodeIn(slicer.mrmlScene)
        if ct is None:
            sentence = _('The CT "{name}" was removed meanwhile, so the result was dropped.')
            raise BadInputError(sentence.format(name=handle.name), _("Load it and repeat."))
        grid = geometryOfVolumeNode(ct)
        part = boxAround(grid, box.corners())
        labels = np.zeros(grid.shape, dtype=np.uint8)
        if part is not None:
            geometry = subGrid(grid, part)
            labels[part] = labelsOnGrid(found.labels, geometry) * box.holds(geometry)
        name = _("{ct} tumor in a box").format(ct=ct.GetName())
        specs = found.model.card.labels
        node = createSegmentation(ct.GetScene(), grid.image(labels), specs, ct, name, found.provenance)
        self._say(_('The result is in the new segmentation "{name}".').format(name=node.GetName()))
