"""The .seg.nrrd of the command line, read by two other programs."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli.segmentation_file import write_segmentation
from petctfusion.models import default_model


@pytest.fixture
def written(tmp_path):
    array = np.zeros((5, 6, 7), dtype=np.uint8)
    array[1:4, 2:4, 3:6] = 1
    labels = sitk.GetImageFromArray(array)
    labels.SetSpacing((1.0, 2.0, 3.0))
    labels.SetOrigin((-10.0, 20.0, 30.0))
    return array, write_segmentation(labels, default_model().card.labels, tmp_path / "result.seg.nrrd")


def test_slicerio_reads_name_code_and_voxels(written):
    slicerio = pytest.importorskip("slicerio")
    array, path = written
    spec = default_model().card.labels[0]
    segmentation = slicerio.read_segmentation(str(path))
    segment = segmentation["segments"][0]
    assert segment["name"] == spec.name
    assert segment["labelValue"] == 1
    assert segment["color"] == pytest.approx([channel / 255 for channel in spec.color], abs=1e-5)
    assert segment["terminology"]["type"][1] == spec.terminology.type.value
    assert np.array_equal(np.asarray(segmentation["voxels"]).T, array)


def test_slicer_itself_reads_it_as_a_segmentation_with_one_segment(written):
    pytest.importorskip("slicer")
    from PETCTFusionSegLib.mrml.headless import bootHeadless
    from PETCTFusionSegLib.mrml.saving import loadSegmentation

    _, path = written
    node = loadSegmentation(bootHeadless().scene, path)
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1
    assert segmentation.GetNthSegment(0).GetName() == default_model().card.labels[0].name
