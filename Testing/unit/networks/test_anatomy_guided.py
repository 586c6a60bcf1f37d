"""System A: shapes, fusion types, both dimensions, zero layers."""

import pytest
import torch

from petctfusion.errors import ModelError
from petctfusion.networks import build, network_entries
from petctfusion.networks.blocks.guided_fusion import AnatomyGuidedFusionBlock
from petctfusion.networks.blocks.zero_layer import INITIAL_WINDOWS, FixedWindows, ZeroLayer

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


def test_unknown_networks_and_arguments_are_named():
    with pytest.raises(ModelError, match="nonsense"):
        build("nonsense")
    with pytest.raises(ModelError, match="colour"):
        build("anatomy_guided", colour="red")
    assert [entry.id for entry in network_entries()] == ["anatomy_guided"]


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
