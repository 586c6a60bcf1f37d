"""Hypernetwork-controlled cross-attention: identity at the start, numbers by hand, where it looks."""

import math

import pytest
import torch

from petctfusion.networks.blocks import hyper_attention
from petctfusion.networks.blocks.hyper_attention import HyperCrossAttention
from petctfusion.networks.blocks.position_code import position_code

CONTROLS = ["low-rank", "full", "film", "gate", "fixed"]
every_control = pytest.mark.parametrize("control", CONTROLS)


def small(control="low-rank", **arguments):
    torch.manual_seed(0)
    return HyperCrossAttention(8, 6, heads=2, rank=3, hidden=5, control=control, **arguments)


def awake(block):
    torch.manual_seed(1)
    for p in block.parameters():
        torch.nn.init.normal_(p, std=0.4)
    return block.double()


def data(dtype=torch.float64, batch=2):
    torch.manual_seed(2)
    return torch.randn(batch, 8, 2, 3, dtype=dtype), torch.randn(batch, 6, 1, 4, dtype=dtype)


@pytest.mark.parametrize(("channels", "parameters"), [(64, 228_992), (128, 403_520), (256, 801_728)])
def test_published_widths_have_the_known_number_of_parameters(channels, parameters):
    assert sum(p.numel() for p in HyperCrossAttention(channels).parameters()) == parameters


@every_control
@pytest.mark.parametrize("strides", [{}, {"feature_stride": (4, 4), "token_stride": (8, 4)}])
def test_it_starts_as_the_exact_identity(control, strides):
    feature, tokens = data(torch.float32)
    assert torch.equal(small(control, **strides)(feature, tokens), feature)


def layer_norm(v, norm):
    return (v - v.mean()) / math.sqrt(float(v.var(correction=0)) + 1e-5) * norm.weight + norm.bias


def by_hand(block, feature, tokens, control):
    """One case, voxel by voxel and head by head."""
    f = [layer_norm(v, block.norm_feature) for v in feature.flatten(1).T]
    t = [layer_norm(v, block.norm_token) for v in tokens.flatten(1).T]
    if control != "fixed":
        mean = torch.cat([sum(f) / len(f), sum(t) / len(t)])
        a = block.condition.weight @ mean + block.condition.bias
        e = a * 0.5 * (1 + torch.erf(a / math.sqrt(2)))

    def project(index, v):
        linear = block.projections[index]
        plain = linear.weight @ v + linear.bias
        if control == "low-rank":
            c = block.controls[index]
            u = (c.u.weight @ e + c.u.bias).reshape(len(v), 3)
            return plain + (c.v.weight @ e + c.v.bias).reshape(3, 8).T @ (u.T @ v)
        if control == "full":
            c = block.controls[index].weight
            return plain + (c.weight @ e + c.bias).reshape(len(v), 8).T @ v
        if control == "film":
            c = block.controls[index].scale_and_shift
            both = c.weight @ e + c.bias
            return (1 + both[:8]) * plain + both[8:]
        return plain

    keys, values = [project(1, v) for v in t], [project(2, v) for v in t]
    out = feature.flatten(1).clone()
    for i, v in enumerate(f):
        q, found = project(0, v), torch.zeros(8, dtype=torch.float64)
        for head in (slice(0, 4), slice(4, 8)):
            weights = torch.exp(torch.stack([q[head] @ k[head] / 2 for k in keys]))
            found[head] = sum(w * x[head] for w, x in zip(weights / weights.sum(), values, strict=True))
        change = block.output.weight @ found + block.output.bias
        if control != "fixed":
            change = change / (1 + torch.exp(-(block.gate.weight @ e + block.gate.bias)))
        out[:, i] += change
    return out.reshape(feature.shape)


@every_control
@torch.no_grad()
def test_numbers_by_hand(control):
    block = awake(small(control))
    feature, tokens = data()
    wanted = torch.stack([by_hand(block, f, t, control) for f, t in zip(feature, tokens, strict=True)])
    torch.testing.assert_close(block(feature, tokens), wanted, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_the_hypernetwork_starts_silent_and_then_rewrites_projections_by_case():
    block = small()
    torch.nn.init.normal_(block.output.weight)
    feature, tokens = data(torch.float32)
    q, *_ = block._projected(feature, tokens)
    plain = block.projections[0](block.norm_feature(feature.flatten(2).mT))
    assert torch.equal(q, plain)
    assert block.controls[0].u(torch.ones(1, 5)).abs().min() > 0
    torch.nn.init.normal_(block.controls[0].v.weight)
    # The same voxels beside other tokens: other queries.
    same = feature[:1].expand(2, -1, -1, -1)
    changed, *_ = block._projected(same, tokens)
    assert (changed[0] - changed[1]).abs().max() > 1e-4


@every_control
def test_a_gradient_reaches_every_weight_within_three_steps(control):
    block = small(control)
    feature, tokens = data(torch.float32)
    target = torch.randn_like(feature)
    optimiser = torch.optim.Adam(block.parameters(), 1e-2)
    for _ in range(4):
        optimiser.zero_grad()
        (block(feature, tokens) - target).square().mean().backward()
        optimiser.step()
    # A bias of the keys shifts all logits of a query alike: no gradient by definition.
    blocked = [n for n, p in block.named_parameters() if not p.grad.any() and n != "projections.1.bias"]
    assert not blocked


@torch.no_grad()
def test_attention_to_kinds_of_tokens_is_a_share(monkeypatch):
    block = awake(small(feature_stride=(4, 4), token_stride=(8, 3)))
    feature, tokens = data()
    kinds = torch.nn.functional.one_hot(torch.tensor([0, 2, 1, 2]), 3).T.reshape(1, 3, 1, 4).expand(2, -1, -1, -1)
    shares = block.attention_to(feature, tokens, kinds)
    assert shares.shape == (2, 3, 2, 3)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 2, 3))
    q, k, _, _ = block._projected(feature, tokens)
    weights = torch.stack([torch.softmax(q[..., h] @ k[..., h].mT / 2, -1) for h in (slice(0, 4), slice(4, 8))]).mean(0)
    torch.testing.assert_close(shares[:, 2].flatten(1), (weights[..., 1] + weights[..., 3]).float())
    monkeypatch.setattr(hyper_attention, "_QUERIES_AT_ONCE", 4)
    torch.testing.assert_close(block.attention_to(feature, tokens, kinds), shares)


def test_the_position_code_knows_distance_and_not_place():
    fine = position_code((4, 6, 8), (8, 8, 8), 18, torch.device("cpu")).view(4, 6, 8, 18)
    coarse = position_code((2, 3, 4), (16, 16, 16), 18, torch.device("cpu")).view(2, 3, 4, 18)
    torch.testing.assert_close(fine[0, 0, 0] @ fine[1, 2, 3], fine[2, 3, 4] @ fine[3, 5, 7])
    torch.testing.assert_close(fine.square().sum(-1), torch.full((4, 6, 8), 9.0))
    # The coarse token at (1, 2, 3) lies between the fine ones (2..3, 4..5, 6..7): those are the nearest of all.
    likeness = (fine @ coarse[1, 2, 3]).flatten()
    nearest = {tuple(int(v) for v in torch.unravel_index(i, (4, 6, 8))) for i in likeness.topk(8).indices}
    assert nearest == {(z, y, x) for z in (2, 3) for y in (4, 5) for x in (6, 7)}


@torch.no_grad()
def test_with_positions_a_voxel_looks_at_the_tokens_where_it_lies():
    torch.manual_seed(0)
    block = HyperCrossAttention(64, 64, control="fixed", feature_stride=(4, 4, 4), token_stride=(8, 8, 8))
    feature, tokens = torch.zeros(1, 64, 8, 8, 8), torch.zeros(1, 64, 4, 4, 4)
    kinds = torch.eye(64).view(1, 64, 4, 4, 4)
    looked_at = block.attention_to(feature, tokens, kinds)[0].argmax(0)
    places = torch.arange(64).view(4, 4, 4)
    own = places.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert (looked_at == own).float().mean() > 0.9


@pytest.mark.parametrize(
    ("arguments", "sentence"), [({"control": "magic"}, "control must be one of"), ({"heads": 5}, "multiple of the 5")]
)
def test_nonsense_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        HyperCrossAttention(8, **arguments)
