"""System B: parameter total, shapes of the published table, symmetry of the modalities, MCSA and TAMW by hand."""

import re

import numpy as np
import pytest
import torch

from petctfusion.networks.explain import attention_maps
from petctfusion.networks.h2aseg import H2ASeg
from petctfusion.networks.h2aseg.mcsa import CooperativeWindowAttention
from petctfusion.networks.h2aseg.tamw import TargetAwareWeighting

SMALL = (4, 8, 12, 16, 20)
BRANCH = re.compile(r"\b(encoder|gather|own|cross|out|after_inter|after_intra)\.([01])\b")


def small(**arguments):
    """A small network in evaluation mode whose parameters, PReLU slopes included, are all different."""
    torch.manual_seed(0)
    network = H2ASeg(widths=SMALL, **arguments).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return network


def pet_ct(*sizes):
    torch.manual_seed(1)
    return torch.stack([torch.randn(1, *sizes) * 200, torch.rand(1, *sizes) * 15], dim=1)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_published_configuration_has_the_published_number_of_parameters():
    network = H2ASeg()
    assert count(network) == 7_164_869
    assert count(H2ASeg(widths=(4, 8, 16, 32, 64))) == 1_799_201
    parts = {level: count(module) for level, module in network.attention.items()}
    assert (parts["4"], parts["5"]) == (57_344, 229_376)
    assert [round(parts[level] / 1e3, 1) for level in "23"] == [36.9, 147.5]
    assert [round(count(module) / 1e3, 1) for module in network.weighting] == [2.4, 9.5, 37.3, 148.4]


def test_a_grid_of_the_published_proportions_has_the_published_levels():
    network = H2ASeg().eval()
    widths = []
    for block in [*network.decoder]:
        block.register_forward_hook(lambda _m, given, out: widths.append((given[0].shape[1], out.shape[1])))
    with torch.no_grad():
        levels = network.forward_levels(pet_ct(16, 32, 32))
    assert widths == [(384, 128), (192, 64), (96, 32), (48, 16)]
    assert [tuple(level.shape[2:]) for level in levels] == [(16 // 2**i, 32 // 2**i, 32 // 2**i) for i in range(5)]
    assert network.divisor == (16, 32, 32)
    assert sum(network.level_weights) == pytest.approx(1)
    np.testing.assert_allclose(np.array(network.level_weights) / network.level_weights[-1], [5, 4, 3, 2, 1])


def test_the_divisor_follows_the_window_and_is_no_larger_than_needed():
    assert H2ASeg(widths=SMALL, window=(8, 8, 8)).divisor == (32, 32, 32)
    assert H2ASeg(widths=SMALL, window=(4, 4, 4)).divisor == (16, 16, 16)
    assert H2ASeg(widths=SMALL, mcsa=False).divisor == (16, 16, 16)
    assert H2ASeg(spatial_dims=2, widths=SMALL).divisor == (32, 32)


@pytest.mark.parametrize("fuse", ["mean", "concat3"])
def test_swapping_the_modalities_together_with_their_weights_changes_nothing(fuse):
    network = small(fuse=fuse)
    mirror = H2ASeg(widths=SMALL, modalities=("PET", "CT"), fuse=fuse).eval()
    mirror.load_state_dict(_mirrored(network.state_dict()))
    x = pet_ct(16, 32, 32)
    with torch.no_grad():
        for ours, theirs in zip(network.forward_levels(x), mirror.forward_levels(x.flip(1)), strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
        assert (network.forward(x.flip(1)) - network(x)).abs().max() > 1e-2


def _mirrored(state):
    """Branch 0 and 1 exchanged everywhere, also in the channel blocks of decoder, weighting and deepest head."""
    result = {}
    for name, value in state.items():
        mirrored = BRANCH.sub(lambda match: f"{match[1]}.{1 - int(match[2])}", name)
        match name.split("."):
            case ["weighting", level, _, "0", "weight"] | ["decoder", level, "main" | "skip", "1", "weight"]:
                value = value[:, _swapped_channels(int(level))]
            case ["weighting", level, _, "2", _]:
                value = value[_swapped_channels(int(level))]
            case ["heads", "4", "1", "weight"]:
                value = value.roll(SMALL[4], dims=1)
        # The shared projections of concat3 have no other branch.
        result[mirrored if mirrored in state else name] = value
    return result


def _swapped_channels(level):
    """[ct ; pet ; f_hi] to [pet ; ct ; f_hi]; at level 4 f_hi is [ct5 ; pet5] itself."""
    c = SMALL[level]
    ct, pet, f_hi = list(range(c)), list(range(c, 2 * c)), list(range(2 * c, 2 * c + 2 * SMALL[level + 1]))
    if level == 3:
        f_hi = f_hi[SMALL[4] :] + f_hi[: SMALL[4]]
    return pet + ct + f_hi


def test_tamw_without_weights_is_plain_concatenation():
    weighted, plain = small(), small(tamw=False)
    for module in weighted.weighting:
        for side in (module.foreground, module.background):
            torch.nn.init.zeros_(side[2].weight)
            torch.nn.init.zeros_(side[2].bias)
    kept = {name: value for name, value in weighted.state_dict().items() if not name.startswith("weighting")}
    plain.load_state_dict(kept)
    x = pet_ct(16, 32, 32)
    with torch.no_grad():
        assert torch.equal(weighted(x), plain(x))


def test_without_attention_and_weighting_two_encoders_and_concatenation_remain():
    network = small(mcsa=False, global_attention=False, tamw=False)
    assert not network.attention
    assert not network.weighting
    x = pet_ct(16, 16, 32)
    with torch.no_grad():
        assert network(x).shape == (1, 1, 16, 16, 32)
    assert attention_maps(network, x) == {}


def test_tamw_equals_its_formula():
    torch.manual_seed(2)
    module = TargetAwareWeighting(2, 3, 1, ("CT", "PET")).double()
    ct, pet = torch.randn(2, 1, 2, 2, 4, dtype=torch.float64)
    f_hi, scores = torch.randn(1, 3, 2, 4, dtype=torch.float64), torch.randn(1, 2, 2, 4, dtype=torch.float64)
    e = np.exp(scores[0].numpy())
    p = {"background": e[0] / (e[0] + e[1]), "foreground": e[1] / (e[0] + e[1])}
    a, b, f = ct[0].numpy(), pet[0].numpy(), f_hi[0].numpy()
    terms = {}
    for side, layers in (("foreground", module.foreground), ("background", module.background)):
        x = np.concatenate([a * p[side], b * p[side], f])
        w1, b1, w2, b2 = (q.detach().numpy() for q in layers.parameters())
        w = np.tanh(w2 @ np.tanh(w1 @ x.mean(axis=(1, 2)) + b1) + b2)
        terms[side] = w[:, None, None] * x
    expected = np.concatenate([a, b, f]) + terms["foreground"] - terms["background"]
    np.testing.assert_allclose(module(ct, pet, f_hi, scores)[0].detach().numpy(), expected, atol=1e-12)


def test_tamw_maps_show_the_weight_times_the_prediction():
    module = TargetAwareWeighting(2, 2, 3, ("CT", "PET"))
    for layers in (module.foreground, module.background):
        torch.nn.init.zeros_(layers[2].weight)
    module.foreground[2].bias.data = torch.tensor([0.5, 0.5, -1.0, -1.0, 0.0, 0.0]).atanh().clamp(-20, 20)
    for probe in module.maps.values():
        probe.watching = True
    scores = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    module(*torch.randn(2, 1, 2, 4, 4), torch.randn(1, 2, 4, 4), scores)
    p_f = float(torch.tensor(2.0).sigmoid())
    shown = {probe.name: probe.seen[0] for probe in module.maps.values()}
    assert set(shown) == {
        f"TAMW level 3: {s} weight of {m}" for s in ("foreground", "background") for m in ("CT", "PET")
    }
    torch.testing.assert_close(shown["TAMW level 3: foreground weight of CT"], torch.full((1, 1, 4, 4), 0.5 * p_f))
    torch.testing.assert_close(shown["TAMW level 3: foreground weight of PET"], torch.full((1, 1, 4, 4), -p_f))


def test_mcsa_runs_between_windows_then_inside_them():
    """Two channels, 4 x 4 pixels, window 2 x 2: every step with loops over pixels."""
    torch.manual_seed(4)
    module = CooperativeWindowAttention(2, 2, (2, 2), 1, "mean", 0.0, "MCSA", ("CT", "PET")).double().eval()
    w = {name: p.detach().numpy() for name, p in module.named_parameters()}
    pair = torch.randn(2, 1, 2, 4, 4, dtype=torch.float64)
    first = [x[0].numpy() for x in pair]

    coarse = []
    for which, x in enumerate(first):
        g = np.zeros((2, 2, 2))
        for i, j in np.ndindex(2, 2):
            patch = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            g[:, i, j] = (w[f"gather.{which}.weight"] * patch).sum(axis=(1, 2, 3)) + w[f"gather.{which}.bias"]
        coarse.append(g)
    attended = _bdsa(coarse, w, "inter")
    up = np.array([[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]])
    second = []
    for which, (g, x) in enumerate(zip(attended, first, strict=True)):
        second.append(_norm(up @ g @ up.T + x, w[f"after_inter.{which}.1.weight"]))
    local = [np.zeros((2, 4, 4)) for _ in range(2)]
    for i, j in np.ndindex(2, 2):
        box = (slice(None), slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
        for which, out in enumerate(_bdsa([x[box] for x in second], w, "intra")):
            local[which][box] = out
    for which, result in enumerate(module(*pair)):
        expected = _norm(local[which] + second[which], w[f"after_intra.{which}.1.weight"])
        np.testing.assert_allclose(result[0].detach().numpy(), expected, atol=1e-10)


def _bdsa(pair, w, name):
    tokens = [x.reshape(2, -1).T for x in pair]
    results = []
    for which, t in enumerate(tokens):
        total = 0
        for kind, source in (("own", t), ("cross", tokens[1 - which])):
            q, k, v = (w[f"{name}.{kind}.{which}.{part}.weight"] for part in ("query", "key", "value"))
            weights = np.exp((t @ q.T) @ (source @ k.T).T / np.sqrt(2))
            total = total + weights / weights.sum(axis=1, keepdims=True) @ (source @ v.T) / 2
        results.append((total @ w[f"{name}.out.{which}.weight"].T).T.reshape(pair[which].shape))
    return results


def _norm(x, slope):
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    normed = (x - mean) / np.sqrt(variance + 1e-5)
    return np.where(normed > 0, normed, slope * normed)


def test_several_classes_weigh_by_all_of_them_together():
    module = TargetAwareWeighting(2, 2, 1, ("CT", "PET")).double()
    ct, pet, f_hi = torch.randn(3, 1, 2, 4, 4, dtype=torch.float64)
    scores = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    merged = torch.stack([scores[:, 0], scores[:, 1:].logsumexp(dim=1)], dim=1)
    torch.testing.assert_close(module(ct, pet, f_hi, scores), module(ct, pet, f_hi, merged))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"widths": (8, 16, 32)}, "five channel counts"),
        ({"dropout": 1.0}, "dropout"),
        ({"window": (8, 8)}, "window needs 3"),
        ({"window": (4, 6, 8)}, "multiples of its smallest"),
        ({"fuse": "sum"}, "mean or concat3"),
        ({"widths": (4, 6, 8, 8, 8)}, "reduction must divide"),
    ],
)
def test_nonsense_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        H2ASeg(**arguments)
