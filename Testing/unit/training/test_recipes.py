"""Every recipe of the package: readable, trainable, small."""

import pytest
import torch

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.training.objectives import objective_for
from petctfusion.training.optimiser import network_of
from petctfusion.training.recipe import read_recipe, recipe_names

# One that goes on from another's weights is no row of the comparison.
SARCOMA = [name for name in recipe_names() if name.startswith("sts_") and not read_recipe(name).initial]
SYSTEMS = {"anatomy_guided", "h2aseg", "anatomy_prompted", "slice_interaction", "dual_attention"}
BASELINES = {"early_unet", "late_unet", "resenc_unet", "segresnet", "swin_unetr", "msam", "isanet"}
# The coarsest head has the weight 0, as in nnU-Net.
WITHOUT_GRADIENT = {"sts_resenc_unet": {"body.decoder.seg_layers.0.weight", "body.decoder.seg_layers.0.bias"}}


def test_there_is_a_recipe_for_every_system_and_baseline():
    assert {read_recipe(name).network for name in SARCOMA} == SYSTEMS | BASELINES


@pytest.mark.parametrize("name", SARCOMA)
def test_recipes_differ_in_network_and_patch_only(name):
    recipe, first = read_recipe(name), read_recipe("sts_anatomy_guided")
    assert recipe.name == name.replace("_", "-")
    for field in (
        "spacing_mm", "clip", "steps", "batch", "seed", "learning_rate", "weight_decay", "schedule", "loss",
        "augmentation",
    ):  # fmt: skip
        assert getattr(recipe, field) == getattr(first, field), field


def small_patch(recipe, network):
    """As small as the network trains on: two of its smallest windows an axis."""
    stated = network.divisor
    divisor = (stated,) * 3 if isinstance(stated, int) else tuple(stated)
    return tuple(min(size, 2 * step) for size, step in zip(recipe.patch, divisor, strict=True))


@pytest.mark.parametrize("name", recipe_names())
def test_a_step_reaches_every_weight_and_the_file_stays_below_20_mb(name):
    recipe = read_recipe(name)
    torch.manual_seed(recipe.seed)
    network = network_of(recipe)
    objective = objective_for(recipe, network)
    patch = small_patch(recipe, network)
    image = torch.stack([torch.randn(1, *patch) * 400, torch.rand(1, *patch) * 10], dim=1)
    target = torch.zeros(1, 2 if recipe.objective.lesion_class_weight else 1, *patch)
    target[..., : patch[1] // 2, : patch[2] // 2] = 1
    loss = objective(network.train(), image, target)
    loss.backward()
    assert torch.isfinite(loss)
    missing = {key for key, p in network.named_parameters() if p.requires_grad and p.grad is None}
    kept = {key for key, _ in network.named_parameters() if recipe.clicks and not key.startswith("click_refiner.")}
    assert missing == WITHOUT_GRADIENT.get(name, set()) | kept
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert 2 * sum(tensor.numel() for tensor in network.state_dict().values()) < 20e6


@pytest.mark.parametrize("name", [name for name in SARCOMA if "deep_supervision" in read_recipe(name).arguments])
def test_weights_trained_with_deep_supervision_fit_the_network_without(name):
    recipe = read_recipe(name)
    trained = network_of(recipe).eval()
    plain = {key: value for key, value in recipe.arguments.items() if key != "deep_supervision"}
    shipped = build(recipe.network, **plain).eval()
    state = trained.state_dict()
    shipped.load_state_dict({key: state[key] for key in shipped.state_dict()})
    image = torch.stack([torch.randn(1, 32, 32, 32) * 400, torch.rand(1, 32, 32, 32) * 10], dim=1)
    with torch.no_grad():
        assert torch.equal(shipped(image), trained(image))


def test_an_unknown_key_of_the_objective_is_named_with_the_nearest(tmp_path):
    text = "name='a'\ntitle='a'\nnetwork='h2aseg'\nspacing_mm=[4,4,4]\npatch=[32,32,32]\nsteps=1\nbatch=1\n"
    path = tmp_path / "a.toml"
    path.write_text(f"{text}[arguments]\n[clip]\nCT=[0,1]\n[objective]\norgan_wieght = 1\n")
    with pytest.raises(BadInputError, match="organ_wieght") as caught:
        read_recipe(str(path))
    assert "organ_weight" in str(caught.value.hint)
