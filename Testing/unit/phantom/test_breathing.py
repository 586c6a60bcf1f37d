"""The breathing phantom: its truth against geometry, what moves, what stays, rubbish input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom import LesionSpec, PhantomSettings
from petctfusion.phantom.breathing import BreathingPhantom, make_breathing
from petctfusion.volumes.geometry import Geometry

DIAMETER_MM, AMPLITUDE_MM = 26.0, 24.0
BALL = PhantomSettings(
    seed=5,
    field_of_view="lesion",
    margin_mm=115.0,
    ct_spacing_mm=(2.5, 2.5, 2.5),
    fine_mm=2.5,
    liver_cov=0.0,
    lesions=(LesionSpec("lung-right", DIAMETER_MM, 9.0, irregularity=0.0),),
)


@pytest.fixture(scope="module")
def breath() -> BreathingPhantom:
    return make_breathing(BALL, phases=4, amplitude_mm=AMPLITUDE_MM)


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def _centre(mask: sitk.Image) -> np.ndarray:
    """Centre of mass in LPS mm."""
    return Geometry.of(mask).points(np.argwhere(_array(mask))[:, ::-1].astype(float)).mean(axis=0)


def test_the_tumour_moves_as_stated_and_keeps_its_volume(breath):
    volume = np.pi / 6 * DIAMETER_MM**3
    still = _centre(breath.references[0])
    assert breath.displacements_mm[0] == ((0.0, 0.0, 0.0),)
    for reference, (way,) in zip(breath.references, breath.displacements_mm, strict=True):
        np.testing.assert_allclose(_centre(reference) - still, way, atol=0.8)
        assert _array(reference).sum() * 2.5**3 == pytest.approx(volume, rel=0.05)
    depths = [-way[2] for (way,) in breath.displacements_mm]
    assert depths[2] == max(depths)
    assert 8 < depths[2] < AMPLITUDE_MM
    # Lujan's curve: at a quarter of the breath a quarter of the way.
    np.testing.assert_allclose([depths[1], depths[3]], depths[2] / 4)


def test_the_igtv_is_what_a_ball_sweeps(breath):
    """The phases overlap so far that their union is a capsule but for shallow notches."""
    radius, way = DIAMETER_MM / 2, -breath.displacements_mm[2][0][2]
    capsule = np.pi * radius**2 * (4 / 3 * radius + way)
    igtv = _array(breath.igtv)
    assert igtv.sum() * 2.5**3 == pytest.approx(capsule, rel=0.05)
    assert np.array_equal(igtv > 0, np.any([_array(one) for one in breath.references], axis=0))


def test_lung_grows_and_bone_stays(breath):
    calm, deep = _array(breath.cts[0]).astype(float), _array(breath.cts[2]).astype(float)
    lungs = [np.count_nonzero((ct < -600) & (ct > -950)) for ct in (calm, deep)]
    assert lungs[1] > 1.01 * lungs[0]
    bone = (calm > 600) & (deep > 600)
    assert bone.sum() > 0.95 * (calm > 600).sum()


def test_the_pet_is_blurred_by_the_motion(breath):
    still = make_breathing(BALL, phases=2, amplitude_mm=0.0)
    calm, moved = _array(still.pet), _array(breath.pet)
    assert moved.max() < 0.97 * calm.max()
    x, y, z = np.round(Geometry.of(still.pet).indices(_centre(still.igtv)[None])[0]).astype(int)
    tall = [np.count_nonzero(pet[z - 12 : z + 13, y, x] > 1.5) * 3.0 for pet in (calm, moved)]
    assert tall[1] >= tall[0] + 6.0
    assert all(np.array_equal(_array(one), _array(still.igtv)) for one in still.references)


def test_equal_arguments_give_equal_voxels_and_grids_are_shared(breath):
    again = make_breathing(BALL, phases=4, amplitude_mm=AMPLITUDE_MM)
    for one, other in zip((*breath.cts, breath.pet), (*again.cts, again.pet), strict=True):
        assert np.array_equal(_array(one), _array(other))
    assert {Geometry.of(one) for one in (*breath.cts, *breath.references)} == {Geometry.of(breath.igtv)}
    assert breath.percents == (0, 25, 50, 75)


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, {"phases": 1}, "phases"),
        ({}, {"amplitude_mm": -1.0}, "mm"),
        ({}, {"amplitude_mm": float("nan")}, "mm"),
        ({"scattered": 3}, {}, "named places"),
        ({"lesions": (LesionSpec("nowhere", 20.0),)}, {}, "nowhere"),
    ],
)
def test_rubbish_is_one_sentence(changes, arguments, words):
    with pytest.raises(BadInputError, match=words):
        make_breathing(replace(BALL, **changes), **arguments)
