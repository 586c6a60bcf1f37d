"""MR has no unit and not everybody has one: scaled alike in training and at inference, absent where it is missing."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from petctfusion.errors import BadInputError
from petctfusion.inference.prepare import prepare as prepare_study
from petctfusion.models import Code, LabelSpec, ModelCard, Terminology, Training, Weights
from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.training.augmentation.dropout import without_one
from petctfusion.training.augmentation.fitness import require_dispensable
from petctfusion.training.case_cache import PreparationSettings
from petctfusion.training.cases import AIR, make_case
from petctfusion.training.datasets.patient import Contour, Patient
from petctfusion.training.preprocessed import prepare
from petctfusion.training.recipe import read_recipe
from petctfusion.training.trainer import Trainer

CLIP = {"CT": (-1024.0, 3071.0), "MR": (0.0, 65535.0)}
SPACING = (4.0, 4.0, 4.0)


@pytest.fixture
def volumes():
    rng = np.random.default_rng(4)
    found = {}
    for kind, low, spacing in (("CT", 40.0, 3.0), ("MR", 700.0, 4.0)):
        size = round(96 / spacing)
        image = sitk.GetImageFromArray((low + 90 * rng.random((size, size, size))).astype(np.float32))
        image.SetSpacing((spacing,) * 3)
        image.SetOrigin((spacing / 2,) * 3)
        found[kind] = image
    return found


@pytest.fixture
def contour(volumes):
    mask = np.zeros((32, 32, 32), np.uint8)
    mask[10:20, 10:20, 10:20] = 1
    image = sitk.GetImageFromArray(mask)
    image.CopyInformation(volumes["CT"])
    return image


@pytest.fixture
def patients(volumes, contour, tmp_path):
    """One with an MR, one without."""
    paths = {kind: tmp_path / f"{kind}.nii.gz" for kind in (*volumes, "contour")}
    for kind, image in {**volumes, "contour": contour}.items():
        sitk.WriteImage(image, str(paths[kind]))
    reference = Contour(paths["contour"])
    both = Patient("both", "both", {kind: paths[kind] for kind in volumes}, reference)
    return [both, Patient("lacking", "lacking", {"CT": paths["CT"]}, reference)]


def card() -> ModelCard:
    code = Code("SCT", "108369006", "Neoplasm")
    return ModelCard(
        name="fake", version="1.0", title="No network", network="dual_attention", arguments={},
        modalities=("CT", "MR"), units={"CT": "HU", "MR": "arbitrary"}, clip=CLIP, spacing_mm=SPACING,
        patch=(16, 16, 16), labels=(LabelSpec(1, "Tumour", Terminology(code, code), (1, 2, 3)),),
        weights=Weights("w", "0" * 64, "float32", 1), training=Training("none", "CC0", "nobody", (), "", "", 0),
        licence="Apache-2.0", not_for=("Anything but tests.",),
    )  # fmt: skip


def test_training_and_inference_see_the_same_z_scored_mr(volumes, contour):
    case = make_case("a", volumes, contour, SPACING, CLIP)
    seen = prepare_study(volumes, card(), 0.5)
    assert np.allclose(case.image, seen.array, atol=1e-4)
    mr = sitk.GetArrayFromImage(volumes["MR"])
    assert np.allclose(case.image[1], (mr - mr.mean()) / mr.std(), atol=1e-3)
    # Another scanner's numbers for the same body.
    other = {**volumes, "MR": volumes["MR"] * 3 + 100}
    assert np.allclose(make_case("b", other, contour, SPACING, CLIP).image, case.image, atol=1e-3)
    assert seen.air == (AIR["CT"], 0.0)


def test_a_patient_without_mr_is_learnt_from_where_the_recipe_allows_it(patients, tmp_path):
    strict = prepare(patients, PreparationSettings(SPACING, CLIP), tmp_path / "strict")
    assert [str(one) for one in strict.skipped] == [
        "lacking: It has no MR. Leave it out, or train with other modalities."
    ]
    settings = PreparationSettings(SPACING, CLIP, ("MR",))
    both, lacking = prepare(patients, settings, tmp_path / "open").cases()
    assert (lacking.image[1] == absent_value("MR")).all()
    assert np.array_equal(lacking.image[0], both.image[0])
    assert both.image[1].std() == pytest.approx(1.0, abs=0.1)
    # Found again by their content.
    again = prepare(patients, settings, tmp_path / "open")
    assert [one.reused for one in again.prepared] == [True, True]


def test_dropout_leaves_the_only_modality_that_a_patient_has():
    image = torch.rand(2, 4, 4, 4) + 1
    image[1] = absent_value("MR")
    for n in range(20):
        found = without_one(image, ("CT", "MR"), ("CT", "MR"), 1.0, np.random.default_rng(n))
        assert torch.equal(found[0], image[0])


@pytest.mark.parametrize(
    ("may_lack", "optional"), [(("MR",), ("CT",)), (("PET",), ("CT", "PET")), (("CT", "MR"), ("CT", "MR"))]
)
def test_what_the_network_needs_may_not_be_lacking(may_lack, optional):
    with pytest.raises(BadInputError, match="cannot do without"):
        require_dispensable(may_lack, optional, ("CT", "MR"))


def test_the_recipe_for_ct_and_mr_where_present_takes_a_step(patients, tmp_path):
    recipe = read_recipe("ct_mr_sarcoma_where_present", {"arguments": {"widths": [2, 4]}})
    assert recipe.modalities == read_recipe("ct_mr_sarcoma").modalities == ("CT", "MR")
    small = dataclasses.replace(recipe, patch=(8, 8, 8), steps=2, batch=2, spacing_mm=SPACING)
    settings = PreparationSettings(SPACING, small.clip, small.may_lack)
    trainer = Trainer(small, prepare(patients, settings, tmp_path / "cache").cases(), [], tmp_path / "run")
    losses = []
    trainer.run(lambda progress: losses.append(progress.loss))
    assert np.isfinite(losses).all()
    assert len(losses) == 2
