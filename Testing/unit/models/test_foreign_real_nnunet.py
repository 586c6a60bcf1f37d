"""A result folder that nnU-Net's own package has trained runs in our worker as in nnU-Net's own predictor."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.metrics import compare
from petctfusion.models import find_model
from petctfusion.phantom import LesionSpec, Phantom, PhantomSettings, make_phantom
from petctfusion.training.datasets.patient import Contour, Patient
from petctfusion.training.nnunet.prediction import NnUNetPredictor
from petctfusion.training.nnunet.raw_data import on_ct_grid
from petctfusion.training.nnunet.settings import NnUNetSettings
from petctfusion.training.nnunet.training import NnUNetTraining, train_nnunet
from petctfusion.volumes import Geometry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="nnunetv2 is not installed"),
]
SPACING_MM = 4.0


def phantom(seed: int, spacing_mm: float = SPACING_MM, margin_mm: float = 30.0) -> Phantom:
    """A thigh with a lesion, PET on a grid of its own."""
    return make_phantom(
        PhantomSettings(
            seed=seed,
            field_of_view="lesion",
            margin_mm=margin_mm,
            ct_spacing_mm=(spacing_mm,) * 3,
            pet_spacing_mm=(spacing_mm * 1.25,) * 3,
            fine_mm=3.0,
            lesions=(LesionSpec("thigh-left", 36.0 + 4.0 * seed, 9.0),),
        )
    )


@dataclass(frozen=True)
class Trained:
    training: NnUNetTraining
    model: str


@pytest.fixture(scope="module", params=["3d_fullres", "2d"])
def trained(request, tmp_path_factory) -> Trained:
    """A few steps of the real thing on four phantoms, added by our command."""
    folder = tmp_path_factory.mktemp(request.param)
    patients = []
    for seed in range(5):
        made = phantom(seed)
        files = {"CT": made.ct, "PET": made.pet, "GTV": made.reference}
        paths = {name: folder / f"P{seed}_{name}.nii.gz" for name in files}
        for name, image in files.items():
            sitk.WriteImage(image, str(paths[name]))
        volumes = {name: paths[name] for name in ("CT", "PET")}
        patients.append(Patient(f"P{seed}", f"P{seed}", volumes, Contour(paths["GTV"]), pet_units="suvbw"))
    settings = NnUNetSettings(request.param, 0.2, epochs=4, iterations=10, validation_iterations=1)
    training = train_nnunet(patients[:4], patients[4:], settings, folder / "run", say=print)
    name = f"real-{request.param}"
    assert main(["models", "add", str(training.folder), "--name", name]) == 0
    return Trained(training, name)


def segmented(trained: Trained, ct: sitk.Image, pet: sitk.Image, folder: Path, *, plain: bool) -> tuple:
    """Mask and probability (z, y, x) by `petctfusion segment`; `plain` switches the mirroring of the card off."""
    for name, image in (("CT", ct), ("PET", pet)):
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    model = find_model(trained.model).folder
    if plain:
        card = json.loads((model / "model.json").read_text())
        copy = folder / "model"
        copy.mkdir()
        (copy / "model.json").write_text(json.dumps({**card, "flips": []}))
        (copy / "weights.safetensors").write_bytes((model / "weights.safetensors").read_bytes())
        model = copy
    words = ["segment", "--ct", folder / "CT.nii.gz", "--pet", folder / "PET.nii.gz", "--pet-units", "suvbw"]
    words += ["--model", model, "--output", folder / "out", "--device", "cpu", "--probability"]
    assert main([str(word) for word in words]) == 0
    mask = sitk.ReadImage(str(folder / "out" / "segmentation.nii.gz"))
    return mask, sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out" / "probability.nii.gz")))


def cut(image: sitk.Image, patch_xyz: list[int]) -> sitk.Image:
    """Its middle, no larger than one window."""
    size = [min(n, p) for n, p in zip(image.GetSize(), patch_xyz, strict=True)]
    return sitk.RegionOfInterest(image, size, [(n - s) // 2 for n, s in zip(image.GetSize(), size, strict=True)])


def window_of(trained: Trained, image: sitk.Image) -> list[int]:
    patch = list(find_model(trained.model).card.patch)
    return [n if p == 1 else p for p, n in zip(patch[::-1], image.GetSize(), strict=True)]


def test_one_window_at_the_plans_spacing_is_the_same_to_the_last_bits(trained, tmp_path):
    made = phantom(7)
    ct, pet = on_ct_grid(made.ct, made.pet)
    ct, pet = (cut(image, window_of(trained, ct)) for image in (ct, pet))
    plain = replace(trained.training, settings=NnUNetSettings(mirroring=False))
    predictor = NnUNetPredictor(plain)
    theirs, expected = predictor.segment(ct, pet), predictor.probability(ct, pet)[1]
    mask, probability = segmented(trained, ct, pet, tmp_path, plain=True)
    print(f"largest difference of probability {np.abs(probability - expected).max():.5f}", compare(mask, theirs).dice)
    assert expected.max() - expected.min() > 0.2  # a constant answer would prove nothing
    # Bytes here, and half-precision logits there.
    assert np.abs(probability - expected).max() < 0.006
    clear = np.abs(expected - 0.5) > 0.006
    assert np.array_equal(sitk.GetArrayFromImage(mask)[clear], sitk.GetArrayFromImage(theirs)[clear])


# 3 mm: resampled linearly here, by splines there; and the standard deviation of a PET on its own grid is that of its
# own voxels here, there that of the PET interpolated to the CT's grid.
@pytest.mark.parametrize(("spacing_mm", "least_dice"), [(SPACING_MM, 0.98), (3.0, 0.85)])
def test_windows_mirroring_and_resampling_change_little(trained, tmp_path, spacing_mm, least_dice):
    made = phantom(8, spacing_mm, margin_mm=40.0)
    pet = on_ct_grid(made.ct, made.pet)[1] if spacing_mm == SPACING_MM else made.pet
    predictor = NnUNetPredictor(trained.training)
    theirs, expected = predictor.segment(made.ct, made.pet), predictor.probability(made.ct, made.pet)[1]
    mask, probability = segmented(trained, made.ct, pet, tmp_path, plain=False)
    comparison = compare(mask, theirs)
    differing = np.mean(sitk.GetArrayFromImage(mask) != sitk.GetArrayFromImage(theirs))
    print(
        f"{trained.model} at {spacing_mm} mm: Dice {comparison.dice:.4f}, {differing:.3%} of the voxels differ, "
        f"probability by {np.abs(probability - expected).mean():.4f} in the mean; against the truth "
        f"{compare(mask, made.reference).dice:.3f}, theirs {compare(theirs, made.reference).dice:.3f}"
    )
    assert Geometry.of(mask).same_grid(Geometry.of(made.ct))
    assert comparison.reference_volume_ml > 1.0  # two empty masks would prove nothing
    assert comparison.dice > least_dice


def test_the_card_is_that_of_the_real_plans(trained):
    card = find_model(trained.model).card
    flat = trained.training.settings.configuration == "2d"
    assert card.modalities == ("CT", "PET")
    assert card.spacing_mm == pytest.approx((SPACING_MM,) * 3)
    assert card.patch[0] == 1 if flat else card.patch[0] > 1
    assert card.flips == (("y", "x") if flat else ("z", "y", "x"))
    assert {kind: scaling.method for kind, scaling in card.normalisation.items()} == {"CT": "fixed", "PET": "z_score"}
