"""Files of a study: complete, equal to the nodes, never over others, refused with one sentence."""

import csv
import resource
from contextlib import contextmanager

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
import vtk

from petctfusion.errors import BadInputError, OutputError
from petctfusion.metrics import compare
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml import delivery, rejected
from PETCTFusionSegLib.mrml.delivery import Delivery
from PETCTFusionSegLib.mrml.lesion_decisions import decide
from PETCTFusionSegLib.mrml.lesion_rows import copySegment, measureLesions
from PETCTFusionSegLib.mrml.saving import loadSegmentation
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

SHAPE = (20, 30, 26)
OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())
GRID = Geometry((26, 30, 20), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), OBLIQUE)


def box(*bounds):
    mask = np.zeros(SHAPE, np.uint8)
    mask[tuple(slice(a, b) for a, b in bounds)] = 1
    return mask


BIG, SMALL, NODE = box((3, 9), (4, 14), (3, 12)), box((13, 16), (20, 25), (18, 22)), box((13, 17), (3, 8), (18, 23))
TRUTH = np.roll(BIG, 1, 2)


class Study:
    def __init__(self, scene, folder):
        self.scene, self.folder = scene, folder
        self.ct = volumeNodeFromImage(scene, GRID.image(np.zeros(SHAPE, np.int16)), "CT", "CT")
        self.suv = np.random.default_rng(2).uniform(1, 9, SHAPE).astype(np.float32)
        self.pet = volumeNodeFromImage(scene, GRID.image(self.suv), "PET", "PET")
        specs = [LabelSpec(value, name, NEOPLASM, (200, 0, 0)) for value, name in ((1, "Tumor"), (2, "Node, left"))]
        labels = GRID.image(BIG | SMALL | 2 * NODE)
        self.node = createSegmentation(scene, labels, specs, self.ct, "CT tumor/1", {})
        self.reference = volumeNodeFromImage(scene, GRID.image(TRUTH), "truth", "labelmap")

    def deliver(self, folder=None, pet=True, reference=None):
        made = Delivery(self.scene, self.node, self.ct, self.pet if pet else None, reference)
        try:
            made.start(str(self.folder if folder is None else folder))
            for _ in range(3000):
                if made.poll(0.01):
                    break
            else:
                raise AssertionError("not done")
        finally:
            made.close()
        if made.error is not None:
            raise made.error
        return made


@pytest.fixture
def study(scene, tmp_path):
    return Study(scene, tmp_path)


def table(path):
    lines = path.read_text().splitlines()
    notes = [line for line in lines if line.startswith("#")]
    return notes, list(csv.DictReader(lines[len(notes) :]))


def test_every_file_holds_what_the_nodes_hold(study):
    rows = measureLesions(copySegment(study.node, "Tumor"), None, None)
    decide(study.node, rows[0], "accepted")
    rejected.rejectLesion(study.node, "Tumor", rows[1].place)
    made = study.deliver(reference=study.reference)
    assert made.notes == []
    names = [file.name for file in made.files]
    assert names == [f"CT tumor_1{ending}" for ending in delivery.ENDINGS]
    assert sorted(file.name for file in study.folder.iterdir()) == sorted(names)
    saved, labels, lesions, comparison = made.files

    read = slicerio.read_segmentation(saved)
    for name, mask in (("Tumor", BIG), ("Node, left", NODE), ("Rejected", SMALL)):
        segment = slicerio.segment_from_name(read, name)
        layer = read["voxels"] if read["voxels"].ndim == 3 else read["voxels"][segment["layer"]]
        assert np.count_nonzero(layer == segment["labelValue"]) == mask.sum()

    image = nibabel.load(labels)
    values = np.asarray(image.dataobj).T
    np.testing.assert_array_equal(values, BIG + 2 * NODE)
    corner = image.affine @ (3, 4, 3, 1)
    np.testing.assert_allclose(corner[:3] * (-1, -1, 1), GRID.points(np.array([[3.0, 4, 3]]))[0], atol=1e-3)

    notes, found = table(lesions)
    assert [(row["segment"], row["decision"]) for row in found] == [
        ("Tumor", "accepted"),
        ("Tumor", "rejected"),
        ("Node, left", "open"),
    ]
    for row, mask in zip(found, (BIG, SMALL, NODE), strict=True):
        uptake = study.suv[mask > 0].astype(float)
        assert float(row["mtv_ml"]) == pytest.approx(mask.sum() * 0.012, abs=1e-4)
        assert float(row["suv_max"]) == pytest.approx(uptake.max(), abs=1e-4)
        assert float(row["tlg"]) == pytest.approx(uptake.sum() * 0.012, abs=1e-3)
        assert float(row["s_mm"]) == pytest.approx(
            GRID.points(np.argwhere(mask).mean(axis=0)[None, ::-1])[0][2], abs=0.06
        )
    assert "# Label map: 2 = Node, left" in notes

    notes, found = table(comparison)
    direct = compare(GRID.image(BIG), GRID.image(TRUTH))
    assert [row["Segment"] for row in found] == ["Tumor", "Node, left", "All segments"]
    assert float(found[0]["Dice"]) == pytest.approx(direct.dice, abs=1e-4)
    assert float(found[0]["HD95 (mm)"]) == pytest.approx(direct.hd95_mm, abs=0.01)
    assert float(found[0]["NSD"]) == pytest.approx(direct.nsd, abs=1e-4)
    assert any("larger of the two directed 95th percentiles" in line for line in notes)


def test_nothing_is_overwritten(study):
    first = study.deliver()
    before = {file: file.read_bytes() for file in first.files}
    second = study.deliver()
    (study.folder / "CT tumor_1_3_lesions.csv").write_text("mine")
    third = study.deliver()
    assert [made.files[0].name for made in (second, third)] == ["CT tumor_1_2.seg.nrrd", "CT tumor_1_4.seg.nrrd"]
    assert {file: file.read_bytes() for file in first.files} == before
    assert (study.folder / "CT tumor_1_3_lesions.csv").read_text() == "mine"


def test_names_that_no_disk_takes_become_names(tmp_path):
    assert delivery.freeStem(tmp_path, '../a:b*"c"') == "_a_b_c_"
    assert delivery.freeStem(tmp_path, "...") == "Segmentation"
    assert delivery.freeStem(tmp_path, "Läsion 1") == "Läsion 1"


def test_without_pet_there_are_volumes_and_the_reason(study):
    made = study.deliver(pet=False)
    notes, found = table(made.files[2])
    assert found[0]["suv_max"] == found[0]["tlg"] == ""
    assert float(found[0]["mtv_ml"]) > 0
    assert "# Volumes only: no PET is chosen." in notes
    assert len(made.files) == 3


def test_under_a_parent_transform_files_are_equal_to_their_frames(study):
    transform = study.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 12.5)
    transform.SetMatrixTransformToParent(matrix)
    for node in (study.node, study.ct, study.pet):
        node.SetAndObserveTransformNodeID(transform.GetID())
    made = study.deliver()
    assert made.notes == ["The .seg.nrrd file is saved without the parent transform, as Slicer does."]
    back = loadSegmentation(study.scene, made.files[0])
    study.ct.SetAndObserveTransformNodeID(None)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(segmentImage(back, "Tumor", study.ct)), BIG | SMALL)
    assert sitk.ReadImage(str(made.files[1])).GetOrigin()[0] == pytest.approx(-40.0 - 12.5)


def test_overlap_other_grids_and_what_lies_beyond_are_said(study):
    setSegmentImage(study.node, "Node, left", GRID.image(NODE | box((3, 4), (4, 5), (3, 6))))
    made = study.deliver()
    assert made.notes == ["3 voxels lie in two segments: in the label map they belong to the first."]
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(made.files[1])))[3, 4, 3] == 1
    smaller = Geometry((26, 30, 8), GRID.spacing, GRID.origin, GRID.direction)
    other = volumeNodeFromImage(study.scene, smaller.image(np.zeros((8, 30, 26), np.int16)), "half", "CT")
    role = study.node.GetReferenceImageGeometryReferenceRole()
    study.node.SetNodeReferenceID(role, other.GetID())
    assert "leaves out what lies beyond" in " ".join(study.deliver().notes)
    coarse = Geometry((13, 15, 10), (4.0, 4.0, 6.0), GRID.origin, GRID.direction)
    other = volumeNodeFromImage(study.scene, coarse.image(np.zeros((10, 15, 13), np.int16)), "coarse", "CT")
    study.node.SetNodeReferenceID(role, other.GetID())
    assert "resampled" in " ".join(study.deliver().notes)
    study.node.SetNodeReferenceID(role, None)
    study.ct = None
    made = study.deliver()
    assert "There is no label map" in " ".join(made.notes)
    assert [file.suffix for file in made.files] == [".nrrd", ".csv"]


def test_a_comparison_that_is_impossible_is_a_note(study):
    far = Geometry(GRID.size, GRID.spacing, (9000.0, 0.0, 0.0), GRID.direction)
    other = volumeNodeFromImage(study.scene, far.image(TRUTH), "elsewhere", "labelmap")
    made = study.deliver(reference=other)
    assert len(made.files) == 4
    assert len(study.deliver(reference=study.node).files) == 3
    text = study.scene.AddNewNodeByClass("vtkMRMLTextNode")
    made = study.deliver(reference=text)
    assert "There is no comparison" in made.notes[0]


def test_nothing_to_save_is_refused(study):
    for segmentId in ("Tumor", "Node, left"):
        setSegmentImage(study.node, segmentId, GRID.image(np.zeros(SHAPE, np.uint8)))
    with pytest.raises(BadInputError, match=r"nothing to save: .* is empty"):
        study.deliver()
    study.node.GetSegmentation().RemoveAllSegments()
    with pytest.raises(BadInputError, match="nothing to save"):
        study.deliver()
    study.node = None
    with pytest.raises(BadInputError, match="nothing to save"):
        study.deliver()
    assert list(study.folder.iterdir()) == []


def test_an_empty_segment_beside_a_full_one_is_saved(study):
    setSegmentImage(study.node, "Node, left", GRID.image(np.zeros(SHAPE, np.uint8)))
    made = study.deliver()
    assert len(table(made.files[2])[1]) == 2


def test_folders_that_cannot_be_used_are_refused(study):
    (study.folder / "file").write_text("x")
    for folder, words in (("  ", "No folder"), (study.folder / "no such", "is not a folder"),
                          (study.folder / "file", "is not a folder")):  # fmt: skip
        with pytest.raises(OutputError, match=words):
            study.deliver(folder)


@contextmanager
def smallDisk(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [64, 1000])
def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(study, size):
    with smallDisk(size), pytest.raises(OutputError) as refused:
        study.deliver()
    assert "disk" in str(refused.value)
    for file in study.folder.iterdir():
        assert file.name.endswith(".seg.nrrd")
        loadSegmentation(study.scene, file)


@pytest.mark.parametrize("damaged", ["requireStored", "requireEqual"])
def test_a_file_that_reads_back_differently_is_not_called_saved(study, monkeypatch, damaged):
    check = getattr(delivery, damaged)

    def damage(path, wanted):
        if damaged == "requireEqual":
            sitk.WriteImage(sitk.ReadImage(str(path)) * 2, str(path))
        else:
            image = sitk.ReadImage(str(path))
            image[4, 5, 4] = 0
            sitk.WriteImage(image, str(path))
        check(path, wanted)

    monkeypatch.setattr(delivery, damaged, damage)
    with pytest.raises(OutputError, match="did not hold the same voxels"):
        study.deliver()
    names = [file.name for file in study.folder.iterdir()]
    assert names == (["CT tumor_1.seg.nrrd"] if damaged == "requireEqual" else [])
