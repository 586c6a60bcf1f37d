"""Two kinds of lesion: the same numbers, another texture; and their cohort with a class for every patient."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.cohort_making import TABLE, TRUTH_FILE
from petctfusion.phantom.texture_cohort import make_texture_cohort, plan_textures
from petctfusion.phantom.textures import KINDS, make_textured, wanted_of
from petctfusion.training.datasets.registry import find_patients
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_image


@pytest.fixture(scope="module")
def pair():
    wanted = wanted_of(4)
    return {kind: make_textured(wanted, kind) for kind in KINDS}


def inside(lesion):
    """SUV and depth (mm) within the contour."""
    grid = Geometry.of(lesion.contour)
    mask = sitk.GetArrayViewFromImage(lesion.contour) > 0
    suv = sitk.GetArrayFromImage(resample_image(lesion.pet, grid, 0.0))[mask]
    return suv, ndimage.distance_transform_edt(mask, sampling=grid.spacing_zyx)[mask]


def test_ct_and_contour_do_not_tell_the_kinds_apart(pair):
    solid, rim = pair["solid"], pair["rim"]
    for one in ("ct", "contour"):
        assert np.array_equal(*(sitk.GetArrayFromImage(getattr(lesion, one)) for lesion in (solid, rim)))
    assert sitk.GetArrayViewFromImage(solid.contour).any()


def test_mean_and_highest_suv_are_what_was_wanted_for_both(pair):
    # On the PET's own grid, where they are set, not interpolated to the CT's.
    for lesion in pair.values():
        suv, _ = inside(lesion)
        assert suv.mean() == pytest.approx(lesion.wanted.mean_suv, rel=0.05)
        hottest = sitk.GetArrayViewFromImage(lesion.pet).max()
        assert hottest == pytest.approx(lesion.wanted.highest_suv, rel=1e-3)


def test_a_solid_lesion_is_hottest_inside_and_a_rim_outside(pair):
    ratio = {}
    for kind, lesion in pair.items():
        suv, depth = inside(lesion)
        ratio[kind] = suv[depth > np.median(depth)].mean() / suv[depth <= np.median(depth)].mean()
    assert ratio["solid"] > 1.3 > ratio["rim"]


def test_equal_seeds_give_equal_voxels_and_another_kind_is_refused():
    first, again = (make_textured(wanted_of(5), "rim") for _ in range(2))
    assert np.array_equal(*(sitk.GetArrayViewFromImage(lesion.pet) for lesion in (first, again)))
    with pytest.raises(BadInputError, match="solid or rim"):
        make_textured(wanted_of(5), "spotted")


def test_every_part_of_the_split_has_as_many_of_each_kind():
    members = plan_textures(60, 1)
    for split, count in (("train", 15), ("test", 9), ("tune", 6)):
        for kind in (0, 1):
            assert sum(one.split == split and one.lesion_class == kind for one in members) == count
    assert len({one.seed for one in members}) == 60
    assert plan_textures(20, 1) == members[:20]
    with pytest.raises(BadInputError):
        plan_textures(0, 1)


def test_a_cohort_is_a_table_with_classes_and_continues_where_it_stopped(tmp_path):
    cohort = make_texture_cohort(tmp_path, 3, seed=1)
    again = make_texture_cohort(tmp_path, 4, seed=1)
    assert [one.reused for one in cohort.made] == [False] * 3
    assert [one.reused for one in again.made] == [True] * 3 + [False]
    patients = find_patients("csv", tmp_path / TABLE)
    assert [(p.split, p.lesion_class) for p in patients] == [("train", 0), ("train", 1), ("test", 0), ("test", 1)]
    for patient in patients:
        truth = json.loads((tmp_path / patient.name / TRUTH_FILE).read_text())
        assert truth["kind"] == KINDS[patient.lesion_class]
        assert truth["volume_ml"] > 20
    with pytest.raises(BadInputError, match="another seed"):
        make_texture_cohort(tmp_path, 3, seed=2)


def test_a_class_that_is_no_number_is_told_with_its_line(tmp_path):
    make_texture_cohort(tmp_path, 2, seed=1)
    table = tmp_path / TABLE
    rows = list(csv.reader(table.read_text().splitlines()))
    rows[2][2] = "rim"
    table.write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(BadInputError, match=r"Line 3 .*'rim'"):
        find_patients("csv", table)
