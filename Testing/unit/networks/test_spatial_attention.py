"""Bidirectional spatial attention against loops over voxels in double precision."""

import math

import numpy as np
import pytest
import torch

from petctfusion.networks.blocks.spatial_attention import BidirectionalSpatialAttention


def attention_by_hand(q, k, v):
    """softmax(Q K^T / sqrt(C')) V, one query and one key at a time; rows are voxels."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        exponentials = [
            math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(len(query))) for key in k
        ]
        for weight, value in zip(exponentials, v, strict=True):
            out[i] += weight / sum(exponentials) * value
    return out


def numbers(module):
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


@pytest.fixture
def pair():
    torch.manual_seed(3)
    return torch.randn(2, 1, 4, 2, 3, 2, dtype=torch.float64)


@pytest.mark.parametrize("skip", [False, True])
def test_mean_form_equals_the_loops(pair, skip):
    module = BidirectionalSpatialAttention(3, 4, reduction=2, skip=skip).double().eval()
    w = numbers(module)
    results = module(*pair)
    for which in range(2):
        t, s = (x[0].flatten(1).T.numpy() for x in (pair[which], pair[1 - which]))

        def attended(kind, source, which=which, t=t):
            q, k, v = (w[f"{kind}.{which}.{part}.weight"].T for part in ("query", "key", "value"))
            return attention_by_hand(t @ q, source @ k, source @ v)

        expected = ((attended("own", t) + attended("cross", s)) / 2) @ w[f"out.{which}.weight"].T + (t if skip else 0)
        np.testing.assert_allclose(results[which][0].flatten(1).T.detach().numpy(), expected, atol=1e-12)


def test_concat3_form_shares_its_projections_and_convolves_both_outputs(pair):
    module = BidirectionalSpatialAttention(3, 4, reduction=2, fuse="concat3").double().eval()
    w = numbers(module)
    assert {name.split(".")[0] for name in w} == {"own", "out"}
    q, k, v = (w[f"own.0.{part}.weight"].T for part in ("query", "key", "value"))
    results = module(*pair)
    for which in range(2):
        t, s = (x[0].flatten(1).T.numpy() for x in (pair[which], pair[1 - which]))
        both = np.concatenate([attention_by_hand(t @ q, x @ k, x @ v) for x in (t, s)], axis=1)
        padded = np.pad(both.T.reshape(8, 2, 3, 2), ((0, 0), (1, 1), (1, 1), (1, 1)))
        kernel = w[f"out.{which}.weight"]
        for z, y, x in np.ndindex(2, 3, 2):
            expected = (kernel * padded[None, :, z : z + 3, y : y + 3, x : x + 3]).sum(axis=(1, 2, 3, 4))
            np.testing.assert_allclose(results[which][0, :, z, y, x].detach().numpy(), expected, atol=1e-12)


def test_equal_keys_give_even_attention(pair):
    module = BidirectionalSpatialAttention(3, 4, name="level").double().eval()
    for part in (*module.own, *module.cross):
        torch.nn.init.zeros_(part.key.weight)
    for probe in module.maps:
        probe.watching = True
    first, _ = module(*pair)
    assert first.flatten(2).std(dim=2).max() < 1e-12
    for probe in module.maps:
        torch.testing.assert_close(probe.seen[0], torch.ones(1, 1, 2, 3, 2))


def test_the_map_shows_the_voxel_that_is_attended_to(pair):
    module = BidirectionalSpatialAttention(3, 4, name="level").eval()
    cross = module.cross[0]
    for weight in (cross.query.weight, cross.key.weight):
        torch.nn.init.eye_(weight)
    ct, pet = torch.ones(1, 4, 2, 3, 2), torch.zeros(1, 4, 2, 3, 2)
    pet[..., 1, 2, 0] = 8.0
    module.maps[0].watching = True
    module(ct, pet)
    seen = module.maps[0].seen[0]
    assert seen[0, 0, 1, 2, 0] > 0.99 * 12
    assert seen.sum() == pytest.approx(12, abs=1e-4)


def test_dropout_acts_in_training_only(pair):
    module = BidirectionalSpatialAttention(3, 4, dropout=0.5).double()
    assert not torch.equal(module(*pair)[0], module(*pair)[0])
    module.eval()
    assert torch.equal(module(*pair)[0], module(*pair)[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"), [({"reduction": 3}, "divide"), ({"fuse": "sum"}, "mean or concat3")]
)
def test_nonsense_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        BidirectionalSpatialAttention(3, 4, **arguments)
