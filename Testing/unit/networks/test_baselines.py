"""The baselines from MONAI and dynamic-network-architectures behind the same door."""

import pytest
import torch
from overfit import overfit, soft_dice_and_bce, synthetic_batch
from small_networks import SMALL

from petctfusion.networks import build, network_entries
from petctfusion.networks.cost import count_macs

pytest.importorskip("monai", reason="the extra `networks` is not installed")
pytest.importorskip("dynamic_network_architectures", reason="the extra `networks` is not installed")

BASELINES = [entry.id for entry in network_entries() if entry.kind == "baseline"]
every_baseline = pytest.mark.parametrize("network_id", BASELINES)


def small(network_id, **arguments):
    torch.manual_seed(0)
    return build(network_id, **SMALL[network_id][0], **arguments)


def learnable_window(network_id):
    return (32, 64, 32) if network_id == "swin_unetr" else (16, 16, 16)


@pytest.mark.parametrize(
    ("network_id", "arguments", "parameters", "gmac", "length"),
    [
        # Two classes as where they were measured: MONAI and LesionTracer's plan, 2 FLOP a multiply-accumulate.
        ("swin_unetr", {"features": 24}, 15.70e6, 83.5, 96),
        ("early_unet", {}, 4.81e6, 12.5, 128),
        pytest.param("resenc_unet", {"deep_supervision": True}, 102.35e6, 2427.5, 192, marks=pytest.mark.slow),
    ],
)
def test_default_sizes_are_the_published_ones(network_id, arguments, parameters, gmac, length):
    network = build(network_id, classes=2, **arguments).eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=1e-3)
    assert count_macs(network, torch.zeros(1, 2, *(length,) * 3))[0] / 1e9 == pytest.approx(gmac, rel=0.05)


@every_baseline
def test_a_gradient_reaches_every_weight(network_id):
    network = small(network_id)
    images, target = synthetic_batch(learnable_window(network_id))
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(3):
        optimiser.zero_grad()
        soft_dice_and_bce(network(images), target).backward()
        optimiser.step()
    assert not [name for name, p in network.named_parameters() if p.grad is None]
    assert not [name for name, p in network.named_parameters() if p.ndim > 1 and not p.grad.any()]


@every_baseline
def test_one_batch_is_learned_by_heart(network_id):
    dims = 2 if network_id == "swin_unetr" else 3
    assert overfit(small(network_id, spatial_dims=dims), (64, 64) if dims == 2 else (16, 16, 16), 200, 3e-3) > 0.9


@every_baseline
def test_batch_size_and_bfloat16_change_little(network_id):
    network = small(network_id).eval()
    images, _ = synthetic_batch(learnable_window(network_id))
    with torch.no_grad():
        together = network(images)
        assert torch.allclose(together[1:], network(images[1:]), atol=1e-4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(images).float()
    assert (half.sigmoid() - together.sigmoid()).abs().mean() < 0.02


@every_baseline
def test_it_exports(network_id):
    network = small(network_id).eval()
    images, _ = synthetic_batch(learnable_window(network_id), batch=1)
    with torch.no_grad():
        exported = torch.export.export(network, (images,)).module()
        assert torch.allclose(exported(images + 1), network(images + 1), atol=1e-4)


def test_late_fusion_is_the_average_of_one_network_a_modality_and_the_learned_mix_starts_there():
    average, learned = small("late_unet", classes=2).eval(), small("late_unet", classes=2, mix="learned").eval()
    learned.load_state_dict(average.state_dict(), strict=False)
    images, _ = synthetic_batch((16, 16, 16))
    with torch.no_grad():
        scaled = average.scaling(images)
        ct, pet = (branch(scaled[:, i : i + 1]) for i, branch in enumerate(average.body.branches))
        assert torch.allclose(average(images), (ct + pet) / 2, atol=1e-6)
        assert torch.allclose(learned(images), average(images), atol=1e-5)


def test_deep_supervision_of_resenc_has_a_head_a_level_and_its_weights():
    network = small("resenc_unet", deep_supervision=True)
    images, _ = synthetic_batch((16, 16, 16))
    assert [tuple(level.shape[2:]) for level in network.forward_levels(images)] == [(16,) * 3, (8,) * 3]
    assert network.level_weights == (1.0, 0.0)
    assert sum(build("resenc_unet", widths=(4,) * 5, blocks=(1,) * 5, deep_supervision=True).level_weights) == 1


@pytest.mark.parametrize(
    ("network_id", "arguments", "word"),
    [
        ("late_unet", {"mix": "vote"}, "mix"),
        ("early_unet", {"widths": (8,)}, "widths"),
        ("resenc_unet", {"blocks": (1, 2)}, "blocks"),
        ("early_unet", {"modalities": ()}, "modalities"),
        ("segresnet", {"classes": 0}, "classes"),
    ],
)
def test_nonsense_arguments_are_refused(network_id, arguments, word):
    with pytest.raises(ValueError, match=word):
        build(network_id, **arguments)
