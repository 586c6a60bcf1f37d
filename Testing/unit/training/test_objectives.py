"""What a network is trained to do: contour, organ student, classifier."""

import dataclasses

import pytest
import torch

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.networks.anatomy_prompted.organ_teacher import (
    CT_TISSUES,
    ct_tissue_probabilities,
    organ_loss,
    pseudo_labels,
)
from petctfusion.training.losses import deep_supervision_loss
from petctfusion.training.objective_settings import ObjectiveSettings
from petctfusion.training.objectives import objective_for
from petctfusion.training.objectives.tumour_class import shows_tumour
from petctfusion.training.precision import autocast
from petctfusion.training.recipe import read_recipe

PROMPTED = {
    "widths": [4, 8],
    "organs": list(CT_TISSUES),
    "organ_widths": [4, 8],
    "prompt_widths": [4],
    "prompted_stages": [2],
    "prompt_depth": 1,
    "states": 4,
    "heads": 2,
    "prompt_gradient": False,
}
DUAL = {"modalities": ["CT", "PET"], "widths": [4, 8]}
PLAIN = {"widths": [4, 8]}


def prepared(tiny_recipe, network, arguments, seed=0, **objective):
    """Recipe, network and objective."""
    recipe = dataclasses.replace(
        tiny_recipe, network=network, arguments=arguments, objective=ObjectiveSettings(**objective)
    )
    torch.manual_seed(seed)
    built = build(network, **arguments)
    return built, objective_for(recipe, built)


def slabs(batch=2, size=16):
    """CT in slabs of lung, fat, soft tissue and bone, PET with a hot cube, and the cube's contour."""
    generator = torch.Generator().manual_seed(3)
    image = torch.zeros(batch, 2, size, size, size)
    for slab, hu in zip(image[:, 0].chunk(4, dim=1), (-800.0, -100.0, 40.0, 700.0), strict=True):
        slab.fill_(hu)
    image[:, 0] += 5 * torch.randn(image[:, 0].shape, generator=generator)
    image[:, 1] = 1.0
    cube = slice(size // 4, size // 2)
    target = torch.zeros(batch, 1, size, size, size)
    target[..., cube, cube, cube] = 1
    image[:, 1:] += 8 * target
    return image, target


def gradients(loss, module):
    module.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("network", ["anatomy_guided", "h2aseg", "dual_attention"])
def test_the_default_is_the_loss_of_all_levels_bit_for_bit(tiny_recipe, network):
    arguments = {
        "anatomy_guided": tiny_recipe.arguments,
        "h2aseg": {"widths": [4] * 5, "window": [2, 2, 2], "dropout": 0.0},
        "dual_attention": DUAL,
    }[network]
    built, objective = prepared(tiny_recipe, network, arguments)
    image, target = slabs(size=32 if network == "h2aseg" else 16)
    levels = built.forward_levels(image) if hasattr(built, "forward_levels") else [built(image)]
    wanted = deep_supervision_loss(levels, target, tiny_recipe.loss, getattr(built, "level_weights", None))
    expected = gradients(wanted, built)
    loss = objective(built, image, target)
    found = gradients(loss, built)
    assert torch.equal(loss, wanted)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_shipped_recipe_keeps_the_default(tiny_recipe):
    shipped = read_recipe("sts_anatomy_guided")
    plain = objective_for(tiny_recipe, build("anatomy_guided", **tiny_recipe.arguments))
    assert objective_for(shipped, build("anatomy_guided", **tiny_recipe.arguments)) == plain


def test_the_student_learns_from_the_ct_alone(tiny_recipe):
    network, objective = prepared(tiny_recipe, "anatomy_prompted", PROMPTED, organ_weight=0.5)
    image, target = slabs()
    found = gradients(objective(network, image, target), network)
    _, organs = network.forward_with_organs(image)
    labels = pseudo_labels(ct_tissue_probabilities(image[:, :1]), 0.9)
    alone = gradients(0.5 * organ_loss(organs, labels), network)
    students = {name for name in found if name.startswith("student.")}
    assert len(students) == len(list(network.student.parameters()))
    for name in students:
        torch.testing.assert_close(found[name], alone[name], rtol=1e-4, atol=1e-7)
    assert max(float(found[name].abs().max()) for name in students) > 0
    assert all(found[f"heads.{i}.weight"].abs().sum() > 0 for i in range(len(network.heads)))


def test_the_student_finds_the_tissues_after_some_steps(tiny_recipe):
    arguments = {**PROMPTED, "prompts": "concat"}
    network, objective = prepared(tiny_recipe, "anatomy_prompted", arguments, organ_weight=1.0)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    image, target = slabs(batch=1)

    def right():
        labels = pseudo_labels(ct_tissue_probabilities(image[:, :1]), 0.9)
        with torch.no_grad():
            found = network.forward_with_organs(image)[1].argmax(dim=1)
        return float((found == labels)[labels >= 0].float().mean())

    before = right()
    for _ in range(25):
        optimiser.zero_grad()
        objective(network, image, target).backward()
        optimiser.step()
    assert right() > max(0.9, before)


def test_the_ct_is_found_where_the_recipe_puts_it(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe,
        network="anatomy_prompted",
        arguments={**PROMPTED, "modalities": ["PET", "CT"], "organ_modalities": ["CT"]},
        clip={"PET": (0.0, 60.0), "CT": (-1024.0, 3071.0)},
        objective=ObjectiveSettings(organ_weight=0.5),
    )
    assert objective_for(recipe, build(recipe.network, **recipe.arguments)).channel == 1


def test_shows_tumour_asks_for_half_a_voxel():
    share = torch.zeros(3, 4, 4, 4)
    share[1, 0, 0, 0], share[2, 0, 0, 0] = 0.49, 0.5
    assert shows_tumour(share).tolist() == [0, 0, 1]


def test_the_classifier_learns_whether_there_is_tumour(tiny_recipe):
    network, objective = prepared(tiny_recipe, "dual_attention", DUAL, class_weight=1.0)
    image, target = slabs(batch=4, size=8)
    image[::2, 1], target[::2] = 1.0, 0.0
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3)
    torch.manual_seed(1)
    for _ in range(40):
        optimiser.zero_grad()
        objective(network, image, target).backward()
        optimiser.step()
    network.eval()
    with torch.no_grad():
        found = network.forward_with_class(image)[1].argmax(dim=1)
    assert found.tolist() == [0, 1] * 2


def test_the_classifier_adds_its_weighted_cross_entropy(tiny_recipe):
    network, plain = prepared(tiny_recipe, "dual_attention", DUAL)
    _, objective = prepared(tiny_recipe, "dual_attention", DUAL, class_weight=0.3)
    network.eval()
    image, target = slabs()
    scores = network.forward_with_class(image)[1]
    entropy = torch.nn.functional.cross_entropy(scores, torch.ones(2, dtype=torch.long))
    wanted = plain(network, image, target) + 0.3 * entropy
    torch.testing.assert_close(objective(network, image, target), wanted)


@pytest.mark.parametrize(
    ("name", "arguments", "objective"),
    [
        ("anatomy_guided", PLAIN, {}),
        ("anatomy_prompted", PROMPTED, {"organ_weight": 0.5}),
        ("dual_attention", DUAL, {"class_weight": 0.5}),
    ],
)
def test_objectives_draw_no_random_numbers_and_give_a_single_precision_scalar(tiny_recipe, name, arguments, objective):
    network, loss_of = prepared(tiny_recipe, name, arguments, **objective)
    network.eval()  # dropout draws, which is the network's own
    image, target = slabs()
    before = torch.get_rng_state()
    for half in (False, True):
        with autocast(half, "cpu"):
            loss = loss_of(network, image, target)
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "arguments", "objective", "message"),
    [
        ("anatomy_guided", PLAIN, {"organ_weight": 0.5}, "no organ student"),
        ("anatomy_prompted", {**PROMPTED, "prompts": "none"}, {"organ_weight": 0.5}, "no organ student"),
        ("anatomy_prompted", {**PROMPTED, "organs": ["liver"]}, {"organ_weight": 0.5}, "not liver"),
        ("anatomy_prompted", PROMPTED, {}, "nothing teaches"),
        ("anatomy_guided", PLAIN, {"class_weight": 0.5}, "no classifier"),
        ("dual_attention", {**DUAL, "lesion_classes": 3}, {"class_weight": 0.5}, "has 3"),
        ("dual_attention", DUAL, {"class_weight": 0.5, "organ_weight": 0.5}, "both"),
    ],
)
def test_what_the_network_does_not_have_is_refused(tiny_recipe, name, arguments, objective, message):
    with pytest.raises(BadInputError, match=message) as caught:
        prepared(tiny_recipe, name, arguments, **objective)
    assert caught.value.hint


def test_a_student_without_a_ct_is_refused(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe,
        network="anatomy_prompted",
        arguments={**PROMPTED, "modalities": ["MR", "PET"]},
        clip={"MR": (-5.0, 5.0), "PET": (0.0, 60.0)},
        objective=ObjectiveSettings(organ_weight=0.5),
    )
    with pytest.raises(BadInputError, match="no CT"):
        objective_for(recipe, build(recipe.network, **recipe.arguments))


@pytest.mark.parametrize("values", [{"organ_weight": -1.0}, {"class_weight": float("nan")}, {"organ_confidence": 1.0}])
def test_numbers_without_sense_are_refused(values):
    with pytest.raises(BadInputError, match=next(iter(values))):
        ObjectiveSettings(**values)
