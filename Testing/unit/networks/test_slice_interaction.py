"""System D: SIM by hand and as identity, edges, one encoding a slice, the way from GTV to IGTV."""

import numpy as np
import pytest
import torch
from overfit import overfit

from petctfusion.errors import ModelError
from petctfusion.networks.blocks.slice_interaction import SliceInteractionModule, neighbouring_slices
from petctfusion.networks.cipa import CIPA, SMALL
from petctfusion.networks.explain import attention_maps
from petctfusion.networks.slice_interaction import SliceInteraction, load_gtv_weights

TINY = {
    "widths": (8, 16),
    "depths": (1, 1),
    "decoder_depth": 1,
    "states": 2,
    "decoder_states": 2,
    "rectification_width": 8,
    "trained_size": 32,
    "input_channels": 1,
}


def tiny(**arguments):
    """A tiny network in evaluation mode as it starts."""
    torch.manual_seed(0)
    return SliceInteraction(**{**TINY, **arguments}).eval()


def awake(network):
    """The network with every parameter and batch statistic moved, gamma included."""
    torch.manual_seed(2)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn_like(buffer))
    return network


def pet_ct(*sizes, batch=1):
    torch.manual_seed(1)
    return torch.stack([torch.randn(batch, *sizes) * 200, torch.rand(batch, *sizes) * 15], dim=1)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_sim_adds_the_parameters_of_its_specification_to_those_of_cipa():
    with torch.device("meta"):
        network = SliceInteraction()
    assert [count(m) for m in network.slice_interactions.values()] == [41_907, 159_525, 622_857, 2_461_905]
    assert count(network) == 54_572_199 + 3_286_194


@pytest.mark.parametrize("slices", [3, 5])
def test_it_starts_as_cipa_slice_by_slice_and_leaves_that_when_gamma_opens(slices):
    network = tiny(slices=slices)
    plain = CIPA(spatial_dims=3, **TINY).eval()
    load_gtv_weights(network, plain.state_dict())
    x = pet_ct(4, 16, 32, batch=2)
    with torch.no_grad():
        assert torch.equal(network(x), plain(x))
        for module in network.slice_interactions.values():
            module.gamma.fill_(1.0)
        assert not torch.allclose(network(x), plain(x), atol=1e-3)


def test_one_slice_is_cipa_whatever_the_weights():
    network = awake(tiny(slices=1))
    plain = CIPA(spatial_dims=2, **TINY).eval()
    plain.load_state_dict(network.state_dict())
    x = pet_ct(3, 16, 16)
    with torch.no_grad():
        expected = torch.stack([plain(x[:, :, z]) for z in range(3)], dim=2)
        torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("slices", "reach"), [(3, 1), (5, 2)])
def test_a_slice_sees_its_neighbours_and_no_further(slices, reach):
    network, x = awake(tiny(slices=slices)), pet_ct(9, 16, 16)
    moved = x.clone()
    moved[:, 1, 4] += 5
    with torch.no_grad():
        changed = (network(moved) - network(x)).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
    assert torch.nonzero(changed).flatten().tolist() == list(range(4 - reach, 4 + reach + 1))


def test_only_the_chosen_stages_interact():
    network = awake(tiny(interaction_stages=(2,)))
    assert list(network.slice_interactions) == ["2"]
    features = [torch.randn(3, 8, 4, 4), torch.randn(3, 16, 2, 2)]
    fine, coarse = network.between_slices(features, depth=3)
    assert torch.equal(fine, features[0])
    assert not torch.equal(coarse, features[1])
    assert not tiny(interaction_stages=()).slice_interactions


def test_neighbours_repeat_the_edges_and_stay_within_their_volume():
    features = torch.arange(8.0).view(8, 1, 1, 1)
    five = neighbouring_slices(features, 4, 5)[:, :, 0, 0, 0].tolist()
    assert five == [
        [0, 0, 0, 1, 2],
        [0, 0, 1, 2, 3],
        [0, 1, 2, 3, 3],
        [1, 2, 3, 3, 3],
        [4, 4, 4, 5, 6],
        [4, 4, 5, 6, 7],
        [4, 5, 6, 7, 7],
        [5, 6, 7, 7, 7],
    ]
    assert neighbouring_slices(features[:1], 1, 3).flatten().tolist() == [0, 0, 0]


def test_sim_by_hand():
    module = awake(SliceInteractionModule(2, 3, "stage 1")).double().eval()
    f = torch.randn(1, 3, 2, 4, 5, dtype=torch.float64)

    def gelu(x):
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))

    def depthwise(x, layer):
        """Each channel with its own kernel, pixel by pixel."""
        k = layer.weight.shape[-1]
        padded = torch.nn.functional.pad(x, (k // 2,) * 4)
        y = torch.zeros_like(x)
        for c, row, column in np.ndindex(*x.shape):
            y[c, row, column] = (padded[c, row : row + k, column : column + k] * layer.weight[c, 0]).sum()
        return y + layer.bias.view(-1, 1, 1)

    with torch.no_grad():
        u0 = f[0].reshape(6, 4, 5)
        u = u0 + gelu(depthwise(u0, module.mix))
        first, _, last = module.channel_branch
        pooled = (u.mean((1, 2)), u.amax((1, 2)))
        ca = torch.sigmoid(sum(last.weight @ gelu(first.weight @ v + first.bias) + last.bias for v in pooled))
        summary = torch.stack(
            [s(u[2 * i : 2 * i + 2]) for i in range(3) for s in (lambda x: x.mean(0), lambda x: x.amax(0))]
        )
        large, point = module.spatial_branch
        sa = torch.sigmoid(
            torch.einsum("oi,ihw->ohw", point.weight[:, :, 0, 0], depthwise(summary, large)) + point.bias.view(3, 1, 1)
        )
        weighed = u * ca.view(6, 1, 1) * sa[[0, 0, 1, 1, 2, 2]]
        y = torch.einsum("oi,ihw->ohw", module.project.weight[:, :, 0, 0], weighed) + module.project.bias.view(2, 1, 1)
        norm = module.norm
        y = (y - norm.running_mean.view(2, 1, 1)) / (norm.running_var.view(2, 1, 1) + 1e-5).sqrt()
        y = y * norm.weight.view(2, 1, 1) + norm.bias.view(2, 1, 1)
        expected = f[0, 1] + module.gamma.view(2, 1, 1) * y
        torch.testing.assert_close(module(f)[0], expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("group", [2, 100])
def test_a_sweep_encodes_every_slice_once(group):
    network = awake(tiny(slices_at_once=group, slices=5))
    encoded = []
    network.encoder.register_forward_hook(lambda _m, given, _out: encoded.append(given[0].shape[0]))
    with torch.no_grad():
        network(pet_ct(7, 16, 16))
    assert sum(encoded) == 2 * 7


def test_groups_windows_and_batches_do_not_change_a_slice():
    network, x = awake(tiny(slices_at_once=100)), pet_ct(6, 16, 32, batch=2)
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(network(x[1:])[0], expected[1], atol=1e-5, rtol=1e-4)
        network.slices_at_once = 2
        torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-4)
        # A window that is cut elsewhere differs only where it replicates its edge.
        torch.testing.assert_close(network(x[:, :, 2:])[:, :, 1:], expected[:, :, 3:], atol=1e-5, rtol=1e-4)


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = SliceInteraction(**{**TINY, "widths": (16, 32)})
    optimiser = torch.optim.SGD(network.parameters(), 1e-1)
    x = pet_ct(3, 64, 64)
    for _ in range(3):
        optimiser.zero_grad()
        (network(x) - (x[:, 1:] > 10).float()).square().mean().backward()
        optimiser.step()
    silent = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().any()}
    # Batch normalisation removes the mean, and with it the bias of the convolution before it.
    assert {n for n in silent if not (n.endswith(".bias") and ("_stem." in n or ".project." in n))} == set()


def test_a_gtv_checkpoint_lacks_sim_and_nothing_else():
    network, plain = tiny(), CIPA(**TINY)
    state = plain.state_dict()
    network.slice_interactions["1"].gamma.data.fill_(0.5)
    load_gtv_weights(network, state)
    torch.testing.assert_close(network.state_dict()["decoder.head.weight"], state["decoder.head.weight"])
    assert network.slice_interactions["1"].gamma[0] == 0.5
    before = network.decoder.head.weight.clone()
    with pytest.raises(ModelError, match=r"lacks decoder\.head\.bias"):
        load_gtv_weights(network, {n: torch.zeros_like(v) for n, v in state.items() if n != "decoder.head.bias"})
    with pytest.raises(ModelError, match="has the unknown teacher"):
        load_gtv_weights(network, {**state, "teacher": torch.zeros(1)})
    with pytest.raises(ModelError, match=r"another shape of decoder\.head\.weight"):
        load_gtv_weights(network, {**state, "decoder.head.weight": torch.zeros(2, 8, 1, 1)})
    assert torch.equal(network.decoder.head.weight, before)


def test_all_but_decoder_and_sim_is_transferred():
    network = tiny()
    slow = {id(p) for p in network.transferred_parameters()}
    fast = {name.split(".")[0] for name, p in network.named_parameters() if id(p) not in slow}
    assert fast == {"decoder", "slice_interactions"}
    assert len(slow) == sum(n.split(".")[0] not in fast for n, _ in network.named_parameters())


def test_maps_show_where_each_neighbour_is_looked_at():
    network, x = awake(tiny(slices_at_once=2)), pet_ct(5, 16, 32, batch=2)
    maps = attention_maps(network, x)
    weights = {name: m for name, m in maps.items() if name.startswith("weight of slice")}
    assert list(weights)[:3] == [f"weight of slice {s}, stage 1" for s in ("-1", "+0", "+1")]
    assert len(weights) == 6
    assert len(maps) == 6 + 2 * 3
    for m in maps.values():
        assert m.shape == (2, 1, 5, 16, 32)
        assert 0 <= m.min() <= m.max() <= 1


@pytest.mark.slow
def test_one_batch_is_learned_by_heart():
    torch.manual_seed(0)
    network = SliceInteraction(**{**TINY, "widths": (16, 16)})
    assert overfit(network, (16, 24, 24), steps=100, lr=1e-2) > 0.9
    assert network.slice_interactions["1"].gamma.abs().max() > 0


def test_bfloat16_stays_close():
    network, x = awake(tiny()), pet_ct(3, 32, 32)
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(x)
    assert rough.dtype == torch.float32
    # bfloat16 rounds by up to 0.4 %, about twenty layers in a row.
    assert (rough - exact).square().mean().sqrt() < 0.03 * exact.std()


@pytest.mark.slow
def test_it_exports():
    network, x = awake(tiny(scan="ssd")), pet_ct(3, 16, 16)
    exported = torch.export.export(network, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x), network(x), atol=1e-4, rtol=1e-3)


def test_the_light_configuration_has_any_size_of_32_and_is_light():
    network = SliceInteraction(**SMALL).eval()
    assert count(network) == 1_329_787
    assert network.divisor == (1, 32, 32)
    with torch.no_grad():
        assert network(pet_ct(2, 96, 32)).shape == (1, 1, 2, 96, 32)


def test_what_the_network_cannot_take_is_refused_in_a_sentence():
    for arguments, sentence in (
        ({"spatial_dims": 2}, "must be 3"),
        ({"slices": 2}, "odd"),
        ({"slices": -1}, "odd"),
        ({"interaction_stages": (0,)}, "between 1 and 2"),
    ):
        with pytest.raises(ValueError, match=sentence):
            tiny(**arguments)
    with pytest.raises(ValueError, match=r"multiples of \(1, 8, 8\), got \(3, 16, 20\)"):
        tiny()(pet_ct(3, 16, 20))
