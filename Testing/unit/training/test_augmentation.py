"""Augmentation against independent oracles: isometries in mm, moments of a point source, statistics of the noise."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest_blobs import blob_case, blob_cases

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.augmentation.dropout import without_one
from petctfusion.training.augmentation.fitness import require_fit
from petctfusion.training.augmentation.geometry import rotation, sampling_points
from petctfusion.training.augmentation.intensity import changed
from petctfusion.training.augmentation.misregistration import misregistered
from petctfusion.training.cases import AIR
from petctfusion.training.patches import PatchSettings, draw_patch
from petctfusion.training.recipe import read_recipe
from petctfusion.training.settings import read_table

SPACING = (6.0, 3.0, 2.0)
STILL = Augmentation(
    rotation_deg=0.0, zoom=(1.0, 1.0), elastic_probability=0.0, flip_axes=(), misregistration_mm=0.0,
    suv_scale_sd=0.0, ct_shift_hu=0.0, ct_noise_hu=0.0, pet_noise=0.0, pet_blur_probability=0.0,
)  # fmt: skip


def still(**changes) -> Augmentation:
    return dataclasses.replace(STILL, **changes)


def grid(shape=(6, 7, 8)):
    axes = [np.arange(n) - (n - 1) / 2 for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def linear_map_mm(settings, seed, shape=(6, 7, 8), centre=(3.0, 20.0, 11.0)):
    """The matrix in mm that takes offsets in the patch to offsets in the case, by least squares."""
    points = sampling_points(shape, np.array(centre), SPACING, settings, np.random.default_rng(seed)).numpy()
    from_mm = (grid(shape) * SPACING).reshape(-1, 3)
    to_mm = ((points - centre) * SPACING).reshape(-1, 3)
    matrix, *_ = np.linalg.lstsq(from_mm, to_mm, rcond=None)
    np.testing.assert_allclose(from_mm @ matrix, to_mm, atol=1e-3)
    return matrix.T


@pytest.mark.parametrize("seed", range(5))
def test_rotation_keeps_distances_in_mm_on_a_grid_with_unequal_spacing(seed):
    matrix = linear_map_mm(still(rotation_deg=40.0), seed)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-4)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-4)
    assert not np.allclose(matrix, np.eye(3), atol=0.02)


def test_rotation_reaches_its_angle_and_not_beyond():
    only_z = [np.rad2deg(np.arccos((np.trace(rotation(np.deg2rad([a, 0, 0]))) - 1) / 2)) for a in (5.0, 30.0)]
    np.testing.assert_allclose(only_z, [5, 30], atol=1e-6)
    for seed in range(20):
        matrix = linear_map_mm(still(rotation_deg=10.0), seed)
        assert np.rad2deg(np.arccos(min(1.0, (np.trace(matrix) - 1) / 2))) <= 3 * 10.0


def test_zoom_is_one_factor_for_all_axes_within_its_range():
    factors = []
    for seed in range(20):
        matrix = linear_map_mm(still(zoom=(0.8, 1.25)), seed)
        factors.append(matrix[0, 0])
        np.testing.assert_allclose(matrix, factors[-1] * np.eye(3), atol=1e-4)
    assert 0.8 <= min(factors) < 0.95
    assert 1.05 < max(factors) <= 1.25


@pytest.mark.parametrize("axes", [(), ("x",), ("z", "y"), ("z", "y", "x")])
def test_only_the_axes_that_may_be_are_mirrored(axes):
    signs = np.array([np.diag(linear_map_mm(still(flip_axes=axes), seed)) for seed in range(16)])
    mirrored = [axis for axis, column in zip("zyx", signs.T, strict=True) if (column < 0).any()]
    assert tuple(mirrored) == axes
    assert (np.abs(np.abs(signs) - 1) < 1e-4).all()
    assert all((column > 0).any() for column in signs.T)


def test_bending_is_in_mm_whatever_the_spacing():
    shape, moved = (12, 12, 12), []
    for seed in range(30):
        points = sampling_points(
            shape, np.zeros(3), SPACING, still(elastic_probability=1.0, elastic_mm=5.0), np.random.default_rng(seed)
        )
        # The corner voxels sit on knots.
        moved.append(((points.numpy() - grid(shape)) * SPACING)[0, 0, 0])
    np.testing.assert_allclose(np.std(moved, axis=0), 5.0, rtol=0.4)


def test_misregistration_is_a_rigid_motion_of_half_the_named_size():
    points = torch.from_numpy(grid().astype(np.float32)) + 5
    centre = np.full(3, 5.0)
    shifts, angles = [], []
    for seed in range(300):
        moved = misregistered(
            points,
            centre,
            SPACING,
            still(misregistration_mm=6.0, misregistration_deg=8.0),
            np.random.default_rng(seed),
        )
        from_mm, to_mm = ((p.numpy() - centre).reshape(-1, 3) * SPACING for p in (points, moved))
        shifts.append(to_mm.mean(axis=0) - from_mm.mean(axis=0))
        matrix = np.linalg.lstsq(from_mm - from_mm.mean(0), to_mm - to_mm.mean(0), rcond=None)[0]
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-3)
        angles.append(np.rad2deg(np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))))
    np.testing.assert_allclose(np.std(shifts, axis=0), 3.0, rtol=0.15)
    # Three normal deviates of 4 degrees: the root mean square of the whole angle is sqrt(3) times as much.
    assert np.sqrt(np.mean(np.square(angles))) == pytest.approx(4.0 * np.sqrt(3), rel=0.1)


def test_misregistration_strikes_as_often_as_it_is_told():
    points = torch.from_numpy(grid().astype(np.float32))
    settings = still(misregistration_mm=6.0, misregistration_probability=0.3)
    hits = [
        not torch.equal(misregistered(points, np.zeros(3), SPACING, settings, np.random.default_rng(n)), points)
        for n in range(400)
    ]
    assert np.mean(hits) == pytest.approx(0.3, abs=0.07)


@pytest.mark.parametrize(("contour_modality", "stays"), [(None, 0), ("CT", 0), ("PET", 1)])
def test_the_contour_stays_with_the_modality_it_was_drawn_on(contour_modality, stays):
    case = blob_case("blob", (9, 8, 12))
    moved = still(
        misregistration_mm=20.0,
        contour_modality=contour_modality,
        uncropped_probability=1.0,
        foreground_probability=1.0,
    )
    for n in range(5):
        patches = [
            draw_patch(case, PatchSettings((16, 16, 16), augmentation=a), np.random.default_rng(n))
            for a in (dataclasses.replace(moved, misregistration_mm=0.0), moved)
        ]
        assert torch.equal(patches[0].target, patches[1].target)
        assert torch.equal(patches[0].image[stays], patches[1].image[stays])
        assert not torch.equal(patches[0].image[1 - stays], patches[1].image[1 - stays])


@pytest.mark.parametrize("fwhm", [3.0, 9.0])
def test_pet_blur_has_its_width_in_mm_along_every_axis(fwhm):
    spacing = (4.0, 3.0, 2.0)
    point = torch.zeros(21, 25, 31)
    point[10, 12, 15] = 1000.0
    settings = still(pet_blur_probability=1.0, pet_blur_fwhm_mm=(fwhm, fwhm))
    blurred = changed("PET", point, torch.ones_like(point), spacing, settings, np.random.default_rng(0)).double()
    assert float(blurred.sum()) == pytest.approx(1000, rel=1e-3)
    for axis, step in enumerate(spacing):
        profile = blurred.sum(dim=[k for k in range(3) if k != axis])
        at = (torch.arange(len(profile)) - len(profile) // 2) * step
        variance = float((profile * at**2).sum() / profile.sum())
        # MONAI cuts the narrow kernels off early.
        assert variance == pytest.approx((fwhm / 2.35482) ** 2, rel=0.1 if fwhm < 2 * step else 0.01)


def test_pet_blur_neither_darkens_nor_leaks_at_the_border_of_the_field_of_view():
    inside = torch.zeros(16, 16, 16)
    inside[4:, 3:12, :9] = 1
    settings = still(pet_blur_probability=1.0, pet_blur_fwhm_mm=(10.0, 10.0))
    blurred = changed("PET", 3.0 * inside, inside, (4.0,) * 3, settings, np.random.default_rng(0))
    torch.testing.assert_close(blurred, 3.0 * inside, atol=1e-4, rtol=0)


@pytest.mark.parametrize("grain_mm", [0.0, 12.0])
def test_pet_noise_grows_with_the_root_of_the_uptake_and_has_its_grain(grain_mm):
    class Top:
        """A generator whose uniform draw is the upper end: the noise at its strongest."""

        def __init__(self):
            self.rng = np.random.default_rng(3)

        def __getattr__(self, name):
            return getattr(self.rng, name)

        def uniform(self, low, high):
            return high

    values = torch.full((40, 40, 40), 4.0)
    values[20:] = 16.0
    settings = still(pet_noise=0.2, pet_noise_fwhm_mm=grain_mm)
    noise = (changed("PET", values, torch.ones_like(values), (4.0,) * 3, settings, Top()) - values).double()
    assert float(noise[:20].std()) == pytest.approx(0.2 * 2, rel=0.15)
    assert float(noise[20:].std()) == pytest.approx(0.2 * 4, rel=0.15)
    along = float((noise[:20, :, :-2] * noise[:20, :, 2:]).mean() / noise[:20].var())
    # White noise through a Gaussian of deviation s correlates as exp(-d^2 / (4 s^2)).
    expected = 0.0 if grain_mm == 0 else np.exp(-(8.0**2) / 4 / (grain_mm / 2.35482) ** 2)
    assert along == pytest.approx(expected, abs=0.07)


def test_the_suv_factor_is_log_normal():
    values = torch.full((2, 2, 2), 5.0)
    factors = [
        float(changed("PET", values, values, SPACING, still(suv_scale_sd=0.2), np.random.default_rng(n)).mean() / 5)
        for n in range(400)
    ]
    assert np.std(np.log(factors)) == pytest.approx(0.2, rel=0.12)
    assert abs(np.mean(np.log(factors))) < 0.03


def test_ct_noise_leaves_air_alone():
    values = torch.full((24, 24, 24), 40.0)
    values[:12] = AIR["CT"]
    settings = still(ct_noise_hu=30.0, ct_shift_hu=10.0)
    stds = []
    for n in range(40):
        found = changed("CT", values, torch.ones_like(values), SPACING, settings, np.random.default_rng(n))
        assert torch.equal(found[:12], values[:12])
        stds.append(float(found[12:].std()))
    assert max(stds) <= 30 * 1.03
    assert np.mean(stds) == pytest.approx(15, rel=0.3)


def test_a_modality_without_units_keeps_its_negative_values():
    values = torch.randn(8, 8, 8)
    assert torch.equal(changed("MR", values, values, SPACING, Augmentation(), np.random.default_rng(0)), values)


@pytest.mark.parametrize("kind", ["CT", "PET"])
def test_gamma_bends_the_body_keeps_its_mean_and_deviation_and_leaves_air(kind):
    body = np.linspace(20.0, 100.0, 5 * 8 * 8).reshape(5, 8, 8).astype(np.float32)
    air, inside = torch.full((8, 8, 8), AIR[kind]), torch.zeros(8, 8, 8)
    air[3:], inside[3:] = torch.from_numpy(body), 1
    settings = still(gamma_probability=1.0, gamma=(0.6, 0.6))
    found = changed(kind, air, inside, SPACING, settings, np.random.default_rng(0))
    bent = ((body - 20) / 80) ** 0.6
    expected = (bent - bent.mean()) / bent.std() * body.std() + body.mean()
    np.testing.assert_allclose(found[3:].numpy(), np.maximum(expected, 0 if kind == "PET" else -1e9), rtol=1e-3)
    assert torch.equal(found[:3], air[:3])
    assert type(found) is torch.Tensor
    assert not np.allclose(found[3:], body, rtol=0.05)
    everywhere_air = torch.full((4, 4, 4), AIR[kind])
    nothing = torch.zeros(4, 4, 4)
    assert torch.equal(
        changed(kind, everywhere_air, nothing, SPACING, settings, np.random.default_rng(0)), everywhere_air
    )
    uniform = torch.full((4, 4, 4), 30.0)
    kept = changed(kind, uniform, torch.ones(4, 4, 4), SPACING, settings, np.random.default_rng(0))
    torch.testing.assert_close(kept, uniform)


def test_gamma_strikes_as_often_as_it_is_told_within_its_range():
    values = torch.from_numpy(np.random.default_rng(0).uniform(20, 100, (6, 6, 6)).astype(np.float32))
    settings = still(gamma_probability=0.3, gamma=(0.7, 1.5))
    hits = [
        not torch.equal(changed("CT", values, values, SPACING, settings, np.random.default_rng(n)), values)
        for n in range(300)
    ]
    assert np.mean(hits) == pytest.approx(0.3, abs=0.08)


def test_dropout_takes_one_optional_modality_as_often_as_it_is_told_and_fills_it_as_inference_does():
    image = torch.arange(2 * 8.0).reshape(2, 2, 2, 2) + 500
    gone = np.zeros(2)
    for n in range(400):
        found = without_one(image, ("CT", "PET"), ("CT", "PET"), 0.4, np.random.default_rng(n))
        for i, kind in enumerate(("CT", "PET")):
            gone[i] += bool((found[i] == absent_value(kind)).all())
            assert torch.equal(found[i], image[i]) or (found[i] == absent_value(kind)).all()
    assert gone.sum() / 400 == pytest.approx(0.4, abs=0.08)
    assert min(gone) > 0.3 * gone.sum()
    assert float(image.min()) == 500
    for n in range(30):
        only_pet = without_one(image, ("CT", "PET"), ("PET",), 1.0, np.random.default_rng(n))
        assert torch.equal(only_pet[0], image[0])
        assert (only_pet[1] == absent_value("PET")).all()
    assert torch.equal(without_one(image, ("CT", "PET"), (), 1.0, np.random.default_rng(0)), image)
    assert torch.equal(without_one(image[:1], ("CT",), ("CT",), 1.0, np.random.default_rng(0)), image[:1])


def test_what_does_not_suit_the_network_is_refused_before_the_first_step():
    guided = build("anatomy_guided", widths=(4, 8, 8))
    both = ("CT", "PET")
    with pytest.raises(BadInputError, match="zero layers"):
        require_fit(Augmentation(gamma_probability=0.1), guided, both)
    with pytest.raises(BadInputError, match="cannot do without"):
        require_fit(Augmentation(modality_dropout_probability=0.1), guided, both)
    with pytest.raises(BadInputError, match="Did you mean 'PET'"):
        require_fit(Augmentation(contour_modality="PETT"), guided, both)
    require_fit(Augmentation(), guided, both)
    require_fit(
        Augmentation(gamma_probability=0.1), build("anatomy_guided", widths=(4, 8, 8), normalisation="fixed"), both
    )
    require_fit(Augmentation(modality_dropout_probability=0.1), build("msam", widths=(4, 8), guide_widths=(4, 8)), both)


def test_without_monai_only_what_needs_it_is_refused(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "monai", None)
    network = build("anatomy_guided", widths=(4, 8, 8), normalisation="fixed")
    require_fit(Augmentation(), network, ("CT", "PET"))
    for change in ({"gamma_probability": 0.1}, {"pet_noise_fwhm_mm": 5.0}, {"pet_blur_fwhm_mm": (3.0, 6.0)}):
        with pytest.raises(BadInputError, match="MONAI"):
            require_fit(Augmentation(**change), network, ("CT", "PET"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rotation_degrees": 5.0}, "does not know rotation_degrees. Did you mean 'rotation_deg'"),
        ({"zzz": 5.0}, "does not know zzz. Known: margin_mm"),
        ({"rotation_deg": "5"}, "takes a number for rotation_deg, got '5'"),
        ({"rotation_deg": True}, "takes a number for rotation_deg"),
        ({"rotation_deg": -5}, "rotation_deg = -5.0 must be from 0 to inf"),
        ({"rotation_deg": float("nan")}, "rotation_deg = nan"),
        ({"gamma_probability": 1.5}, "gamma_probability = 1.5 must be from 0 to 1"),
        ({"zoom": [1.2, 0.8]}, "zoom = .* must be a range"),
        ({"zoom": [0.0, 1.0]}, "zoom = .* at least 0.01"),
        ({"zoom": 1.0}, "takes a list of 2 numbers for zoom"),
        ({"zoom": [1.0, "a"]}, "takes a list of numbers for zoom"),
        ({"flip_axes": ["z", "w"]}, "'w', which is no axis"),
        ({"flip_axes": "z"}, "takes a list of texts in quotes for flip_axes"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_taken(values, sentence):
    with pytest.raises(BadInputError, match=sentence):
        read_table(Augmentation, values, "Table [augmentation]")


def test_settings_are_read_from_toml_types():
    read = read_table(Augmentation, {"pet_blur_fwhm_mm": [3, 6], "rotation_deg": 5, "flip_axes": ["x"]}, "Table")
    assert read == Augmentation(pet_blur_fwhm_mm=(3.0, 6.0), rotation_deg=5.0, flip_axes=("x",))
    assert isinstance(read.rotation_deg, float)


def test_the_shipped_recipe_still_draws_the_patches_that_its_model_was_trained_on():
    # Means of CT and PET and the sum of the contour, by the code at c255dec, which the model was made with.
    recorded = [
        (-682.2420436158427, 0.4000618407908405, 341.70750939399295),
        (-888.0804214131786, 0.1571305274705992, 280.52222436189166),
        (-858.8322903219814, 0.13571544884925826, 129.03408539220982),
    ]
    settings = PatchSettings((32, 32, 32), augmentation=read_recipe("sts_anatomy_guided").augmentation)
    for n, (case, expected) in enumerate(zip(blob_cases(), recorded, strict=True)):
        patch = draw_patch(case, settings, np.random.default_rng([1, n, 0]))
        found = [float(patch.image[0].double().mean()), float(patch.image[1].double().mean())]
        assert [*found, float(patch.target.double().sum())] == pytest.approx(expected, rel=1e-4)


def test_patches_of_a_patient_without_tumour_show_no_contour():
    case = blob_case("negative", (9, 8, 12))
    none = dataclasses.replace(case, contour=np.zeros_like(case.contour), foreground=np.empty((0, 3), dtype=np.int64))
    for n in range(20):
        patch = draw_patch(none, PatchSettings((16, 16, 16)), np.random.default_rng(n))
        assert float(patch.target.abs().max()) == 0
        assert torch.isfinite(patch.image).all()
