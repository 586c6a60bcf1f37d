from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from ball_masks import GRID, ball

from petctfusion.errors import BadInputError
from petctfusion.evaluation import Pair, Settings, evaluate_pair, single_pair
from petctfusion.metrics import dice
from petctfusion.volumes import Geometry, MaskChoice


def circles(*planes: int, radius: float = 9.1) -> list[np.ndarray]:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    x, y = 1.0 + radius * np.cos(angle), -9.0 + radius * np.sin(angle)
    return [np.stack([x, y, np.full(200, 100.0 + 3 * plane)], axis=1) for plane in planes]


def test_a_pair_has_the_numbers_of_its_masks(tmp_path, write):
    a, b = write(tmp_path / "a.nii.gz", ball(2)), write(tmp_path / "b.mha", ball())
    found = evaluate_pair(single_pair(a, b, None), Settings())
    assert found.patient == "a"
    assert found.comparison.dice == dice(ball(2), ball())
    shared, both = found.overlap_ml
    assert shared == pytest.approx((ball(2) & ball()).sum() * 0.012)
    assert both == pytest.approx((ball(2).sum() + ball().sum()) * 0.012)
    assert pickle.loads(pickle.dumps(found)).comparison.dice == found.comparison.dice


def test_tolerance_and_connectivity_arrive(tmp_path, write):
    two = np.zeros(GRID.shape, np.uint8)
    two[5, 5, 5] = two[6, 6, 6] = 1
    path = write(tmp_path / "a.nrrd", two)
    for connectivity, lesions in ((18, 2), (26, 1)):
        found = evaluate_pair(single_pair(path, path, None), Settings(tolerance_mm=0.5, connectivity=connectivity))
        assert found.comparison.lesions.tp == lesions
        assert found.comparison.nsd_tolerance_mm == 0.5


def test_empty_masks_are_told_apart(tmp_path, write):
    full, empty = write(tmp_path / "f.nii", ball()), write(tmp_path / "e.nii", ball() * 0)
    found = evaluate_pair(Pair("x", empty, full), Settings())
    assert (found.comparison.dice, found.comparison.hd95_mm) == (0.0, math.inf)
    assert found.to_json()["hd95_note"] == "no contour"
    assert "prediction is empty" in found.warnings[0]
    assert "reference is empty:" in evaluate_pair(Pair("x", full, empty), Settings()).warnings[0]
    both = evaluate_pair(Pair("x", empty, empty), Settings())
    assert (both.comparison.dice, both.comparison.hd95_mm) == (1.0, 0.0)
    assert "they agree" in both.warnings[0]


def test_masks_that_share_no_space_are_refused(tmp_path, write):
    far = Geometry(GRID.size, GRID.spacing, (5000.0, 0.0, 0.0), GRID.direction)
    a, b = write(tmp_path / "a.nii", ball(), far), write(tmp_path / "b.nii", ball())
    with pytest.raises(BadInputError, match="share no space"):
        evaluate_pair(Pair("x", a, b), Settings())


def test_a_label_missing_on_one_side_is_empty_there_and_on_both_is_remembered(tmp_path, write):
    a, b = write(tmp_path / "a.nii", ball() * 2), write(tmp_path / "b.nii", ball())
    found = evaluate_pair(Pair("x", a, b), Settings(MaskChoice(label="2"), MaskChoice(label="2")))
    assert found.comparison.dice == 0.0
    assert found.missing_label == ""
    assert any("no label 2, only 1" in note for note in found.notes)
    assert evaluate_pair(Pair("x", a, b), Settings(MaskChoice(label="7"), MaskChoice(label="7"))).missing_label == "7"


def test_a_structure_set_is_drawn_on_the_prediction_and_it_is_said(tmp_path, write, structure_set):
    reference = structure_set(tmp_path / "rs.dcm", {"GTV": circles(4, 5, 6)})
    prediction = np.zeros(GRID.shape, np.uint8)
    y, x = np.mgrid[0:22, 0:24] * 2.0
    prediction[4:7] = np.hypot(x - 21, y - 21) <= 9.1
    found = evaluate_pair(Pair("x", write(tmp_path / "a.nii.gz", prediction), reference), Settings())
    assert found.comparison.dice == 1.0
    assert not found.comparison.resampled
    assert "grid of the other image" in found.notes[0]


def test_what_a_structure_set_draws_beyond_the_prediction_counts_as_missed(tmp_path, write, structure_set):
    reference = structure_set(tmp_path / "rs.dcm", {"GTV": circles(-3, -2, -1, 0, 1)})
    prediction = np.zeros(GRID.shape, np.uint8)
    y, x = np.mgrid[0:22, 0:24] * 2.0
    prediction[0:2] = np.hypot(x - 21, y - 21) <= 9.1
    found = evaluate_pair(Pair("x", write(tmp_path / "a.nii.gz", prediction), reference), Settings())
    assert found.comparison.dice == pytest.approx(2 * 2 / (2 + 5))
    assert not found.comparison.resampled
    assert found.comparison.outside_ml == 0


def test_a_structure_set_as_prediction_is_drawn_on_the_reference(tmp_path, write, structure_set):
    prediction = structure_set(tmp_path / "rs.dcm", {"GTV": circles(4, 5)})
    found = evaluate_pair(Pair("x", prediction, write(tmp_path / "b.nii.gz", ball())), Settings())
    assert 0 < found.comparison.dice < 1
    assert not found.comparison.resampled


def test_two_structure_sets_need_a_grid_and_take_the_pet_s(tmp_path, write, structure_set):
    a, b = (structure_set(tmp_path / f"{n}.dcm", {"GTV": circles(*p)}) for n, p in (("a", (4, 5)), ("b", (4, 5, 6, 7))))
    with pytest.raises(BadInputError, match="contours alone have no voxels"):
        evaluate_pair(Pair("x", a, b), Settings())
    pet = write(tmp_path / "pet.nii.gz", ball().astype(np.float32) * 8)
    found = evaluate_pair(Pair("x", a, b, pet), Settings(pet_units="suvbw"))
    assert found.comparison.dice == pytest.approx(2 * 2 / (2 + 4))


def test_a_pet_adds_the_uptake_of_both(tmp_path, write):
    pet = write(tmp_path / "pet.nii.gz", (ball(0, 8.0) * 6 + 1).astype(np.float32))
    pair = Pair("x", write(tmp_path / "a.nii", ball(9)), write(tmp_path / "b.nii", ball()), pet)
    found = evaluate_pair(pair, Settings())
    assert [lesion.suv_max for lesion in found.lesions] == [1.0]
    assert [lesion.suv_max for lesion in found.reference_lesions] == [7.0]
    assert any("names no units" in warning for warning in found.warnings)
    assert found.to_json()["reference_lesions"][0]["suv_max"] == 7.0
