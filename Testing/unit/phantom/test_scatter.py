"""Lesions anywhere, ureters, and a body that moved between CT and PET."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from petctfusion.phantom import Phantom, PhantomSettings, make_phantom
from petctfusion.phantom.organ_names import URETERS, organs_on
from petctfusion.phantom.persons import draw_person, stretched
from petctfusion.phantom.scatter import REGIONS
from petctfusion.phantom.tissues import Label
from petctfusion.volumes.geometry import Geometry

BoxMap = Callable[..., sitk.Image]
_STEP = (6.0, 6.0, 6.0)
_BODY = PhantomSettings(seed=1, fine_mm=6.0, pet_spacing_mm=_STEP, ct_spacing_mm=_STEP, lesions=())


@pytest.fixture(scope="module")
def scattered(box_map: BoxMap) -> Phantom:
    return make_phantom(replace(_BODY, scattered=7, anatomy=box_map()))


def test_as_many_lesions_as_asked_lie_where_the_table_says(scattered: Phantom) -> None:
    ids = sitk.GetArrayFromImage(scattered.lesion_ids)
    assert [one.id for one in scattered.truth] == [1, 2, 3, 4, 5, 6, 7]
    assert {one.site for one in scattered.truth} <= {region.name for region in REGIONS} | {"soft tissue"}
    grid = Geometry.of(scattered.ct)
    for one in scattered.truth:
        place = np.argwhere(ids == one.id)
        if len(place):
            centre = grid.points(place.mean(axis=0)[None, ::-1])[0]
            assert np.linalg.norm(centre - one.centre) < 6.0
    assert {1, 2, 3} <= set(np.unique(ids)) | {one.id for one in scattered.truth if one.volume_ml < 1.0}


def test_the_seed_decides_where_they_lie(scattered: Phantom, box_map: BoxMap) -> None:
    same = make_phantom(replace(_BODY, scattered=7, anatomy=box_map()))
    other = make_phantom(replace(_BODY, scattered=7, anatomy=box_map(), seed=2))
    assert same.truth == scattered.truth
    assert other.truth != scattered.truth


def test_ureters_lead_from_the_kidneys_to_the_bladder(scattered: Phantom, box_map: BoxMap) -> None:
    organs = organs_on(Geometry.of(scattered.ct), box_map(), scattered.organs)
    found = np.argwhere(sitk.GetArrayFromImage(organs) == URETERS)
    assert len(found) > 5
    heights = Geometry.of(scattered.ct).points(found[:, ::-1].astype(float))[:, 2]
    assert heights.min() > 60 - 15
    assert heights.max() < 380 + 15


def test_the_body_lies_elsewhere_in_the_pet(box_map: BoxMap) -> None:
    moved_mm = (12.0, -6.0, 18.0)
    still, moved = (
        make_phantom(replace(_BODY, liver_cov=0.0, anatomy=box_map(), misregistration_mm=by))
        for by in ((0.0, 0.0, 0.0), moved_mm)
    )
    assert np.array_equal(sitk.GetArrayFromImage(still.ct), sitk.GetArrayFromImage(moved.ct))
    first, second = (sitk.GetArrayFromImage(one.pet) for one in (still, moved))
    expected = ndimage.shift(first, (3, -1, 2), order=0)
    inner = np.s_[8:-8, 8:-8, 8:-8]
    assert np.abs(second[inner] - expected[inner]).max() < 1e-3
    assert np.abs(second[inner] - first[inner]).max() > 1.0


def test_uptake_that_is_asked_for_is_what_the_pet_shows(box_map: BoxMap) -> None:
    asked = replace(_BODY, anatomy=box_map(), liver_cov=0.0, uptake=((Label.LIVER, 3.1), (Label.URINE, 30.0)))
    phantom = make_phantom(asked)
    pet, organs = sitk.GetArrayFromImage(phantom.pet), box_map()
    grid = Geometry.of(phantom.pet)
    labels = sitk.GetArrayFromImage(sitk.Resample(organs, grid.empty(), sitk.Transform(), sitk.sitkNearestNeighbor))
    liver = ndimage.binary_erosion(labels == 3, iterations=3)
    assert np.median(pet[liver]) == pytest.approx(3.1, rel=0.05)
    assert pet[labels == 4].max() > 20
    assert phantom.settings.to_json()["uptake"] == {"liver": 3.1, "urine": 30.0}


def test_persons_differ_and_negatives_have_no_lesions(box_map: BoxMap) -> None:
    organs = box_map()
    people = [draw_person(organs, seed, seed % 4 == 0, 4.0, 3.5) for seed in range(40)]
    assert all((one.scattered == 0) == (one.seed % 4 == 0) and one.scattered <= 12 for one in people)
    heart = [dict(one.uptake)[Label.MYOCARDIUM] for one in people]
    assert min(heart) < 2
    assert max(heart) > 6
    assert {one.arms for one in people} == {True, False}
    assert all(np.abs(one.misregistration_mm).max() <= 6 for one in people)
    ratios = [np.divide(stretched(organs, seed).GetSpacing(), organs.GetSpacing()) for seed in range(40)]
    assert np.abs(np.array(ratios) - 1).max() <= 0.08
    assert np.std(ratios) > 0.02


@pytest.mark.data
def test_a_real_map_with_scattered_lesions(data_folder: Path) -> None:
    organs = sitk.ReadImage(str(data_folder / "anatomy" / "organs_27.nii.gz"))
    phantom = make_phantom(replace(_BODY, scattered=5, anatomy=organs, seed=9))
    assert len(phantom.truth) == 5
    named = sitk.GetArrayFromImage(organs_on(Geometry.of(phantom.ct), organs, phantom.organs))
    for number in (3, 5, 7):
        wanted = float((sitk.GetArrayViewFromImage(organs) == number).sum()) * Geometry.of(organs).voxel_ml
        assert (named == number).sum() * Geometry.of(phantom.ct).voxel_ml == pytest.approx(wanted, rel=0.03)
