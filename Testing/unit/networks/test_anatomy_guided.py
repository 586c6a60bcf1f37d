"""System A: shapes, fusion types, both dimensions, zero layers."""

import pytest
import torch
from overfit import overfit, soft_dice_and_bce, synthetic_batch

from petctfusion.models import list_models
from petctfusion.networks import build
from petctfusion.networks.anatomy_guided import BASE_WIDTHS
from petctfusion.networks.blocks.guided_fusion import AnatomyGuidedFusionBlock, ZeroResidualFusionBlock
from petctfusion.networks.blocks.zero_layer import INITIAL_WINDOWS, FixedWindows, ZeroLayer
from petctfusion.networks.cost import count_macs
from petctfusion.networks.explain import attention_maps

TINY = (4, 8, 8)


@pytest.mark.parametrize("fusion", ["early", "late", "intermediate"])
@pytest.mark.parametrize("normalisation", ["learnable", "fixed"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_fusion_and_normalisation_gives_logits_of_the_input_size(fusion, normalisation, spatial_dims):
    network = build(
        "anatomy_guided", spatial_dims=spatial_dims, fusion=fusion, normalisation=normalisation, widths=TINY, classes=3
    )
    x = torch.randn(2, 2, *(16, 8, 12)[:spatial_dims])
    assert network(x).shape == (2, 3, *x.shape[2:])


@pytest.mark.parametrize("fusion", ["early", "late", "intermediate"])
def test_every_parameter_receives_a_gradient(fusion):
    network = build("anatomy_guided", fusion=fusion, widths=TINY, deep_supervision=False)
    x = torch.stack([torch.randn(2, 16, 16, 16) * 300, torch.rand(2, 16, 16, 16) * 10], dim=1)
    network(x).square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not without


def test_both_modalities_change_the_result():
    torch.manual_seed(0)
    network = build("anatomy_guided", widths=TINY).eval()
    x = torch.rand(1, 2, 16, 16, 16)
    base = network(x)
    for channel, shift in ((0, 200.0), (1, 3.0)):
        moved = x.clone()
        moved[:, channel, 4:8] += shift
        assert not torch.allclose(network(moved), base)


def test_deep_supervision_heads_sit_at_full_half_and_quarter_resolution():
    network = build("anatomy_guided", widths=(4, 8, 8, 8), deep_supervision=True)
    sizes = [tuple(level.shape[2:]) for level in network.forward_levels(torch.zeros(1, 2, 16, 16, 16))]
    assert sizes == [(16,) * 3, (8,) * 3, (4,) * 3]


def test_light_3d_network_is_light():
    parameters = sum(p.numel() for p in build("anatomy_guided").parameters())
    assert 3.0e6 < parameters < 4.5e6


def test_a_size_that_does_not_divide_is_refused_with_the_divisor():
    with pytest.raises(ValueError, match="multiples of 4"):
        build("anatomy_guided", widths=TINY)(torch.zeros(1, 2, 10, 8, 8))


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_zero_layer_starts_at_the_readers_windows(modality):
    layer = ZeroLayer(3, modality, 8)
    for (level, width), (wanted_level, wanted_width) in zip(layer.windows(), INITIAL_WINDOWS[modality], strict=True):
        assert level == pytest.approx(wanted_level, rel=1e-4)
        assert width == pytest.approx(wanted_width, rel=1e-3)


def test_soft_window_follows_the_linear_window_around_its_level():
    layer = ZeroLayer(3, "CT", 5)
    torch.nn.init.zeros_(layer.mix.bias)
    layer.mix.weight.data = torch.eye(5).view(5, 5, 1, 1, 1)
    hu = torch.linspace(40 - 60, 40 + 60, 25).view(1, 1, 25, 1, 1)  # within 30 % of the half width of (40, 400)
    soft = layer(hu)[0, 2].flatten()
    linear = ((hu - (40 - 200)) / 400).flatten()
    assert torch.allclose(soft, linear, atol=0.05)


def test_zero_layer_learns_and_fixed_windows_do_not():
    learnable, fixed = ZeroLayer(3, "PET", 4), FixedWindows(3, "PET", 4)
    assert len(learnable.physical_parameters()) == 4
    assert not fixed.physical_parameters()
    learnable(torch.rand(1, 1, 4, 4, 4) * 10).sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in learnable.physical_parameters())
    assert {name.split(".")[0] for name, _ in fixed.named_parameters()} == {"mix"}


def test_a_closed_gate_still_lets_the_metabolism_through():
    block = AnatomyGuidedFusionBlock(3, 8, 8).eval()
    torch.nn.init.constant_(block.gate.bias, -50.0)
    a, p, d = (torch.rand(1, 8, 8, 8, 8) for _ in range(3))
    assert block.spatial_gate(a, p, d).max() < 1e-6
    assert not torch.allclose(block(a, p, d), block(a, 2 * p.roll(1, 2), d))


@pytest.mark.parametrize(
    ("arguments", "size", "parameters", "gmac"),
    [
        ({}, (128,) * 3, 3_409_656, 59.8),
        ({"widths": BASE_WIDTHS}, (128,) * 3, 13_622_134, 224.2),
        ({"widths": BASE_WIDTHS, "spatial_dims": 2}, (256,) * 2, 4_590_454, 5.7),
    ],
)
def test_the_reference_configurations_have_the_size_of_the_specification(arguments, size, parameters, gmac):
    network = build("anatomy_guided", classes=2, zero_width=8, bottleneck_convolutions=1, **arguments)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert count_macs(network, torch.zeros(1, 2, *size))[0] / 1e9 == pytest.approx(gmac, abs=0.05)


def test_the_shipped_model_still_fits_the_default_network():
    from safetensors import safe_open

    model = next(model for model in list_models() if model.card.network == "anatomy_guided" and model.shipped)
    network = build("anatomy_guided", **model.card.arguments)
    with safe_open(model.folder / model.card.weights.file, framework="pt") as weights:
        shipped = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == shipped


def pet_ct(size=16, batch=2):
    return synthetic_batch((size,) * 3, batch)


def test_the_residual_zero_layer_starts_with_nothing_of_a_levels_features():
    """gamma = beta = 0: y = W_d d, whatever the fused features are."""
    block = ZeroResidualFusionBlock(3, 8, 8).eval()
    a, p, d, other = (torch.rand(1, 8, 8, 8, 8) for _ in range(4))
    expected = torch.einsum("oi,bixyz->boxyz", block.project.weight[:, :, 0, 0, 0], d)
    expected = expected + block.project.bias.view(1, -1, 1, 1, 1)
    assert torch.allclose(block(a, p, d), expected, atol=1e-6)
    assert torch.equal(block(a, p, d), block(other, p, d))
    torch.nn.init.constant_(block.gamma, 0.5)
    torch.nn.init.constant_(block.beta, 2.0)
    fused = block.fusion(a, p, d)
    mean, deviation = fused.mean((2, 3, 4), keepdim=True), fused.var((2, 3, 4), keepdim=True, unbiased=False)
    wanted = expected + 0.5 * (fused - mean) / (deviation + 1e-5).sqrt() + 2.0
    assert torch.allclose(block(a, p, d), wanted, atol=1e-5)


@pytest.mark.parametrize("zero_layer", ["windows", "residual"])
@pytest.mark.parametrize(("dims", "seed"), [(2, 0), (2, 1), (2, 2), (3, 3)])
def test_a_gradient_reaches_every_weight_after_three_steps(zero_layer, dims, seed):
    torch.manual_seed(seed)
    network = build("anatomy_guided", widths=(8, 16, 16), zero_layer=zero_layer, spatial_dims=dims)
    images, targets = synthetic_batch((16,) * dims)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(4):
        optimiser.zero_grad()
        soft_dice_and_bce(network(images), targets).backward()
        optimiser.step()
    # The bias of a convolution before an InstanceNorm has no effect; weights, windows and zero layers have.
    names = ("weight", "levels", "raw_widths", "gamma", "beta")
    blocked = [name for name, p in network.named_parameters() if name.endswith(names) and not p.grad.any()]
    assert not blocked


@pytest.mark.parametrize("zero_layer", ["windows", "residual"])
def test_both_readings_learn_a_batch_by_heart(zero_layer):
    torch.manual_seed(0)
    network = build("anatomy_guided", widths=TINY, zero_layer=zero_layer)
    assert overfit(network, (16, 16, 16), 120, 1e-2) > 0.9


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"zero_layer": "none"}, "zero_layer"),
        ({"zero_layer": "residual", "fusion": "late"}, "intermediate"),
        ({"zero_layer": "residual", "normalisation": "fixed"}, "learnable"),
        ({"modalities": ["CT"]}, "two modalities"),
        ({"classes": 0}, "classes"),
    ],
)
def test_nonsense_arguments_are_refused_in_a_sentence(arguments, word):
    with pytest.raises(ValueError, match=word):
        build("anatomy_guided", **arguments)


def test_windows_move_little_in_training_and_their_gradients_are_finite():
    """The specification's check: after an epoch levels and widths have moved less than 30 %."""
    torch.manual_seed(0)
    network = build("anatomy_guided", widths=TINY)
    images, targets = pet_ct()
    physical = network.physical_parameters()
    others = [p for p in network.parameters() if not any(p is q for q in physical)]
    optimiser = torch.optim.AdamW([{"params": others, "lr": 3e-3}, {"params": physical, "lr": 3e-4, "weight_decay": 0}])
    start = network.windows()
    for _ in range(30):
        optimiser.zero_grad()
        soft_dice_and_bce(network(images), targets).backward()
        assert all(torch.isfinite(p.grad).all() for p in physical)
        optimiser.step()
    moved = 0.0
    for before, after in zip(start, network.windows(), strict=True):
        for (level, width), (new_level, new_width) in zip(before, after, strict=True):
            assert abs(new_width - width) < 0.3 * width
            assert abs(new_level - level) < 0.3 * width
            moved += abs(new_level - level)
    assert moved > 0


def test_attention_maps_are_the_gate_and_what_the_channel_gate_lets_through():
    torch.manual_seed(0)
    network = build("anatomy_guided", widths=TINY).eval()
    images, _ = pet_ct(batch=1)
    maps = attention_maps(network, images)
    assert set(maps) == {
        f"{what}, level {level}"
        for what in ("spatial gate", "CT through its channel gate", "PET through its channel gate")
        for level in (1, 2)
    }
    with torch.no_grad():
        block, seen = network.body.fusions[0], {}
        block.gate.register_forward_hook(lambda _m, _i, output: seen.update(gate=output.sigmoid()))
        network(images)
    assert torch.equal(maps["spatial gate, level 1"], seen["gate"])
    assert 0 < maps["spatial gate, level 2"].min() < maps["spatial gate, level 2"].max() < 1


def test_a_study_gets_the_same_result_alone_and_in_a_batch_and_nearly_the_same_in_bfloat16():
    torch.manual_seed(0)
    network = build("anatomy_guided", widths=TINY).eval()
    images, _ = pet_ct()
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(images[:1]), network(images[1:])])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(images)
    assert torch.allclose(together, alone, atol=1e-4)
    assert (half.float().sigmoid() - together.sigmoid()).abs().mean() < 0.02


@pytest.mark.parametrize("zero_layer", ["windows", "residual"])
def test_it_exports(zero_layer):
    network = build("anatomy_guided", widths=TINY, zero_layer=zero_layer).eval()
    images, _ = pet_ct()
    with torch.no_grad():
        exported = torch.export.export(network, (images[:1],)).module()
        assert torch.allclose(exported(images[1:]), network(images[1:]), atol=1e-5)


def test_it_learns_a_phantom_of_two_cases():
    torch.manual_seed(1)
    network = build("anatomy_guided", widths=(4, 8, 16))
    z, y, x = torch.meshgrid(*[torch.arange(16.0)] * 3, indexing="ij")
    targets = torch.stack([((z - c) ** 2 + (y - 8) ** 2 + (x - 8) ** 2 < 16).float()[None] for c in (6, 10)])
    ct = torch.randn(2, 1, 16, 16, 16) * 15 + 40 * targets
    pet = 1 + 5 * torch.nn.functional.avg_pool3d(targets, 3, 1, 1)
    images = torch.cat([ct, pet], dim=1)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(images), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = network(images) > 0
    dice = 2 * (found & (targets > 0)).sum() / (found.sum() + targets.sum())
    assert dice > 0.9


@pytest.mark.parametrize("fusion", ["early", "late", "intermediate"])
def test_where_nobody_clicks_a_network_with_clicks_says_what_it_says_without(fusion):
    networks = []
    for clicks in (False, True):
        torch.manual_seed(4)
        networks.append(build("anatomy_guided", widths=TINY, fusion=fusion, clicks=clicks).eval())
    plain, guided = networks
    x = torch.randn(2, 2, 16, 16, 16)
    assert (plain.takes_clicks, guided.takes_clicks) == (False, True)
    assert torch.equal(guided(x), plain(x))
    guidance = torch.rand(2, 3, 16, 16, 16)
    assert torch.equal(guided.click_features(x)[:, :1], plain(x))
    with pytest.raises(ValueError, match="2 channels"):
        plain(torch.cat([x, guidance], dim=1))
    with pytest.raises(ValueError, match="2 channels"):
        guided(torch.cat([x, guidance[:, :1]], dim=1))


def test_a_click_keeps_the_mask_until_it_is_learned_and_changes_the_middle_half_only():
    torch.manual_seed(4)
    network = build("anatomy_guided", widths=TINY, clicks=True).eval()
    x = torch.cat([torch.randn(1, 2, 16, 16, 16), torch.rand(1, 3, 16, 16, 16).round()], dim=1)
    mask = x[:, 4:] > 0.5
    before = network(x)
    assert torch.equal(before > 0, mask)
    torch.nn.init.normal_(network.click_refiner.head.weight)
    changed = (network(x) != before)[0, 0]
    assert changed[4:12, 4:12, 4:12].float().mean() > 0.9
    changed[4:12, 4:12, 4:12] = False
    assert not changed.any()


def test_a_network_learns_to_follow_clicks():
    torch.manual_seed(0)
    network = build("anatomy_guided", widths=TINY, clicks=True)
    optimiser = torch.optim.Adam(network.click_refiner.parameters(), 0.01)
    x = torch.zeros(2, 5, 16, 16, 16)
    x[0, 2, 8, 8, 6] = x[0, 3, 8, 8, 10] = x[1, 3, 8, 8, 6] = x[1, 2, 8, 8, 10] = 1.0
    target = torch.zeros(2, 1, 16, 16, 16)
    target[0, ..., :8] = target[1, ..., 8:] = 1
    middle = (..., slice(4, 12), slice(4, 12), slice(4, 12))
    for _ in range(60):
        optimiser.zero_grad()
        loss = soft_dice_and_bce(network(x)[middle], target[middle])
        loss.backward()
        optimiser.step()
    right = ((network(x) > 0) == (target > 0.5))[middle].float().mean()
    assert right > 0.9
