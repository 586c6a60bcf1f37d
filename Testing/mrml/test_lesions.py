"""The list of lesions on real nodes: numbers against numpy, edits, rejection, decisions that survive."""

import json
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from petctfusion.errors import BadInputError
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml import rejected
from PETCTFusionSegLib.mrml.headless import moduleLogic
from PETCTFusionSegLib.mrml.lesion_decisions import (
    DECISIONS_ATTRIBUTE,
    decide,
    decisionsOf,
    readRecords,
    reopenStatus,
    showStatus,
)
from PETCTFusionSegLib.mrml.lesion_list import LesionList
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

SHAPE, SPACING = (30, 36, 40), (3.0, 2.0, 2.0)
OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())


def ball(centre, radius):
    squares = sum(((i - c) * s) ** 2 for i, c, s in zip(np.indices(SHAPE), centre, SPACING, strict=True))
    return squares < radius * radius


BIG, SMALL, NODE = ball((10, 15, 15), 14), ball((22, 28, 30), 7), ball((22, 8, 30), 6)


class Study:
    """A tumor of two balls and a node segment in one shared layer, and a PET on the same grid."""

    def __init__(self, scene):
        self.scene = scene
        self.grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), OBLIQUE)
        self.ct = volumeNodeFromImage(scene, self.grid.image(np.zeros(SHAPE, np.int16)), "CT", "CT")
        self.suv = np.random.default_rng(5).uniform(1, 20, SHAPE).astype(np.float32)
        self.pet = volumeNodeFromImage(scene, self.grid.image(self.suv), "PET", "PET")
        labels = (BIG | SMALL).astype(np.uint8) + 2 * NODE.astype(np.uint8)
        specs = [LabelSpec(value, name, NEOPLASM, (200, 0, 0)) for value, name in ((1, "Tumor"), (2, "Node"))]
        self.node = createSegmentation(scene, self.grid.image(labels), specs, self.ct, "Result", {})
        self.edits = 0
        self.list = LesionList(scene, self.edited)
        self.list.follow(self.node, "Tumor", self.pet)
        self.settle()

    def edited(self):
        self.edits += 1

    def settle(self):
        self.list.flush()
        for _ in range(2000):
            if not self.list.busy:
                return self.list.rows
            self.list.poll(0.01)
        raise AssertionError("no lesions")

    def mask(self, segmentId):
        return sitk.GetArrayFromImage(segmentImage(self.node, segmentId, self.ct)) > 0

    def draw(self, mask, segmentId="Tumor"):
        setSegmentImage(self.node, segmentId, self.grid.image(mask.astype(np.uint8)))
        return self.settle()

    def rejected(self):
        return self.mask(rejected.rejectedSegmentOf(self.node, "Tumor"))

    def status(self):
        return moduleLogic("segmentations").GetSegmentStatus(self.node.GetSegmentation().GetSegment("Tumor"))


@pytest.fixture
def study(scene):
    made = Study(scene)
    yield made
    made.list.close()


def test_numbers_are_those_of_numpy(study):
    assert [row.number for row in study.list.rows] == [1, 2]
    for row, mask in zip(study.list.rows, (BIG, SMALL), strict=True):
        values = study.suv[mask].astype(float)
        assert row.lesion.volume_ml == pytest.approx(mask.sum() * 0.012)
        assert row.lesion.suv_max == pytest.approx(values.max())
        assert row.lesion.suv_mean == pytest.approx(values.mean())
        assert row.lesion.tlg == pytest.approx(values.sum() * 0.012)
        centre = study.grid.points(np.argwhere(mask).mean(axis=0)[None, ::-1])[0] * (-1, -1, 1)
        np.testing.assert_allclose(row.centre, centre, atol=1e-6)
        index = study.grid.indices(np.array([row.point]) * (-1, -1, 1))[0].round().astype(int)
        assert mask[tuple(index[::-1])]
    assert study.list.sentence == ""


def test_the_point_of_a_ring_lies_in_the_ring(study):
    ring = ball((15, 18, 20), 16) & ~ball((15, 18, 20), 11)
    (row,) = study.draw(ring)
    index = study.grid.indices(np.array([row.point]) * (-1, -1, 1))[0].round().astype(int)
    assert ring[tuple(index[::-1])]


def test_edits_are_followed_and_renames_measure_nothing_else(study):
    before = study.edits
    rows = study.draw(BIG | SMALL | ball((5, 30, 8), 5))
    assert study.edits > before
    assert len(rows) == 3
    assert study.draw(np.zeros(SHAPE, bool)) == []
    assert not study.list.flush()


def test_unknown_units_give_volumes_only_and_declaring_them_gives_suv(study):
    other = volumeNodeFromImage(study.scene, study.grid.image(study.suv), "Plain", "MR")
    study.list.follow(study.node, "Tumor", other)
    (first, _) = study.settle()
    assert first.lesion.suv_max is None
    assert first.lesion.volume_ml == pytest.approx(BIG.sum() * 0.012)
    assert 'The PET "Plain" is in unknown units' in study.list.sentence
    other.SetAttribute("PETCTFusionSeg.PETUnits", "SUVbw")
    (first, _) = study.settle()
    assert first.lesion.suv_max == pytest.approx(study.suv[BIG].max())
    assert study.list.sentence == ""


def test_activity_without_dicom_files_and_no_pet_are_said(study):
    study.pet.SetAttribute("PETCTFusionSeg.PETUnits", "BQML")
    assert study.settle()[0].lesion.tlg is None
    assert "DICOM files are not in Slicer's database" in study.list.sentence
    study.list.follow(study.node, "Tumor", None)
    assert study.settle()[0].lesion.tlg is None
    assert study.list.sentence == "Volumes only: no PET is chosen."


def test_activity_becomes_suv_by_the_dicom_headers_of_its_files(study, tmp_path, monkeypatch):
    item = Dataset()
    item.RadiopharmaceuticalStartTime, item.RadionuclideTotalDose = "100000", "350000000"
    item.RadionuclideHalfLife = "6586.2"
    header = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID, header.Modality = "1.2.840.10008.5.1.4.1.1.128", "1.2.3", "PT"
    header.Units, header.DecayCorrection, header.CorrectedImage = "BQML", "START", ["DECY", "ATTN"]
    header.PatientWeight, header.SeriesDate, header.SeriesTime = "70", "20240310", "110000"
    header.AcquisitionDate, header.AcquisitionTime = "20240310", "110000"
    header.RadiopharmaceuticalInformationSequence = [item]
    header.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    database = SimpleNamespace(fileForInstance=lambda uid: str(tmp_path / f"{uid}.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    study.pet.SetAttribute("DICOM.instanceUIDs", "1")
    study.pet.SetAttribute("PETCTFusionSeg.PETUnits", "BQML")
    factor = 70000 / (350e6 * math.exp(-math.log(2) * 3600 / 6586.2))
    lesion = study.settle()[0].lesion
    assert study.list.sentence == ""
    assert lesion.suv_max == pytest.approx(study.suv[BIG].max() * factor)
    assert lesion.suv_peak < lesion.suv_max
    assert lesion.tlg == pytest.approx(study.suv[BIG].astype(float).sum() * 0.012 * factor)
    del header.PatientWeight
    header.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    study.pet.Modified()
    study.list.follow(study.node, "Tumor", study.pet)
    assert study.settle()[0].lesion.suv_max is None
    assert "weight" in study.list.sentence.lower()


def test_nan_in_the_pet_leaves_volumes(study):
    study.suv[10, 15, 15] = np.nan
    study.list.follow(
        study.node, "Tumor", volumeNodeFromImage(study.scene, study.grid.image(study.suv), "Broken", "PET")
    )
    assert study.settle()[0].lesion.volume_ml == pytest.approx(BIG.sum() * 0.012)
    assert "NaN" in study.list.sentence


def test_deleted_nodes_and_segments_end_the_list(study):
    study.scene.RemoveNode(study.pet)
    assert study.settle()[0].lesion.suv_max is None
    study.node.GetSegmentation().RemoveSegment("Tumor")
    assert study.settle() == []
    assert study.list.followed[0] is None


def test_a_closed_scene_ends_the_list(study):
    study.scene.Clear(False)
    assert study.list.rows == []
    assert not study.list.busy


def test_rejecting_moves_exactly_the_lesion_and_taking_back_restores_it(study):
    rejected.rejectLesion(study.node, "Tumor", study.list.rows[1].place)
    np.testing.assert_array_equal(study.mask("Tumor"), BIG)
    np.testing.assert_array_equal(study.mask("Node"), NODE)
    np.testing.assert_array_equal(study.rejected(), SMALL)
    rows = study.settle()
    assert [(row.number, row.rejected, row.segmentId) for row in rows] == [(1, False, "Tumor"), (2, True, "Tumor")]
    assert rows[1].lesion.suv_max == pytest.approx(study.suv[SMALL].max())
    rejected.rejectLesion(study.node, "Tumor", rows[0].place)
    assert not study.mask("Tumor").any()
    for row in study.settle():
        rejected.takeBackLesion(study.node, "Tumor", row.place)
    np.testing.assert_array_equal(study.mask("Tumor"), BIG | SMALL)
    np.testing.assert_array_equal(study.mask("Node"), NODE)
    assert not study.rejected().any()
    assert study.node.GetSegmentation().GetNumberOfSegments() == 3


def test_taking_back_leaves_what_was_drawn_there_meanwhile(study):
    rejected.rejectLesion(study.node, "Tumor", study.list.rows[1].place)
    (_, small) = study.settle()
    # Over the rejected lesion, in whatever layer it is, as the editor's brush does.
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    shape = tuple(part.stop - part.start for part in small.place.box)
    labelmap = study.node.GetBinaryLabelmapInternalRepresentation("Tumor")
    brush = rejected._labelmap(np.ones(shape), small.place.box, labelmap)
    assert logic.SetBinaryLabelmapToSegment(brush, study.node, "Node", logic.MODE_MERGE_MASK)
    node = study.mask("Node")
    assert (node & SMALL).sum() == SMALL.sum()
    rejected.takeBackLesion(study.node, "Tumor", small.place)
    np.testing.assert_array_equal(study.mask("Node"), node)
    np.testing.assert_array_equal(study.mask("Tumor"), BIG | SMALL)


def test_rejecting_under_a_parent_transform(study):
    transform = study.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for i, value in enumerate((7.0, -3.0, 11.0)):
        matrix.SetElement(i, 3, value)
    transform.SetMatrixTransformToParent(matrix)
    before = study.list.rows[1].centre
    for node in (study.ct, study.pet, study.node):
        node.SetAndObserveTransformNodeID(transform.GetID())
    small = study.settle()[1]
    np.testing.assert_allclose(np.subtract(small.centre, before), (7, -3, 11), atol=1e-6)
    assert small.lesion.suv_max == pytest.approx(study.suv[SMALL].max())
    decide(study.node, small, "accepted")
    rejected.rejectLesion(study.node, "Tumor", study.list.rows[0].place)
    np.testing.assert_array_equal(study.mask("Tumor"), SMALL)
    transform.SetMatrixTransformToParent(vtk.vtkMatrix4x4())
    assert decisionsOf(readRecords(study.node), study.settle()) == ["rejected", "accepted"]


def test_a_bending_transform_is_said(study):
    bend = study.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    grid = vtk.vtkThinPlateSplineTransform()
    bend.SetAndObserveTransformToParent(grid)
    study.node.SetAndObserveTransformNodeID(bend.GetID())
    assert study.settle() == []
    assert "Harden the transform" in study.list.sentence


def test_a_stale_place_only_moves_what_is_still_there(study):
    small = study.list.rows[1]
    half = SMALL & (np.indices(SHAPE)[0] < 22)
    study.draw(BIG | half)
    rejected.rejectLesion(study.node, "Tumor", small.place)
    np.testing.assert_array_equal(study.rejected(), half)
    np.testing.assert_array_equal(study.mask("Tumor"), BIG)
    with pytest.raises(BadInputError, match="changed"):
        rejected.moveVoxels(study.node, small.place, "absent", "Tumor")


def test_rejected_lesions_are_no_contour_of_the_comparison(study):
    truth = volumeNodeFromImage(study.scene, study.grid.image((BIG | NODE).astype(np.uint8)), "truth", "labelmap")
    rejected.rejectLesion(study.node, "Tumor", study.list.rows[1].place)
    live = LiveComparisons(study.scene)
    live.follow(study.node, truth)
    assert live.wait(20)
    rows = live.rows()
    live.close()
    assert [row.name for row in rows] == ["Tumor", "Node", "All segments"]
    assert rows[-1].numbers.dice == 1.0


def test_decisions_survive_small_edits_and_lapse_after_large_ones(study):
    big, small = study.list.rows
    decide(study.node, big, "accepted")
    decide(study.node, small, "flagged")
    assert decisionsOf(readRecords(study.node), study.list.rows) == ["accepted", "flagged"]
    assert decisionsOf(readRecords(study.node), study.draw(np.roll(BIG, 1, 2) | SMALL)) == ["accepted", "flagged"]
    assert decisionsOf(readRecords(study.node), study.draw(BIG | ball((22, 28, 30), 11))) == ["accepted", "open"]
    assert decisionsOf(readRecords(study.node), study.draw(np.roll(BIG, 12, 2) | SMALL)) == ["open", "flagged"]
    assert decisionsOf(readRecords(study.node), study.draw(BIG | SMALL)) == ["accepted", "flagged"]
    decide(study.node, study.list.rows[1], "open")
    assert decisionsOf(readRecords(study.node), study.list.rows) == ["accepted", "open"]
    decide(study.node, study.list.rows[0], "flagged")
    assert [record.decision for record in readRecords(study.node)] == ["flagged"]


def test_lesions_that_grow_together_have_to_be_looked_at_again(study):
    one, other = ball((15, 18, 12), 9), ball((15, 18, 28), 6)
    bridge = np.zeros(SHAPE, bool)
    bridge[15, 18, 12:28] = True
    decide(study.node, study.draw(one | other)[0], "accepted")
    assert decisionsOf(readRecords(study.node), study.draw(one | other | bridge)) == ["accepted"]
    decide(study.node, study.draw(one | other)[1], "flagged")
    assert decisionsOf(readRecords(study.node), study.draw(one | other | bridge)) == ["open"]
    decide(study.node, study.list.rows[0], "accepted")
    assert decisionsOf(readRecords(study.node), study.list.rows) == ["accepted"]


def test_decisions_travel_with_a_saved_scene(study, tmp_path):
    decide(study.node, study.list.rows[1], "accepted")
    rejected.rejectLesion(study.node, "Tumor", study.list.rows[0].place)
    study.settle()
    assert decisionsOf(readRecords(study.node), study.list.rows) == ["rejected", "accepted"]
    study.scene.SetRootDirectory(str(tmp_path))
    for node in (study.node, study.pet, study.ct):
        node.AddDefaultStorageNode()
        suffix = ".seg.nrrd" if node is study.node else ".nrrd"
        node.GetStorageNode().SetFileName(str(tmp_path / f"{node.GetName()}{suffix}"))
        assert node.GetStorageNode().WriteData(node)
    study.scene.SetURL(str(tmp_path / "scene.mrml"))
    assert study.scene.Commit(str(tmp_path / "scene.mrml"))
    study.list.stop()
    study.scene.Clear(False)
    study.scene.SetURL(str(tmp_path / "scene.mrml"))
    assert study.scene.Connect()
    study.node = study.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    study.list.follow(study.node, "Tumor", study.scene.GetFirstNode("PET", "vtkMRMLScalarVolumeNode"))
    assert decisionsOf(readRecords(study.node), study.settle()) == ["rejected", "accepted"]


@pytest.mark.parametrize(
    "rubbish",
    ["", "{", "3", '"x"', "[1, null]", '[{"segment": "Tumor"}]', '[{"segment": "Tumor", "decision": "maybe", '
     '"volume_ml": 1, "samples": [[1, 2, 3]]}]', '[{"segment": 1, "decision": "accepted", "volume_ml": "x", '
     '"samples": [[1, 2]]}]', '[{"segment": "Tumor", "decision": "accepted", "volume_ml": 1, "samples": []}]'],
)  # fmt: skip
def test_rubbish_in_the_attribute_is_no_decision(study, rubbish):
    study.node.SetAttribute(DECISIONS_ATTRIBUTE, rubbish)
    assert decisionsOf(readRecords(study.node), study.list.rows) == ["open", "open"]
    decide(study.node, study.list.rows[0], "accepted")
    assert len(json.loads(study.node.GetAttribute(DECISIONS_ATTRIBUTE))) == 1


def test_the_status_of_the_segment_follows_the_decisions(study):
    logic = moduleLogic("segmentations")
    for decisions, status in (
        (["open", "accepted"], logic.InProgress),
        (["accepted", "rejected"], logic.Completed),
        (["accepted", "flagged"], logic.Flagged),
        ([], logic.InProgress),
    ):
        showStatus(study.node, "Tumor", decisions)
        assert study.status() == status
    showStatus(study.node, "Tumor", ["accepted"])
    reopenStatus(study.node, "Tumor", ["accepted", "open"])
    assert study.status() == logic.InProgress
    showStatus(study.node, "absent", ["accepted"])


def test_a_whole_body_with_fifty_lesions_is_copied_in_no_time(scene):
    shape = (200, 256, 256)
    grid = Geometry(shape[::-1], (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    mask = np.zeros(shape, np.uint8)
    rng = np.random.default_rng(0)
    for z, y, x in rng.integers(10, (190, 246, 246), (50, 3)):
        mask[z - 3 : z + 3, y - 4 : y + 4, x - 4 : x + 4] = 1
    ct = volumeNodeFromImage(scene, grid.image(mask.astype(np.int16)), "CT", "CT")
    pet = volumeNodeFromImage(scene, grid.image(mask.astype(np.float32)), "PET", "PET")
    node = createSegmentation(scene, grid.image(mask), [LabelSpec(1, "Tumor", NEOPLASM, (9, 9, 9))], ct, "R", {})
    lesions = LesionList(scene)
    lesions.follow(node, "Tumor", pet)
    while lesions.busy:
        lesions.poll(0.01)
    found = len(lesions.rows)
    segment = node.GetSegmentation().GetSegment("Tumor")
    started = time.perf_counter()
    segment.Modified()
    lesions.flush()
    blocked = time.perf_counter() - started
    for row in lesions.rows:
        decide(node, row, "accepted")
    records = readRecords(node)
    started = time.perf_counter()
    assert set(decisionsOf(records, lesions.rows)) == {"accepted"}
    looking = time.perf_counter() - started
    lesions.close()
    print(f"{found} lesions: {1000 * blocked:.0f} ms to copy after an edit, {1000 * looking:.0f} ms for the decisions")
    assert found > 30
    assert blocked < 1.0
    assert looking < 1.0
