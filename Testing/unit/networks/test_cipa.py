"""CIPA and vMambaX: published parameter totals, CRM, DCIM, gates and decoder by hand, sizes, slices, export."""

import numpy as np
import pytest
import torch
from overfit import overfit

from petctfusion.networks.blocks.channel_rectification import ChannelRectification, ContextGatedModule
from petctfusion.networks.blocks.cross_modal_interaction import CrossModalInteraction
from petctfusion.networks.blocks.state_space import ScanOptions
from petctfusion.networks.blocks.vss_decoder import ChannelAttentionBlock, CVSSBlock
from petctfusion.networks.cipa import CIPA, SMALL
from petctfusion.networks.explain import attention_maps
from petctfusion.networks.vmambax import VMambaX

TINY = {
    "widths": (8, 8, 16, 16),
    "depths": (1, 1, 1, 1),
    "decoder_depth": 1,
    "states": 2,
    "decoder_states": 2,
    "rectification_width": 8,
    "trained_size": 64,
    "input_channels": 1,
}
OPTIONS = ScanOptions(states=2)


def tiny(network=CIPA, **arguments):
    """A tiny network in evaluation mode whose parameters and batch statistics are all different."""
    torch.manual_seed(0)
    built = network(**{**TINY, **arguments}).eval()
    return shaken(built)


def shaken(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn_like(buffer))
    return module


def pet_ct(*sizes, batch=1):
    torch.manual_seed(1)
    return torch.stack([torch.randn(batch, *sizes) * 200, torch.rand(batch, *sizes) * 15], dim=1)


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_the_published_configuration_has_the_published_parameters_part_by_part():
    with torch.device("meta"):
        network = CIPA()
    stems = [m for i in network.interactions for m in (i.inner_stem, i.outer_stem)]
    assert count(network) == 54_572_199
    assert count(network.encoder) == 22_125_792
    assert [count(m) for m in network.rectifications] == [1_673_601, 469_377, 168_321, 93_057]
    assert count(*stems) == 6_015_330
    assert count(network.interactions) - count(*stems) == 12_237_120
    assert count(network.decoder) == 11_789_601


def test_vmambax_has_the_published_53_4_million():
    with torch.device("meta"):
        network = VMambaX()
    assert count(network) == 53_404_427
    assert count(network) - count(network.rectifications) == 54_572_199 - 2_404_356


@pytest.mark.parametrize("network", [CIPA, VMambaX])
@pytest.mark.parametrize("sizes", [(32, 32), (64, 96), (160, 32)])
def test_any_multiple_of_32_gives_logits_of_the_input_size(network, sizes):
    built = tiny(network, classes=2)
    with torch.no_grad():
        assert built(pet_ct(*sizes)).shape == (1, 2, *sizes)
    assert built.divisor == (32, 32)


def test_a_window_is_segmented_slice_by_slice_whatever_the_group():
    x = pet_ct(3, 32, 64, batch=2)
    with torch.no_grad():
        flat = tiny()
        expected = torch.stack([flat(x[:, :, z]) for z in range(3)], dim=2)
        for group in (1, 4, 100):
            deep = tiny(spatial_dims=3, slices_at_once=group)
            torch.testing.assert_close(deep(x), expected, atol=1e-5, rtol=1e-4)
    assert deep.divisor == (1, 32, 32)


def test_one_encoder_sees_both_modalities_in_one_pass():
    network = tiny()
    seen = []
    network.encoder.register_forward_hook(lambda _m, given, _out: seen.append(given[0]))
    x = pet_ct(32, 32, batch=2)
    with torch.no_grad():
        network(x)
    scaled = network.scaling(x)
    assert len(seen) == 1
    torch.testing.assert_close(seen[0][:, 0], torch.cat([scaled[:, 0], scaled[:, 1]]))


@pytest.mark.parametrize("network", [CIPA, VMambaX])
def test_dcim_is_added_to_what_the_paper_says(network):
    built = tiny(network).double()
    kept = {}
    built.rectifications[1].register_forward_hook(lambda _m, given, out: kept.update(before=given, after=out))
    built.interactions[1].register_forward_hook(lambda _m, given, out: kept.update(used=given, added=out))
    with torch.no_grad():
        fused = built.fused(torch.randn(2, 2, 64, 64, dtype=torch.float64))[1]
    assert all(torch.equal(a, b) for a, b in zip(kept["used"], kept["after"], strict=True))
    ct, pet = kept["before"] if network is CIPA else kept["after"]
    torch.testing.assert_close(fused, ct + pet + kept["added"])
    assert not torch.allclose(kept["before"][0], kept["after"][0])


@pytest.mark.parametrize("sizes", [(4, 4), (8, 12)])
def test_crm_by_hand(sizes):
    module = shaken(ChannelRectification(4, 6, OPTIONS, "stage 1")).double().eval()
    ct, pet = torch.randn(2, 1, 3, *sizes, dtype=torch.float64)
    pixels = torch.cat([ct, pet], 1)[0].reshape(6, 4, sizes[0] // 4, 4, sizes[1] // 4).mean((2, 4)).reshape(6, 16)

    def norm(x, layer):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return x * layer.weight + layer.bias

    hidden = norm(pixels, module.norm_in) @ module.embed.weight.T + module.embed.bias
    tokens = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    mixed = norm(module.mixer(tokens[None])[0], module.norm_out)
    gate = 1 / (1 + torch.exp(-(mixed @ module.weigh.weight[0] + module.weigh.bias)))
    expected_ct = ct * (1 + gate[:3].view(3, 1, 1))
    expected_pet = pet * (1 + gate[3:].view(3, 1, 1))
    found_ct, found_pet = module(ct, pet)
    torch.testing.assert_close(found_ct, expected_ct, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(found_pet, expected_pet, atol=1e-10, rtol=1e-10)


def test_dcim_puts_every_word_and_sentence_where_it_came_from_on_oblong_maps():
    module = shaken(CrossModalInteraction(4, OPTIONS)).double().eval()
    ct, pet = torch.randn(2, 2, 4, 8, 12, dtype=torch.float64)
    with torch.no_grad():
        words, sentences = module.inner_stem(ct), module.outer_stem(pet)
        assert sentences.shape == (2, 4, 2, 3)
        rows = sentences.permute(0, 2, 3, 1)
        rows = rows + module.outer_mixer(module.outer_norm(rows))
        expected = torch.zeros_like(ct)
        for r, c in np.ndindex(2, 3):
            window = words[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4].permute(0, 2, 3, 1)
            flat = window.reshape(2, 64)
            flat = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            flat = flat * module.inner_norm.weight + module.inner_norm.bias
            window = window + module.inner_mixer(flat.view(2, 4, 4, 4)) + rows[:, r, c].view(2, 1, 1, 4)
            expected[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] = window.permute(0, 3, 1, 2)
        torch.testing.assert_close(module(ct, pet), expected, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(module(ct[..., :9], pet[..., :9]).shape, ct[..., :9].shape)


def test_the_context_gate_by_hand():
    module = shaken(ContextGatedModule(2, "stage 1")).double().eval()
    ct, pet = torch.randn(2, 1, 2, 3, 5, dtype=torch.float64)

    def gate(layers, other, itself):
        both = torch.cat([other, itself], 1)
        first, norm, _, last, _ = layers.channel
        hidden = first.weight[:, :, 0, 0] @ both.mean((2, 3))[0] + first.bias
        hidden = (hidden - norm.running_mean) / (norm.running_var + 1e-3).sqrt() * norm.weight + norm.bias
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        channel = torch.sigmoid(last.weight[:, :, 0, 0] @ hidden + last.bias)
        spatial = torch.zeros(3, 5, dtype=torch.float64)
        padded = torch.nn.functional.pad(both, (1, 1, 1, 1))[0]
        for r, c in np.ndindex(3, 5):
            spatial[r, c] = (padded[:, r : r + 3, c : c + 3] * layers.spatial.weight[0]).sum() + layers.spatial.bias[0]
        return channel.view(1, 2, 1, 1) * torch.sigmoid(spatial)

    found = module(ct, pet)
    expected = ct * (1 + gate(module.gate_ct, pet, ct)), pet * (1 + gate(module.gate_pet, ct, pet))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


def test_a_decoder_block_by_hand():
    block = shaken(CVSSBlock(6, OPTIONS)).double().eval()
    x = torch.randn(1, 3, 4, 6, dtype=torch.float64)
    first = block.scan_skip * x + block.mixer(block.scan_norm(x))
    y = block.attention.body(block.conv_norm(first).permute(0, 3, 1, 2))
    down, _, up = block.attention.squeeze
    pooled = [y.flatten(2).mean(2), y.flatten(2).max(2).values]
    gate = torch.sigmoid(sum((p @ down.weight.T).clamp(min=0) @ up.weight.T for p in pooled))
    expected = (y * gate.view(1, 6, 1, 1)).permute(0, 2, 3, 1) + block.conv_skip * first
    torch.testing.assert_close(block(x), expected, atol=1e-10, rtol=1e-10)
    widths = [layer.out_channels for layer in ChannelAttentionBlock(96).body if hasattr(layer, "out_channels")]
    assert widths == [32, 96]


@pytest.mark.parametrize("network", [CIPA, VMambaX])
@pytest.mark.parametrize("scan", ["selective", "ssd", "none"])
def test_every_parameter_learns(network, scan):
    torch.manual_seed(0)
    # Two stages on 64 pixels: every scan has more than one step, or its decay could not matter.
    built = network(**{**TINY, "widths": (16, 32), "depths": (1, 1), "scan": scan})
    optimiser = torch.optim.SGD(built.parameters(), 1e-2)
    x = pet_ct(64, 64, batch=2)
    for _ in range(3):
        optimiser.zero_grad()
        (built(x) - (x[:, 1:] > 10).float()).square().mean().backward()
        optimiser.step()
    silent = {name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().any()}
    # A batch normalisation removes the mean, and with it the bias of the convolution before it.
    before_norm = {n for n in silent if n.endswith(".bias") and ("_stem." in n or ".channel.0." in n)}
    assert silent - before_norm == set()


def test_forms_of_the_scan_are_the_same_network():
    x = pet_ct(32, 64)
    with torch.no_grad():
        expected = tiny(scan_form="sequential")(x)
        for form in ("chunked", "matrix"):
            torch.testing.assert_close(tiny(scan_form=form)(x), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("network", [CIPA, VMambaX])
def test_a_study_does_not_depend_on_its_neighbours_in_the_batch(network):
    built, x = tiny(network), pet_ct(32, 32, batch=3)
    with torch.no_grad():
        torch.testing.assert_close(built(x)[1:2], built(x[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("network", [CIPA, VMambaX])
def test_bfloat16_stays_close(network):
    built, x = tiny(network), pet_ct(64, 64)
    with torch.no_grad():
        exact = built(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = built(x)
    assert rough.dtype == torch.float32
    # bfloat16 rounds by up to 0.4 %, about twenty layers in a row.
    assert (rough - exact).square().mean().sqrt() < 0.03 * exact.std()


@pytest.mark.parametrize(("network", "scan"), [(CIPA, "selective"), (VMambaX, "selective"), (CIPA, "none")])
def test_one_batch_is_learned_by_heart(network, scan):
    torch.manual_seed(0)
    assert (
        overfit(network(**{**TINY, "widths": (16, 16), "depths": (1, 1), "scan": scan}), (32, 32), steps=150, lr=1e-2)
        > 0.9
    )


@pytest.mark.parametrize(("network", "word"), [(CIPA, "channel rectification"), (VMambaX, "context gate")])
@pytest.mark.parametrize("sizes", [(32, 64), (3, 32, 64)])
def test_maps_are_named_and_on_the_grid(network, word, sizes):
    built = tiny(network, spatial_dims=len(sizes), slices_at_once=2)
    x = pet_ct(*sizes, batch=2)
    maps = attention_maps(built, x)
    assert len(maps) == 12
    assert sum(name.startswith(word) for name in maps) == 8
    for values in maps.values():
        assert values.shape == (2, 1, *sizes)
        assert 0 <= values.min() <= values.max() <= 1
    if len(sizes) == 3:
        alone = attention_maps(tiny(network), x[:, :, 1])
        for name, values in maps.items():
            torch.testing.assert_close(values[:, :, 1], alone[name], atol=1e-5, rtol=1e-4)


def test_what_the_network_cannot_take_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="multiples of 32, got \\(48, 32\\)"):
        tiny()(pet_ct(48, 32))
    with pytest.raises(ValueError, match="spatial axes"):
        tiny()(pet_ct(4, 32, 32))
    wrong = [
        ({"spatial_dims": 4}, "spatial_dims"),
        ({"modalities": ("CT",)}, "two modalities"),
        ({"depths": (1, 1)}, "same two or more stages"),
        ({"decoder_depth": 0}, "at least 1"),
        ({"trained_size": 100}, "multiple of 32"),
        ({"scan": "slow"}, "scan must be one of"),
    ]
    for arguments, sentence in wrong:
        with pytest.raises(ValueError, match=sentence):
            CIPA(**{**TINY, **arguments})


@pytest.mark.parametrize(("network", "scan"), [(CIPA, "none"), (VMambaX, "none")])
def test_it_exports(network, scan):
    exports(network, scan)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "scan"), [(CIPA, "selective"), (VMambaX, "ssd")])
def test_it_exports_with_a_scan(network, scan):
    exports(network, scan)


def exports(network, scan):
    # Loops over time are written out: a graph of thousands of operations even at this size.
    built, x = tiny(network, widths=(8, 8), depths=(1, 1), scan=scan), pet_ct(16, 24)
    exported = torch.export.export(built, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x), built(x), atol=1e-4, rtol=1e-3)


def test_the_light_configuration_is_light():
    assert count(CIPA(**SMALL)) == 1_229_818
