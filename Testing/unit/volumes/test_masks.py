from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, MaskChoice, brings_grid, read_region

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((9, 8, 6), (2.0, 2.0, 3.0), (-10.0, -20.0, -30.0), UPRIGHT)
# As Slicer writes it: index to RAS, then the extent of the image that was segmented.
WHOLE = "Reference image geometry|-2;0;0;10;0;-2;0;20;0;0;3;-30;0;0;0;1;0;8;0;7;0;5;|&"


def written(path: Path, array: np.ndarray, grid: Geometry = GRID) -> Path:
    sitk.WriteImage(grid.image(array), str(path))
    return path


def labels(*values: int) -> np.ndarray:
    array = np.zeros(GRID.shape, np.uint8)
    for number, value in enumerate(values):
        array[1:4, 2 * number, 1:5] = value
    return array


def read(path: Path, **choice) -> np.ndarray:
    return sitk.GetArrayFromImage(read_region(path, MaskChoice(**choice)).image)


def segmentation(path: Path, layers: np.ndarray, segments: list[dict[str, object]], **fields: str) -> Path:
    """`layers` (layer, z, y, x) as Slicer lays them out: the layers of a voxel side by side, names in the header."""
    count, z, y, x = layers.shape
    many = count > 1
    header = {
        "type": "unsigned char",
        "dimension": "4" if many else "3",
        "space": "left-posterior-superior",
        "sizes": f"{count} {x} {y} {z}" if many else f"{x} {y} {z}",
        "space directions": ("none " if many else "") + "(2,0,0) (0,2,0) (0,0,3)",
        "kinds": ("list " if many else "") + "domain domain domain",
        "encoding": "raw",
        "space origin": fields.pop("origin", "(-10,-20,-30)"),
    }
    pairs = {f"Segment{i}_{key}": value for i, segment in enumerate(segments) for key, value in segment.items()}
    pairs |= {f"Segmentation_{key}": value for key, value in fields.items()}
    text = ["NRRD0004", *(f"{k}: {v}" for k, v in header.items()), *(f"{k}:={v}" for k, v in pairs.items()), "", ""]
    path.write_bytes("\n".join(text).encode() + np.moveaxis(layers, 0, -1).astype(np.uint8).tobytes())
    return path


@pytest.fixture
def two_layers(tmp_path) -> Path:
    """Two overlapping segments of value 1, and one of value 2 in the first layer."""
    layers = np.zeros((2, *GRID.shape), np.uint8)
    layers[0, 1:3, 1:4, 1:4], layers[0, 4, 5, 5] = 1, 2
    layers[1, 2:5, 2:5, 2:5] = 1
    segments = [
        {"ID": "Segment_1", "Name": "GTV primary", "LabelValue": 1, "Layer": 0},
        {"ID": "Segment_2", "Name": "Node", "LabelValue": 2, "Layer": 0},
        {"ID": "Segment_3", "Name": "Oedema", "LabelValue": 1, "Layer": 1},
    ]
    return segmentation(tmp_path / "s.seg.nrrd", layers, segments)


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nrrd", "m.mha"])
def test_without_a_label_all_that_is_not_zero_is_inside(tmp_path, name):
    path = written(tmp_path / name, labels(1, 4))
    assert np.array_equal(read(path), labels(1, 1))
    assert brings_grid(path)


def test_a_label_is_chosen_by_its_value(tmp_path):
    path = written(tmp_path / "m.nii.gz", labels(1, 4))
    assert np.array_equal(read(path, label="4"), labels(0, 1))


def test_a_label_that_is_not_there_is_empty_and_said_with_those_that_are(tmp_path):
    found = read_region(written(tmp_path / "m.nii.gz", labels(1, 4)), MaskChoice(label="3"))
    assert not sitk.GetArrayFromImage(found.image).any()
    assert found.missing == "3"
    assert "no label 3, only 1, 4" in found.notes[0]
    nothing = read_region(written(tmp_path / "e.nii.gz", labels()), MaskChoice(label="3"))
    assert "nothing at all" in nothing.notes[0]


def test_a_label_map_has_no_names(tmp_path):
    with pytest.raises(BadInputError, match=r"without names.*--label 1"):
        read(written(tmp_path / "m.nii.gz", labels(1)), label="tumour")


def test_probabilities_need_a_threshold(tmp_path):
    array = np.linspace(0, 1, np.prod(GRID.shape), dtype=np.float32).reshape(GRID.shape)
    path = written(tmp_path / "p.nii.gz", array)
    with pytest.raises(BadInputError, match=r"probabilities from 0 to 1.*--threshold 0\.5"):
        read(path)
    assert np.array_equal(read(path, threshold=0.25), array >= np.float32(0.25))


def test_whole_numbers_take_no_threshold(tmp_path):
    assert np.array_equal(read(written(tmp_path / "m.nii.gz", labels(1, 2)), threshold=0.7), labels(1, 1))


@pytest.mark.parametrize(
    ("value", "words"),
    [(-3.5, "not a mask"), (7.25, "not a mask"), (-1.0, "not a label map"), (np.nan, "not a number")],
)
def test_other_numbers_are_refused(tmp_path, value, words):
    array = labels(1).astype(np.float32)
    array[0, 0, 0] = value
    with pytest.raises(BadInputError, match=words):
        read(written(tmp_path / "m.nrrd", array), threshold=0.5)


def test_a_plane_and_a_film_are_refused(tmp_path):
    sitk.WriteImage(sitk.Image([8, 8], sitk.sitkUInt8), str(tmp_path / "plane.nrrd"))
    sitk.WriteImage(sitk.Image([8, 8, 8], sitk.sitkVectorUInt8, 2), str(tmp_path / "vectors.nrrd"))
    with pytest.raises(BadInputError, match="2-D"):
        read(tmp_path / "plane.nrrd")
    with pytest.raises(BadInputError, match="2 values per voxel"):
        read(tmp_path / "vectors.nrrd")


def test_segments_are_found_in_their_layers(two_layers):
    assert read(two_layers, label="GTV primary").sum() == 2 * 3 * 3
    assert read(two_layers, label="oedema").sum() == 27
    assert read(two_layers, label="Segment_2").sum() == 1
    assert read(two_layers, label="2").sum() == 1
    assert read(two_layers).sum() == 18 + 27 + 1 - 1 * 2 * 2
    assert read(two_layers).max() == 1


def test_a_segment_that_is_not_there_or_not_unique_is_named(two_layers):
    with pytest.raises(BadInputError, match=r"no segment 'CTV', only GTV primary \(value 1\), Node \(value 2\)"):
        read(two_layers, label="CTV")
    with pytest.raises(BadInputError, match=r"2 segments '1'.*by its name"):
        read(two_layers, label="1")


def test_a_stored_box_is_put_back_into_the_segmented_image(tmp_path):
    box = np.ones((1, 2, 3, 4), np.uint8)
    segments = [{"ID": "a", "Name": "a", "LabelValue": 1, "Layer": 0}]
    fields = {"origin": "(-6,-18,-24)", "ReferenceImageExtentOffset": "2 1 2"}
    whole = read_region(
        segmentation(tmp_path / "a.seg.nrrd", box, segments, ConversionParameters=WHOLE, **fields), MaskChoice()
    )
    expected = np.zeros(GRID.shape, np.uint8)
    expected[2:4, 1:4, 2:6] = 1
    assert Geometry.of(whole.image).same_grid(GRID)
    assert np.array_equal(sitk.GetArrayFromImage(whole.image), expected)
    alone = read_region(segmentation(tmp_path / "b.seg.nrrd", box, segments, **fields), MaskChoice())
    assert alone.image.GetSize() == (4, 3, 2)
    assert alone.image.GetOrigin() == (-6.0, -18.0, -24.0)


def test_an_empty_segmentation_of_one_voxel_is_an_empty_mask(tmp_path):
    segments = [{"ID": "a", "Name": "a", "LabelValue": 1, "Layer": 0}]
    path = segmentation(tmp_path / "a.seg.nrrd", np.zeros((1, 1, 1, 1)), segments, ConversionParameters=WHOLE)
    assert read(path).shape == GRID.shape
    assert not read(path).any()


@pytest.mark.parametrize("geometry", ["Reference image geometry|1;2|", "Reference image geometry|a;b|", "nothing"])
def test_a_geometry_that_cannot_be_understood_changes_nothing(tmp_path, geometry):
    segments = [{"ID": "a", "Name": "a", "LabelValue": 1, "Layer": 0}]
    path = segmentation(tmp_path / "a.seg.nrrd", np.ones((1, 2, 3, 4)), segments, ConversionParameters=geometry)
    assert read(path).shape == (2, 3, 4)


def test_a_layer_that_is_not_there_and_fractions_are_refused(tmp_path):
    layers = np.ones((1, 2, 3, 4))
    path = segmentation(tmp_path / "a.seg.nrrd", layers, [{"ID": "a", "LabelValue": 1, "Layer": 3}])
    with pytest.raises(BadInputError, match="layer 3"):
        read(path)
    fields = {"MasterRepresentation": "Fractional labelmap"}
    with pytest.raises(BadInputError, match="fractional"):
        read(segmentation(tmp_path / "b.seg.nrrd", layers, [{"ID": "a"}], **fields))


def test_a_truncated_segmentation_is_refused(two_layers):
    two_layers.write_bytes(two_layers.read_bytes()[:-100])
    with pytest.raises(BadInputError, match="truncated"):
        read(two_layers)
