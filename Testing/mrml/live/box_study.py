"""A prediction of two boxes and its reference as nodes, followed; and the numbers of a row beside those of masks."""

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.metrics import dice, hd95_mm, volume_ml
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import createSegmentation
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

GRIDS = {
    "axial": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0),
    "oblique": tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix()),
    "flipped": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
}


def grid(direction="axial", size=(40, 36, 30), spacing=(2.0, 2.0, 3.0)):
    return Geometry(size, spacing, (-40.0, -36.0, -30.0), GRIDS[direction])


def box(z, y, x, shape=(30, 36, 40)):
    mask = np.zeros(shape, bool)
    mask[z[0] : z[1], y[0] : y[1], x[0] : x[1]] = True
    return mask


LEFT, RIGHT = box((5, 12), (5, 15), (5, 17)), box((18, 25), (20, 30), (22, 34))
TRUTH = box((6, 12), (5, 16), (6, 17)) | RIGHT


class Study:
    """A prediction of two segments, a reference of one, and what follows them."""

    def __init__(self, scene, where, reference="segmentation", direction="axial"):
        self.scene, self.grid = scene, where
        self.ct = volumeNodeFromImage(scene, where.image(np.zeros(where.shape, np.int16)), "CT", "CT")
        labels = (LEFT + 2 * RIGHT).astype(np.uint8)
        self.prediction = segmentation(scene, where, labels, self.ct, ("Left", "Right"))
        if reference == "segmentation":
            self.reference = segmentation(scene, where, TRUTH.astype(np.uint8), self.ct, ("Truth",))
        else:
            self.reference = volumeNodeFromImage(scene, where.image(TRUTH.astype(np.uint8)), "Truth", "labelmap")
        self.calls = []
        self.live = LiveComparisons(scene, lambda: self.calls.append(1))

    def follow(self, **arguments):
        self.live.follow(self.prediction, self.reference, **arguments)
        return self.numbers()

    def numbers(self):
        assert self.live.wait(20)
        self.live.poll()
        return {row.name: row for row in self.live.rows()}

    def edited(self):
        """Flush what is waiting, which must have been announced."""
        assert self.live.waiting
        self.live.flush()
        assert not self.live.waiting
        return self.numbers()

    def id(self, name, node=None):
        parts = (node or self.prediction).GetSegmentation()
        return next(key for key in parts.GetSegmentIDs() if parts.GetSegment(key).GetName() == name)

    def labelmap(self, name):
        return self.prediction.GetBinaryLabelmapInternalRepresentation(self.id(name))


def segmentation(scene, where, labels, ct, names):
    specs = [LabelSpec(value=i, name=name, terminology=NEOPLASM, color=(9, 9, i)) for i, name in enumerate(names, 1)]
    return createSegmentation(scene, where.image(labels), specs, ct, names[0], {})


def check(row, prediction, truth=TRUTH, where=None):
    where = where or grid()
    assert row.state == "current", row.sentence
    assert row.numbers.dice == dice(prediction, truth)
    assert row.numbers.hd95_mm == pytest.approx(hd95_mm(prediction, truth, where.spacing_zyx), abs=1e-9)
    assert row.volume_ml == pytest.approx(volume_ml(prediction, where.spacing_zyx), abs=1e-9)
    assert row.numbers.reference_volume_ml == pytest.approx(volume_ml(truth, where.spacing_zyx), abs=1e-9)
