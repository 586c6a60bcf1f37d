"""The lesion's class on its way from the data set into the classifier."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.objective_settings import ObjectiveSettings
from petctfusion.training.objectives import objective_for
from petctfusion.training.objectives.contour import ContourObjective
from petctfusion.training.objectives.lesion_class import LesionClassObjective
from petctfusion.training.patches import PatchSettings, draw_patch
from petctfusion.training.trainer import Trainer

from .conftest_blobs import blob_case

DUAL = {"widths": [2, 4], "modalities": ["CT", "PET"]}


@pytest.fixture
def recipe(tiny_recipe):
    objective = ObjectiveSettings(lesion_class_weight=0.4)
    return dataclasses.replace(tiny_recipe, network="dual_attention", arguments=DUAL, objective=objective)


def test_a_patch_carries_the_class_at_the_lesion_alone():
    case = dataclasses.replace(blob_case("a", (9, 8, 12)), lesion_class=2)
    plain = draw_patch(case, PatchSettings((8, 8, 8)), np.random.default_rng(3))
    patch = draw_patch(case, PatchSettings((8, 8, 8), classes=True), np.random.default_rng(3))
    assert torch.equal(patch.image, plain.image)
    assert torch.equal(patch.target[:1], plain.target)
    assert torch.equal(patch.target[1], 2.0 * (plain.target[0] >= 0.5))


def test_the_class_counts_where_the_lesion_is_shown_and_nowhere_else(recipe):
    torch.manual_seed(2)
    network = build("dual_attention", **DUAL).eval()
    objective = objective_for(recipe, network)
    plain = objective_for(dataclasses.replace(recipe, objective=ObjectiveSettings()), network)
    image, target = torch.rand(3, 2, 8, 8, 8), torch.zeros(3, 2, 8, 8, 8)
    target[:2, 0, 2:5, 2:5, 2:5] = 1.0
    target[1, 1, 2:5, 2:5, 2:5] = 1.0
    scores = network.forward_with_class(image)[1]
    entropy = torch.nn.functional.cross_entropy(scores[:2], torch.tensor([0, 1]))
    wanted = plain(network, image, target[:, :1]) + 0.4 * entropy
    torch.testing.assert_close(objective(network, image, target), wanted)
    torch.testing.assert_close(objective(network, image, target * 0), plain(network, image, target[:, :1] * 0))


def two_cases():
    return [
        dataclasses.replace(blob_case(name, (9, 8, 12), radius), lesion_class=number)
        for number, (name, radius) in enumerate((("a", 2.5), ("b", 6.0)))
    ]


def test_the_classifier_learns_the_class(recipe):
    torch.manual_seed(1)
    network = build("dual_attention", **DUAL)
    objective = LesionClassObjective(ContourObjective(LossSettings()), 2.0)
    still = Augmentation(uncropped_probability=1.0, cut_through_probability=0.0, foreground_probability=0.0)
    settings = PatchSettings((16, 16, 16), augmentation=still, classes=True)
    drawn = [draw_patch(case, settings, np.random.default_rng(n)) for case in two_cases() for n in range(6)]
    image, target = (torch.stack([getattr(one, what) for one in drawn]) for what in ("image", "target"))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    for step in range(45):
        optimiser.zero_grad()
        objective(network, image[step % 2 :: 2], target[step % 2 :: 2]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    with torch.no_grad():
        said = network.eval().forward_with_class(image)[1].argmax(dim=1)
    assert said.tolist() == [0] * 6 + [1] * 6


def test_a_training_draws_classes_and_tells_the_dice_of_the_contour_alone(recipe, tmp_path):
    trainer = Trainer(dataclasses.replace(recipe, steps=50), two_cases(), [], tmp_path)
    trainer.step = 48
    told = []
    trainer.run(told.append)
    assert [math.isfinite(one.loss) for one in told] == [True, True]
    assert 0.0 <= told[-1].dice <= 1.0


@pytest.mark.parametrize(("lesion_class", "message"), [(None, "a has no class"), (2, "class 2.*knows 2")])
def test_a_case_without_a_class_or_with_one_too_many_is_refused(recipe, tmp_path, lesion_class, message):
    case = dataclasses.replace(blob_case("a", (9, 8, 12)), lesion_class=lesion_class)
    with pytest.raises(BadInputError, match=message):
        Trainer(recipe, [case], [], tmp_path)


def test_one_classifier_learns_one_thing():
    with pytest.raises(BadInputError, match="two things"):
        ObjectiveSettings(class_weight=0.1, lesion_class_weight=0.1)
