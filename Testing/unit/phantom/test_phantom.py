"""The phantom as a study: determinism, grids, truth, anatomy, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom import LesionSpec, Phantom, PhantomSettings, make_phantom, write_phantom
from petctfusion.phantom.tissues import Label
from petctfusion.volumes import check_study
from petctfusion.volumes.geometry import Geometry


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def _pet_in(phantom: Phantom, label: Label) -> float:
    """Median SUV of the PET voxels that lie well inside a tissue."""
    organs = _array(phantom.organs)
    grid, pet = Geometry.of(phantom.organs), Geometry.of(phantom.pet)
    points = grid.points(np.argwhere(organs == int(label))[:, ::-1].astype(float))
    index = np.round(pet.indices(points)).astype(int)
    index = index[np.all((index >= 0) & (index < pet.size), axis=1)]
    values = _array(phantom.pet)[index[:, 2], index[:, 1], index[:, 0]]
    return float(np.median(values))


def test_the_same_seed_gives_the_same_voxels_and_another_seed_others(
    sarcoma: Phantom, sarcoma_quick: PhantomSettings
) -> None:
    again = make_phantom(sarcoma_quick)
    for name in ("ct", "pet", "reference", "organs"):
        assert np.array_equal(_array(getattr(again, name)), _array(getattr(sarcoma, name)))
    other = make_phantom(replace(sarcoma_quick, seed=sarcoma_quick.seed + 1))
    assert Geometry.of(other.pet) != Geometry.of(sarcoma.pet) or not np.array_equal(
        _array(other.pet), _array(sarcoma.pet)
    )


def test_ct_and_pet_have_grids_of_their_own_in_one_place(sarcoma: Phantom) -> None:
    ct, pet = Geometry.of(sarcoma.ct), Geometry.of(sarcoma.pet)
    assert ct.spacing == pytest.approx(sarcoma.settings.ct_spacing_mm)
    assert pet.spacing == pytest.approx(sarcoma.settings.pet_spacing_mm)
    assert not ct.same_grid(pet)
    shift = ((np.asarray(pet.origin) - ct.origin) / ct.spacing) % 1
    assert np.any(np.minimum(shift, 1 - shift) > 0.01)
    gap = np.abs(ct.corners() - pet.corners())
    assert gap.max() < 2 * max(pet.spacing)
    assert check_study(sarcoma.ct, sarcoma.pet, sarcoma.reference).status != "refused"


def test_ct_is_whole_hounsfield_units_and_pet_is_suv(sarcoma: Phantom) -> None:
    ct, pet = _array(sarcoma.ct), _array(sarcoma.pet)
    assert ct.dtype == np.int16
    assert ct.min() >= -1024
    assert ct.max() > 700, "no cortical bone in a thigh"
    assert pet.dtype == np.float32
    assert pet.min() >= 0
    assert np.isfinite(pet).all()


def test_lesions_have_the_volume_asked_for_and_the_masks_agree(whole_body: Phantom) -> None:
    ids = _array(whole_body.lesion_ids)
    voxel_ml = Geometry.of(whole_body.ct).voxel_ml
    for spec, lesion in zip(whole_body.settings.chosen_lesions, whole_body.truth, strict=True):
        ball_ml = np.pi / 6 * spec.diameter_mm**3 / 1000
        fine_ml = Geometry.of(whole_body.organs).voxel_ml
        assert lesion.volume_ml == pytest.approx(ball_ml, rel=0.02, abs=fine_ml)
        assert lesion.necrotic_ml == pytest.approx(spec.necrosis * lesion.volume_ml, rel=0.1, abs=3 * fine_ml)
        if spec.diameter_mm > 20:
            assert (ids == lesion.id).sum() * voxel_ml == pytest.approx(lesion.volume_ml, rel=0.06)
    assert np.array_equal(ids > 0, _array(whole_body.reference) > 0)


def test_the_reference_on_both_grids_has_one_volume_and_one_place(sarcoma: Phantom) -> None:
    truth = sarcoma.truth[0]
    for mask in (sarcoma.reference, sarcoma.reference_pet_grid):
        grid = Geometry.of(mask)
        index = np.argwhere(_array(mask) > 0)
        assert len(index) * grid.voxel_ml == pytest.approx(truth.volume_ml, rel=0.03)
        centre = grid.points(index.mean(axis=0)[None, ::-1])[0]
        assert np.allclose(centre, truth.centre, atol=1.0)


def test_the_view_around_a_lesion_leaves_the_margin_asked_for(sarcoma: Phantom) -> None:
    grid = Geometry.of(sarcoma.reference)
    index = np.argwhere(_array(sarcoma.reference) > 0)
    sides = [index.min(axis=0), np.array(grid.shape) - 1 - index.max(axis=0)]
    margins = np.array(sides) * grid.spacing_zyx
    assert np.all(margins > 44)
    assert np.all(margins < 56)


def test_a_sarcoma_is_hot_at_its_rim_and_cold_in_its_core(sarcoma: Phantom) -> None:
    rim, core, muscle = (_pet_in(sarcoma, label) for label in (Label.LESION, Label.NECROSIS, Label.MUSCLE))
    assert rim > 3.0
    assert core < 0.6 * rim
    assert muscle < 1.2
    hounsfield = _array(sarcoma.ct)[_array(sarcoma.reference) > 0]
    assert 15 < hounsfield.mean() < 60, "tumours of the training patients have 26 to 51 HU"


def test_uptake_is_physiological(whole_body: Phantom) -> None:
    expected = {
        Label.LIVER: (1.9, 2.5), Label.BLOOD: (1.0, 2.2), Label.MUSCLE: (0.5, 0.9), Label.FAT: (0.15, 0.5),
        Label.LUNG: (0.3, 0.8), Label.GREY_MATTER: (4.5, 10.0), Label.SPLEEN: (1.3, 2.5), Label.KIDNEY: (2.0, 4.5),
    }  # fmt: skip
    for label, (low, high) in expected.items():
        assert low < _pet_in(whole_body, label) < high, label.name
    bladder = _pet_in(whole_body, Label.URINE)
    assert bladder > 2 * _pet_in(whole_body, Label.LIVER)


def test_organs_have_human_size_and_lie_where_they_belong(whole_body: Phantom) -> None:
    organs, grid = _array(whole_body.organs), Geometry.of(whole_body.organs)
    centre, litres = {}, {}
    for label in Label:
        index = np.argwhere(organs == int(label))
        litres[label] = len(index) * grid.voxel_ml / 1000
        if len(index):
            centre[label] = grid.points(index.mean(axis=0)[None, ::-1])[0]
    assert 2.5 < litres[Label.LUNG] < 6.5
    assert 1.0 < litres[Label.LIVER] < 2.2
    assert 0.1 < litres[Label.SPLEEN] < 0.35
    assert 0.18 < litres[Label.KIDNEY] < 0.5
    assert 1.1 < litres[Label.GREY_MATTER] + litres[Label.WHITE_MATTER] < 1.9
    weight_kg = sum(litres[label] for label in Label if label not in (Label.AIR, Label.AIRWAY, Label.LUNG))
    assert 40 < weight_kg < 95
    assert centre[Label.LIVER][0] < 0 < centre[Label.SPLEEN][0], "liver right, spleen left (LPS: +x is left)"
    heights = [
        centre[label][2] for label in (Label.GREY_MATTER, Label.MYOCARDIUM, Label.LIVER, Label.KIDNEY, Label.PROSTATE)
    ]
    assert heights == sorted(heights, reverse=True)


def test_nobody_is_a_perfect_solid_and_two_people_differ(whole_body: Phantom) -> None:
    other = make_phantom(PhantomSettings(seed=5, fine_mm=5.0, ct_spacing_mm=(6.0, 6.0, 6.0), lesions=()))
    assert other.truth == []
    assert not _array(other.reference).any()
    livers = [
        (_array(one.organs) == int(Label.LIVER)).sum() * Geometry.of(one.organs).voxel_ml for one in (whole_body, other)
    ]
    assert abs(livers[0] / livers[1] - 1) > 0.005


def test_a_phantom_is_written_with_its_truth_and_read_back(sarcoma: Phantom, tmp_path: Path) -> None:
    paths = write_phantom(sarcoma, tmp_path / "patient")
    assert sorted(p.name for p in (tmp_path / "patient").iterdir()) == [
        "CT.nii.gz", "ORGANS.nii.gz", "PET.nii.gz", "REF.nii.gz", "phantom.json",
    ]  # fmt: skip
    ct = sitk.ReadImage(str(paths["ct"]))
    assert np.array_equal(_array(ct), _array(sarcoma.ct))
    assert Geometry.of(ct).same_grid(Geometry.of(sarcoma.ct))
    story = json.loads(paths["json"].read_text())
    assert story["pet_units"] == "SUVbw"
    assert story["seed"] == 3
    assert story["lesions"][0]["volume_ml"] == pytest.approx(sarcoma.truth[0].volume_ml)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lesions": (LesionSpec("elbow", 20.0),)}, "no place called 'elbow'"),
        ({"lesions": (LesionSpec("neck-left", 200.0),), "field_of_view": "lesion", "fine_mm": 6.0}, "no room"),
        ({"lesions": (), "field_of_view": "lesion"}, "needs a lesion"),
        ({"field_of_view": "head"}, "not a field of view"),
        ({"psf_fwhm_mm": 0.0}, "not positive"),
        ({"liver_cov": -0.1}, "negative"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(settings: dict[str, object], says: str) -> None:
    with pytest.raises(BadInputError, match=says) as caught:
        make_phantom(PhantomSettings(**{"field_of_view": "thigh", "fine_mm": 6.0, **settings}))
    assert caught.value.hint
