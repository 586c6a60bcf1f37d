"""What a session begins with: read, put into the scene, and refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed")

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.headless import bootHeadless
from PETCTFusionSegLib.mrml.reference_segment import segmentChoices
from PETCTFusionSegLib.mrml.saving import saveSegmentation
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode
from PETCTFusionSegLib.web.opening import addStudy, readStudy
from PETCTFusionSegLib.web.start import SessionStart

_STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def files(tmp_path):
    """A small CT, a PET of another grid, and a cube as the reference."""
    grid = Geometry((16, 14, 12), (2.0, 2.0, 3.0), (-10.0, 5.0, 100.0), _STRAIGHT)
    coarse = Geometry((8, 7, 9), (4.0, 4.0, 4.0), (-9.0, 6.0, 101.0), _STRAIGHT)
    generator = np.random.default_rng(3)
    mask = np.zeros(grid.shape, dtype=np.uint8)
    mask[4:8, 5:9, 6:10] = 1
    made = {
        "ct": grid.image(generator.integers(-1000, 1200, grid.shape).astype(np.int16)),
        "pet": coarse.image((generator.random(coarse.shape) * 8).astype(np.float32)),
        "reference": grid.image(mask),
    }
    paths = {}
    for name, image in made.items():
        paths[name] = tmp_path / f"{name}.nii.gz"
        sitk.WriteImage(image, str(paths[name]))
    return paths


def test_a_start_survives_its_way_as_json():
    start = SessionStart(Path("a b"), ct=Path("ct.nii.gz"), phantomSeed=4, teaching=True, device="cpu")
    assert SessionStart.fromJson(start.toJson()) == start
    assert "\n" not in start.toJson()


def test_files_become_nodes_with_their_voxels(tmp_path, files):
    start = SessionStart(tmp_path, petUnits="suvbw", segmentation=files["reference"], **files)
    study = readStudy(start)
    assert study is not None
    scene = bootHeadless().scene
    nodes = addStudy(scene, study)
    assert nodes.ct.GetName() == "ct CT"
    assert np.array_equal(sitk.GetArrayFromImage(imageFromVolumeNode(nodes.ct)), sitk.GetArrayFromImage(study.ct))
    for node in (nodes.reference, nodes.output):
        segmentId = node.GetSegmentation().GetNthSegmentID(0)
        found = sitk.GetArrayFromImage(segmentImage(node, segmentId, study.ct))
        assert np.array_equal(found != 0, sitk.GetArrayFromImage(study.references.found[0].mask) != 0)
    assert nodes.extra is None


def test_the_segments_of_a_reference_keep_their_names(tmp_path, files):
    scene = bootHeadless().scene
    opened = addStudy(scene, readStudy(SessionStart(tmp_path, ct=files["ct"], reference=files["reference"])))
    segmentation = opened.reference.GetSegmentation()
    segmentation.AddEmptySegment("Heart", "Heart")
    setSegmentImage(opened.reference, "Heart", sitk.ReadImage(str(files["reference"])))
    file = saveSegmentation(opened.reference, tmp_path / "plan.seg.nrrd")
    again = addStudy(scene, readStudy(SessionStart(tmp_path, ct=files["ct"], reference=file))).reference
    assert again.GetName() == "Reference"
    assert sorted(segmentChoices(again).values()) == ["Heart", "Tumor"]
    assert again.GetDisplayNode().GetOpacity2DFill() == 0.0


def test_nothing_given_is_an_empty_session(tmp_path):
    assert readStudy(SessionStart(tmp_path)) is None


def test_the_phantom_follows_its_seed(tmp_path):
    first, second = (readStudy(SessionStart(tmp_path, phantomSeed=seed)) for seed in (1, 2))
    assert first.references.found
    assert sitk.GetArrayFromImage(first.references.found[0].mask).any()
    assert not np.array_equal(sitk.GetArrayFromImage(first.ct), sitk.GetArrayFromImage(second.ct))


def test_a_file_that_is_no_volume_is_refused(tmp_path):
    rubbish = tmp_path / "ct.nii.gz"
    rubbish.write_text("not a volume")
    with pytest.raises(BadInputError):
        readStudy(SessionStart(tmp_path, ct=rubbish))
