"""The numbers of a study by which a modality is scaled."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.inference.normalise import offset_and_scale
from petctfusion.models.normalisation import Normalisation
from petctfusion.volumes.geometry import Geometry


def made(values, spacing=2.0):
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing((spacing,) * 3)
    return image


VALUES = np.random.default_rng(0).normal(7.0, 3.0, (6, 8, 10))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("fixed", (5.0, 4.0)),
        ("none", (0.0, 1.0)),
        ("z_score", (VALUES.mean(), VALUES.std())),
        ("unit_range", (VALUES.min(), VALUES.max() - VALUES.min())),
    ],
)
def test_the_numbers_are_numpys(method, expected):
    image = made(VALUES)
    found = offset_and_scale(Normalisation(method, 5.0, 4.0), image, Geometry.of(image))
    assert found == pytest.approx(expected, rel=1e-5)


def test_only_voxels_whose_centres_lie_in_the_common_field_of_view_count():
    image = made(VALUES)
    common = Geometry.of(image[2:9, 1:5, 0:4])
    part = VALUES[0:4, 1:5, 2:9]
    assert offset_and_scale(Normalisation("z_score"), image, common) == pytest.approx(
        (part.mean(), part.std()), rel=1e-5
    )


@pytest.mark.parametrize("method", ["z_score", "unit_range"])
@pytest.mark.parametrize("shape", [(4, 4, 4), (1, 1, 1)])
def test_a_constant_volume_is_not_divided_by_zero(method, shape):
    image = made(np.full(shape, 3.0))
    offset, scale = offset_and_scale(Normalisation(method), image, Geometry.of(image))
    assert offset == pytest.approx(3.0)
    assert 0 < scale < 1e-3


def test_values_that_are_not_finite_are_refused():
    values = VALUES.copy()
    values[2, 3, 4] = np.inf
    image = made(values)
    with pytest.raises(BadInputError, match="not finite"):
        offset_and_scale(Normalisation("z_score"), image, Geometry.of(image))
