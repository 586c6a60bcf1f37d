"""ISA-Net: the multi-scale attention by hand, and its place behind every encoder level."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from petctfusion.networks.explain import attention_maps
from petctfusion.networks.isanet import ISANet, MultiScaleSpatialAttention


def small(**arguments):
    torch.manual_seed(0)
    return ISANet(**{"widths": (4, 8, 16), **arguments}).eval()


def test_the_attention_equals_its_formula():
    torch.manual_seed(0)
    module = MultiScaleSpatialAttention(2, "gate").double()
    x = torch.randn(1, 5, 10, 9, dtype=torch.float64)
    f = x[0].numpy()
    m = (f.mean(axis=0), f.max(axis=0))
    responses = []
    for scale, size in zip(module.scales, (3, 5, 7), strict=True):
        kernels, biases = (p.detach().numpy() for p in scale.parameters())
        assert kernels.shape == (2, 2, size, size)
        for kernel, bias in zip(kernels, biases, strict=True):
            linear = bias + sum(correlate(a, k, mode="constant") for a, k in zip(m, kernel, strict=True))
            responses.append(np.where(linear > 0, linear, 0.01 * linear))
    weights, bias = module.mix.weight.detach().numpy().ravel(), module.mix.bias.item()
    gate = 1 / (1 + np.exp(-(np.tensordot(weights, np.array(responses), 1) + bias)))
    np.testing.assert_allclose(module(x)[0].detach().numpy(), f * gate + f, atol=1e-12)


def test_a_closed_gate_lets_every_feature_through_and_an_open_one_doubles_it():
    module = MultiScaleSpatialAttention(3, "gate")
    x = torch.randn(1, 4, 6, 6, 6)
    torch.nn.init.zeros_(module.mix.weight)
    for bias, factor in ((-50.0, 1.0), (50.0, 2.0)):
        torch.nn.init.constant_(module.mix.bias, bias)
        torch.testing.assert_close(module(x), factor * x)


def test_both_branches_have_a_map_at_every_level():
    x = torch.stack([torch.randn(1, 8, 12, 16) * 200, torch.rand(1, 8, 12, 16) * 15], dim=1)
    maps = attention_maps(small(), x)
    assert list(maps) == [f"{m} spatial attention, level {level}" for m in ("CT", "PET") for level in (1, 2, 3)]
    assert all(m.min() > 0 and m.max() < 1 for m in maps.values())
    other = attention_maps(small(), torch.cat([x[:, :1], x[:, 1:].flip(4)], dim=1))
    for name, m in maps.items():
        assert torch.equal(other[name], m) == name.startswith("CT")


def test_it_needs_both_modalities():
    assert small().optional_modalities == ()


@pytest.mark.parametrize("kernels", [(), (3, 4), (-1,)])
def test_kernels_that_cannot_be_centred_are_refused(kernels):
    with pytest.raises(ValueError, match="odd sizes"):
        small(kernels=kernels)
