"""Segmentations as .seg.nrrd files, read back by Slicer and by an independent reader."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio

from petctfusion.errors import BadInputError, OutputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.saving import loadSegmentation, saveSegmentation
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, editedSince, segmentImage
from PETCTFusionSegLib.mrml.terminology import segmentTag, terminologyOf


@pytest.fixture
def segmentation(scene, ct, ctImage, labelArray, specs):
    labels = Geometry.of(ctImage).image(labelArray)
    return createSegmentation(scene, labels, specs, ct, "Result", {"Model": "m", "Date": "2026-11-21"})


def test_slicerio_reads_voxels_terminology_colour_and_status(segmentation, tmp_path, labelArray, ctImage):
    read = slicerio.read_segmentation(saveSegmentation(segmentation, tmp_path / "result.seg.nrrd"))
    tumour = slicerio.segment_from_name(read, "Tumour")
    assert tumour["terminology"]["category"] == ["SCT", "49755003", "Morphologically Altered Structure"]
    assert tumour["terminology"]["type"] == ["SCT", "108369006", "Neoplasm"]
    assert tumour["status"] == "inprogress"
    assert tumour["tags"]["PETCTFusionSeg.Model"] == "m"
    np.testing.assert_allclose(tumour["color"], (230 / 255, 80 / 255, 60 / 255), atol=1e-5)
    inside = np.argwhere(read["voxels"] == tumour["labelValue"])
    points = inside @ read["ijkToLPS"][:3, :3].T + read["ijkToLPS"][:3, 3]
    expected = Geometry.of(ctImage).points(np.argwhere(labelArray == 1)[:, ::-1].astype(float))
    assert len(points) == len(expected)
    np.testing.assert_allclose(points.mean(axis=0), expected.mean(axis=0), atol=1e-3)


def test_slicer_reads_back_the_same_segments(scene, segmentation, ct, tmp_path, labelArray):
    back = loadSegmentation(scene, saveSegmentation(segmentation, tmp_path / "result.seg.nrrd"))
    ids = list(back.GetSegmentation().GetSegmentIDs())
    assert ids == list(segmentation.GetSegmentation().GetSegmentIDs())
    for value, segmentId in enumerate(ids, start=1):
        mask = sitk.GetArrayFromImage(segmentImage(back, segmentId, ct))
        np.testing.assert_array_equal(mask, labelArray == value)
        segment = back.GetSegmentation().GetSegment(segmentId)
        assert terminologyOf(segment) == terminologyOf(segmentation.GetSegmentation().GetSegment(segmentId))
        assert segmentTag(segment, "PETCTFusionSeg.Date") == "2026-11-21"


def test_saving_and_loading_is_not_an_edit(scene, segmentation, tmp_path):
    token = segmentation.GetAttribute("PETCTFusionSeg.Token")
    assert json.loads(token)
    back = loadSegmentation(scene, saveSegmentation(segmentation, tmp_path / "result.seg.nrrd"))
    assert editedSince(back, token) == []


def test_saving_leaves_one_file_and_does_not_touch_the_node(segmentation, tmp_path):
    storage = segmentation.GetStorageNode()
    saveSegmentation(segmentation, tmp_path / "new folder" / "result.seg.nrrd")
    assert [file.name for file in (tmp_path / "new folder").iterdir()] == ["result.seg.nrrd"]
    assert segmentation.GetStorageNode() is storage


def test_another_suffix_and_a_missing_file_are_refused(scene, segmentation, tmp_path):
    with pytest.raises(BadInputError, match=r"not a .seg.nrrd file name"):
        saveSegmentation(segmentation, tmp_path / "result.nii.gz")
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(BadInputError, match="could not be read"):
        loadSegmentation(scene, tmp_path / "absent.seg.nrrd")
    assert scene.GetNumberOfNodes() == nodes


def test_a_folder_that_is_a_file_is_an_output_error(segmentation, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        saveSegmentation(segmentation, tmp_path / "taken" / "result.seg.nrrd")
