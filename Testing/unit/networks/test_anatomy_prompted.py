"""System C: shapes, prompts and their switches, identity at the start, what it learns and shows."""

import math

import pytest
import torch
from overfit import overfit, soft_dice_and_bce, synthetic_batch

from petctfusion.networks.anatomy_prompted import AnatomyPrompted
from petctfusion.networks.blocks.mamba import MambaLayer
from petctfusion.networks.explain import attention_maps

TINY = {"widths": (4, 8, 8, 16), "organ_widths": (4, 8), "prompt_widths": (4, 8, 8), "organs": ("lungs", "liver")}
SIZES = ((16, 16, 24), (32, 24, 16))


def tiny(dims=3, **more):
    torch.manual_seed(0)
    return AnatomyPrompted(spatial_dims=dims, **{**TINY, **more})


def images(sizes, batch=2):
    return synthetic_batch(sizes, batch)[0]


def wake(network):
    """Injections that start as the identity get weights as after some training."""
    torch.manual_seed(3)
    for attention in network.injection.attentions if network.injection else ():
        torch.nn.init.normal_(attention.output.weight, std=0.3)
    return network


def test_the_published_trunk_and_prompt_path_have_the_known_sizes():
    network = AnatomyPrompted()
    assert network.injection.stages == (3, 4, 5)
    count = [sum(p.numel() for p in attention.parameters()) for attention in network.injection.attentions]
    assert count == [228_992, 403_520, 801_728]
    assert network.divisor == (16, 32, 32)
    assert all(size % step == 0 for size, step in zip((112, 160, 128), network.divisor, strict=True))
    assert sum(p.numel() for p in network.parameters()) == 26_249_408
    layers = [layer for layer in network.modules() if isinstance(layer, MambaLayer)]
    assert [len(layer.orderings) for layer in layers] == [3, 3]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("prompts", ["organs", "concat", "none"])
def test_logits_have_one_channel_a_label_on_the_input_grid(dims, prompts):
    network = tiny(dims, prompts=prompts, classes=3).eval()
    for sizes in SIZES:
        x = images(sizes[-dims:])
        with torch.no_grad():
            logits, levels = network(x), network.forward_levels(x)
        assert logits.shape == (2, 3, *x.shape[2:])
        assert torch.isfinite(logits).all()
        assert torch.equal(levels[0], logits)
        assert [level.shape[2:] for level in levels] == [tuple(n // 2**i for n in x.shape[2:]) for i in range(3)]
    assert sum(network.level_weights) == pytest.approx(1)
    assert len(tiny(dims, deep_supervision=False).forward_levels(x)) == 1


def test_token_grids_are_those_of_the_published_patch():
    published = AnatomyPrompted(organ_widths=(2, 2))
    tokens = []
    for attention in published.injection.attentions:
        both = (attention.feature_stride, attention.token_stride)
        tokens.append([math.prod(n // s for n, s in zip((112, 160, 128), stride, strict=True)) for stride in both])
    assert tokens == [[35_840, 2_240], [4_480, 2_240], [560, 560]]


@torch.no_grad()
def test_grids_are_as_the_strides_say():
    network = AnatomyPrompted(widths=(2, 2, 4, 4, 4, 4), organ_widths=(2, 2), prompt_widths=(2, 2, 4)).eval()
    seen = {}
    for attention in network.injection.attentions:
        attention.register_forward_hook(
            lambda block, arguments, _: seen.__setitem__(block, [tuple(a.shape[2:]) for a in arguments])
        )
    network(images((32, 64, 96), batch=1))
    for attention in network.injection.attentions:
        for stride, grid in zip((attention.feature_stride, attention.token_stride), seen[attention], strict=True):
            assert grid == tuple(n // s for n, s in zip((32, 64, 96), stride, strict=True))


@pytest.mark.parametrize("control", ["low-rank", "full", "film", "gate", "fixed"])
def test_prompted_encoders_start_exactly_as_encoders_without_prompts(control):
    prompted, plain = tiny(control=control).eval(), tiny(prompts="none").eval()
    shared = plain.state_dict()
    assert not prompted.load_state_dict(shared, strict=False).unexpected_keys
    x = images(SIZES[0])
    with torch.no_grad():
        assert torch.equal(prompted(x), plain(x))
        assert not torch.allclose(wake(prompted)(x), plain(x), atol=1e-3)


def test_without_the_scan_the_same_blocks_remain():
    with_scan, without = tiny(), tiny(scan="none")
    names = [{name for name, _ in network.named_parameters()} for network in (with_scan, without)]
    assert names[0] - names[1]
    assert all(".paths." in name for name in names[0] - names[1])
    assert not names[1] - names[0]
    assert not any(isinstance(m, MambaLayer) for m in tiny(prompt_depth=0).modules())


@pytest.mark.parametrize("prompts", ["organs", "concat"])
def test_organs_given_from_outside_take_the_place_of_the_students(prompts):
    network = wake(tiny(prompts=prompts)).eval()
    x = images(SIZES[0])
    with torch.no_grad():
        lesions, organs = network.forward_with_organs(x)
        assert torch.equal(lesions, network(x))
        assert organs.shape == (2, 3, *SIZES[0])
        own, _ = network.forward_with_organs(x, organs.softmax(1))
        torch.testing.assert_close(own, lesions)
        labels = torch.zeros(2, *SIZES[0], dtype=torch.long)
        labels[:, :8] = 2
        other, same_organs = network.forward_with_organs(x, torch.nn.functional.one_hot(labels, 3).movedim(-1, 1))
    assert torch.equal(same_organs, organs)
    assert (other - lesions).abs().max() > 1e-3
    with pytest.raises(ValueError, match="the prompt must have the shape"):
        network.forward_with_organs(x, torch.zeros(2, 2, *SIZES[0]))
    with pytest.raises(ValueError, match="no organs"):
        tiny(prompts="none").forward_with_organs(x)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_gradient_reaches_every_weight_after_three_steps(dims):
    network = tiny(dims)
    x, target = synthetic_batch(SIZES[0][-dims:])
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(4):
        optimiser.zero_grad()
        levels = network.forward_levels(x)
        loss = soft_dice_and_bce(levels[0], target) + sum(level.square().mean() for level in levels[1:])
        loss.backward()
        optimiser.step()
    # Biases before an InstanceNorm, and those of keys in attention, have no effect: only weights must have a gradient.
    blocked = [n for n, p in network.named_parameters() if p.grad is None or (p.ndim > 1 and not p.grad.any())]
    assert not blocked


def test_the_lesion_loss_can_be_kept_out_of_the_student():
    for prompt_gradient in (True, False):
        network = wake(tiny(prompt_gradient=prompt_gradient))
        network(images(SIZES[0])).sum().backward()
        assert all((p.grad is not None) == prompt_gradient for p in network.student.parameters())
        assert next(network.injection.prompt_encoder.parameters()).grad is not None


def test_the_student_sees_the_ct_unless_told_otherwise():
    x = images(SIZES[0])
    hotter = x.clone()
    hotter[:, 1] += 5
    with torch.no_grad():
        network = tiny().eval()
        assert torch.equal(network.forward_with_organs(x)[1], network.forward_with_organs(hotter)[1])
        network = tiny(organ_modalities=("CT", "PET")).eval()
        assert not torch.equal(network.forward_with_organs(x)[1], network.forward_with_organs(hotter)[1])


@torch.no_grad()
def test_a_study_gets_the_same_result_alone_and_in_a_batch():
    network = wake(tiny()).eval()
    x = images(SIZES[0], batch=3)
    alone = torch.cat([network(study[None]) for study in x])
    torch.testing.assert_close(network(x), alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_half_precision_gives_nearly_the_same_probabilities():
    network = wake(tiny()).eval()
    x = images(SIZES[0])
    exact = network(x).sigmoid()
    with torch.autocast("cpu", torch.bfloat16):
        half = network(x).float().sigmoid()
    assert exact.std() > 0.01
    assert (half - exact).abs().mean() < 0.01
    assert (half - exact).abs().max() < 0.1


@pytest.mark.parametrize("dims", [2, 3])
def test_maps_are_named_after_organs_and_lie_on_the_input_grid(dims):
    network = wake(tiny(dims)).eval()
    x = images(SIZES[1][-dims:])
    maps = attention_maps(network, x)
    organs = ("lungs", "liver")
    assert set(maps) == {
        *(f"organ map, {name}" for name in organs),
        *(f"attention to {name}" for name in ("background", *organs)),
        "prompt weight, stage 3",
        "prompt weight, stage 4",
    }
    assert all(m.shape == (2, 1, *x.shape[2:]) and torch.isfinite(m).all() for m in maps.values())
    shares = sum(maps[f"attention to {name}"] for name in ("background", *organs))
    torch.testing.assert_close(shares, torch.ones_like(shares))
    assert maps["prompt weight, stage 4"].min() > 0
    assert attention_maps(tiny(dims).eval(), x)["prompt weight, stage 3"].max() == 0
    with torch.no_grad():
        torch.testing.assert_close(maps["organ map, liver"], network.forward_with_organs(x)[1].softmax(1)[:, 2:])
    assert not any(getattr(module, "seen", None) for module in network.modules())


@pytest.mark.parametrize("prompts", ["organs", "none"])
def test_it_learns_one_batch_by_heart(prompts):
    assert overfit(tiny(prompts=prompts), (16, 16, 16), steps=100, lr=1e-2) > 0.9


def test_lesions_and_organs_are_learned_together():
    x, target = synthetic_batch((32, 32))
    halves = (torch.arange(32) >= 16).long().view(32, 1).expand(2, 32, 32)
    x[:, 0] += 300 * halves
    network = tiny(2, organs=("upper half",), prompt_gradient=False)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        lesions, organs = network.forward_with_organs(x)
        (soft_dice_and_bce(lesions, target) + torch.nn.functional.cross_entropy(organs, halves)).backward()
        optimiser.step()
    with torch.no_grad():
        lesions, organs = network.eval().forward_with_organs(x)
    assert (organs.argmax(1) == halves).float().mean() > 0.95
    assert ((lesions > 0) == (target > 0)).float().mean() > 0.97


@torch.no_grad()
def test_it_exports_as_a_graph_that_gives_the_same_result():
    network = wake(tiny(2, prompt_depth=1)).eval()
    x = images((16, 24))
    program = torch.export.export(network, (x,))
    torch.testing.assert_close(program.module()(x), network(x), atol=1e-4, rtol=1e-4)


def test_sizes_that_do_not_divide_are_refused_with_the_divisor():
    with pytest.raises(ValueError, match=r"multiples of \(16, 8, 8\), got \(16, 16, 20\)"):
        tiny()(torch.zeros(1, 2, 16, 16, 20))
    with pytest.raises(ValueError, match="2 channels"):
        tiny()(torch.zeros(1, 3, 16, 16, 16))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"spatial_dims": 4}, "spatial_dims must be 2 or 3"),
        ({"modalities": ("PET",)}, "two different modalities"),
        ({"prompts": "text"}, "prompts must be organs, concat or none"),
        ({"organs": ()}, "one or more different names"),
        ({"organs": ("liver", "liver")}, "one or more different names"),
        ({"organ_modalities": ("MR",)}, "organ_modalities must be among"),
        ({"organ_widths": (8,)}, "organ_widths must be two or more"),
        ({"prompt_widths": ()}, "prompt_widths must be one or more"),
        ({"prompted_stages": (5,), "widths": (4, 8, 8)}, "prompted_stages must lie between 1 and 3"),
        ({"widths": (4, 8)}, "prompted_stages must lie between 1 and 2"),
        ({"prompt_pool": (2, 2)}, "prompt pooling needs 3"),
        ({"prompt_depth": -1}, "prompt_depth at least 0"),
        ({"scan": "fast"}, "scan must be one of"),
        ({"control": "magic"}, "control must be one of"),
        ({"heads": 3}, "multiple of the 3 heads"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        AnatomyPrompted(**{**TINY, **arguments})
