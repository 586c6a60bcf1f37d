"""A booted scene and a small study for the tests that need real MRML nodes."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed")

from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.headless import bootHeadless
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())
FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def booted():
    slicer = bootHeadless()
    yield slicer
    slicer.clear()


@pytest.fixture
def scene(booted):
    return booted.scene


@pytest.fixture
def ctImage():
    values = np.random.default_rng(1).integers(-1000, 1500, (14, 22, 18)).astype(np.int16)
    return Geometry((18, 22, 14), (1.5, 2.0, 3.0), (-31.0, 17.0, 250.0), OBLIQUE).image(values)


@pytest.fixture
def ct(scene, ctImage):
    return volumeNodeFromImage(scene, ctImage, "CT", "CT")


@pytest.fixture
def specs():
    names = ("Tumour", "Lymph node", "Nothing found")
    return [
        LabelSpec(value=number, name=name, terminology=NEOPLASM, color=(230, 80, 60 * number))
        for number, name in enumerate(names, start=1)
    ]


@pytest.fixture
def labelArray():
    """Two labels apart from each other and from the border; the third label has no voxel."""
    values = np.zeros((14, 22, 18), dtype=np.uint8)
    values[3:7, 6:15, 2:9] = 1
    values[8:12, 4:9, 9:15] = 2
    return values
