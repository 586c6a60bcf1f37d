"""A result and its reference of two balls each as nodes, followed; and the cells of a table."""

import time

import numpy as np
import SimpleITK as sitk

from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml import live_tables
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, setSegmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())
AXIAL = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
SHAPE = (30, 36, 40)


def ball(centre, radius, shape=SHAPE, spacing=(3.0, 2.0, 2.0)):
    index = np.indices(shape)
    squares = sum(((i - c) * s) ** 2 for i, c, s in zip(index, centre, spacing, strict=True))
    return squares < radius * radius


TRUTH = ball((10, 15, 15), 14) | ball((22, 28, 30), 7)
RESULT = ball((10, 15, 16), 14) | ball((24, 6, 6), 6)


class Followed:
    def __init__(self, scene, direction=AXIAL):
        self.scene = scene
        self.grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), direction)
        self.ct = volumeNodeFromImage(scene, self.grid.image(np.zeros(SHAPE, np.int16)), "CT", "CT")
        self.prediction, self.reference = self.node(RESULT, "Result"), self.node(TRUTH, "Truth")
        self.live = LiveComparisons(scene)
        self.live.follow(self.prediction, self.reference)
        self.settle()

    def node(self, mask, name):
        spec = LabelSpec(value=1, name=name, terminology=NEOPLASM, color=(200, 0, 0))
        return createSegmentation(self.scene, self.grid.image(mask.astype(np.uint8)), [spec], self.ct, name, {})

    def edit(self, mask, node=None, name="Result"):
        setSegmentImage(node or self.prediction, name, self.grid.image(mask.astype(np.uint8)))
        self.live.flush()
        self.settle()

    def settle(self):
        assert self.live.wait(20)
        self.live.poll()

    @property
    def row(self):
        return self.live.rows()[0]

    def lesions(self):
        for _ in range(2000):
            table, complete = live_tables.updateLesionTable(self.scene, self.live.rows())
            if complete:
                return table
            time.sleep(0.002)
        raise AssertionError("no lesions")


def cells(table):
    columns = [table.GetTable().GetColumn(i) for i in range(table.GetNumberOfColumns())]
    rows = columns[0].GetNumberOfValues()
    return [{c.GetName(): c.GetValue(i) for c in columns} for i in range(rows)]
