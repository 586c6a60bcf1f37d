"""Real organ label maps with a body put around them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom import LesionSpec, Phantom, PhantomSettings, make_phantom
from petctfusion.phantom.quality import measure_liver
from petctfusion.phantom.tissues import Label
from petctfusion.volumes.geometry import Geometry

_QUICK = PhantomSettings(seed=1, fine_mm=4.0, ct_spacing_mm=(4.0, 4.0, 4.0), lesions=(LesionSpec("liver", 24.0),))


def _made_up_organs() -> sitk.Image:
    """Lungs, liver and bladder as boxes on a grid with a flipped y axis, as the real maps have."""
    labels = np.zeros((90, 60, 60), dtype=np.uint8)
    labels[55:85, 18:42, 12:26] = 5
    labels[55:85, 18:42, 34:48] = 5
    labels[40:54, 18:42, 12:34] = 3
    labels[8:13, 26:34, 26:34] = 4
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((8.0, 8.0, 8.0))
    image.SetOrigin((-240.0, 240.0, 0.0))
    image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


@pytest.fixture(scope="module")
def made_up() -> Phantom:
    return make_phantom(replace(_QUICK, fine_mm=5.0, anatomy=_made_up_organs()))


def test_organs_without_a_body_get_one(made_up: Phantom) -> None:
    labels = sitk.GetArrayFromImage(made_up.organs)
    for needed in (Label.FAT, Label.MUSCLE, Label.CORTICAL_BONE, Label.MARROW, Label.LUNG, Label.LIVER, Label.URINE):
        assert (labels == int(needed)).sum() > 20, needed.name
    deep = ndimage.distance_transform_edt(labels != int(Label.AIR), sampling=5.0)
    for organ in (Label.LUNG, Label.LIVER, Label.URINE):
        assert deep[labels == int(organ)].min() > 5, f"{organ.name} shows through the skin"


def test_an_organ_map_keeps_its_place_and_volume(made_up: Phantom) -> None:
    source, grid = _made_up_organs(), Geometry.of(made_up.organs)
    truth = np.argwhere(sitk.GetArrayFromImage(source) == 3)
    found = np.argwhere(np.isin(sitk.GetArrayFromImage(made_up.organs), (int(Label.LIVER), int(Label.LESION))))
    assert len(found) * grid.voxel_ml == pytest.approx(len(truth) * Geometry.of(source).voxel_ml, rel=0.05)
    wanted = Geometry.of(source).points(truth.mean(axis=0)[None, ::-1])[0]
    assert np.allclose(grid.points(found.mean(axis=0)[None, ::-1])[0], wanted, atol=4.0)


def test_an_organ_map_without_lungs_or_liver_is_refused() -> None:
    empty = sitk.Image([20, 20, 20], sitk.sitkUInt8)
    with pytest.raises(BadInputError, match="no lungs"):
        make_phantom(replace(_QUICK, anatomy=empty))


def test_an_organ_map_is_always_a_whole_body() -> None:
    with pytest.raises(BadInputError, match="whole body"):
        make_phantom(replace(_QUICK, anatomy=_made_up_organs(), field_of_view="thigh"))


@pytest.mark.data
@pytest.mark.parametrize("number", [1, 20])
def test_a_real_organ_map_becomes_a_pet_ct(number: int, data_folder: Path) -> None:
    path = data_folder / "anatomy" / f"organs_{number:02d}.nii.gz"
    phantom = make_phantom(replace(_QUICK, anatomy=path))
    truth = sitk.ReadImage(str(path))
    liver_ml = float((sitk.GetArrayViewFromImage(truth) == 3).sum()) * Geometry.of(truth).voxel_ml
    labels = sitk.GetArrayFromImage(phantom.organs)
    liver = np.isin(labels, (int(Label.LIVER), int(Label.LESION)))
    assert liver.sum() * Geometry.of(phantom.organs).voxel_ml == pytest.approx(liver_ml, rel=0.05)
    deep = ndimage.distance_transform_edt(labels != int(Label.AIR), sampling=4.0)
    # The maps end in mid-brain, where the grid's last slice cuts through: not a hole in the skin.
    assert deep[liver].min() > 8
    assert measure_liver(phantom).suv_mean == pytest.approx(2.2, rel=0.05)
    assert sitk.GetArrayFromImage(phantom.pet)[-3:].max() > 4, "the brain at the upper end is hot"
