"""What H2ASeg, the dual attention network, MSAM and ISA-Net have in common, checked on small configurations."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from overfit import overfit, soft_dice_and_bce, synthetic_batch

from petctfusion.networks.dual_attention import DualAttention
from petctfusion.networks.explain import attention_maps
from petctfusion.networks.h2aseg import H2ASeg
from petctfusion.networks.isanet import ISANet
from petctfusion.networks.msam import MSAM


@dataclass(frozen=True)
class System:
    """A small configuration; `sizes`, accepted and to be learned, are (z, y, x) and lose their first axis in 2-D."""

    build: Any
    sizes: tuple[tuple[int, int, int], ...]
    learned: tuple[int, int, int]
    refused: tuple[int, int, int]
    maps: int
    arguments: dict[str, Any]

    def __call__(self, spatial_dims: int = 3, **more: Any) -> torch.nn.Module:
        torch.manual_seed(0)
        return self.build(spatial_dims=spatial_dims, modalities=("CT", "PET"), **{**self.arguments, **more})


LEVELS = {"widths": (4, 8, 16)}
THREE_LEVELS = ((8, 12, 16), (16, 8, 8)), (12, 16, 16), (8, 8, 10)
SYSTEMS = {
    "h2aseg": System(
        H2ASeg,
        ((16, 32, 64), (32, 64, 32)),
        (16, 32, 32),
        (24, 32, 32),
        16 + 8,
        {"widths": (4, 8, 8, 8, 16), "dropout": 0.0},
    ),
    "dual_attention": System(DualAttention, *THREE_LEVELS, 3, {**LEVELS, "reduction": 2}),
    "msam": System(MSAM, *THREE_LEVELS, 1, {**LEVELS, "guide_widths": (4, 8)}),
    "isanet": System(ISANet, *THREE_LEVELS, 6, LEVELS),
}
every_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
both_dims = pytest.mark.parametrize("dims", [2, 3])


def images(sizes, batch=2):
    return synthetic_batch(sizes, batch)[0]


@every_system
@both_dims
@pytest.mark.parametrize("classes", [1, 3])
def test_logits_have_one_channel_a_label_on_the_input_grid_at_every_size(system, dims, classes):
    network = system(dims, classes=classes).eval()
    for sizes in system.sizes:
        x = images(sizes[-dims:])
        with torch.no_grad():
            logits = network(x)
        assert logits.shape == (2, classes, *x.shape[2:])
        assert torch.isfinite(logits).all()


@every_system
def test_both_modalities_change_the_result(system):
    network = system(2).eval()
    x = images(system.sizes[0][-2:])
    with torch.no_grad():
        base = network(x)
        for channel, shift in ((0, 200.0), (1, 3.0)):
            moved = x.clone()
            moved[:, channel, 4:8, 4:8] += shift
            assert (network(moved) - base).abs().max() > 1e-4


@every_system
@both_dims
def test_a_gradient_reaches_every_weight_after_three_steps(system, dims):
    network = system(dims)
    x, target = synthetic_batch(system.sizes[0][-dims:])
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(4):
        optimiser.zero_grad()
        _training_loss(network, x, target).backward()
        optimiser.step()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    # A bias in front of an InstanceNorm has no effect, so that only weights must have a gradient that is not 0.
    blocked = [n for n, p in network.named_parameters() if p.ndim > 1 and p.grad is not None and not p.grad.any()]
    assert not missing
    assert not blocked


def _training_loss(network, x, target):
    if isinstance(network, H2ASeg):
        levels = network.forward_levels(x)
        return soft_dice_and_bce(levels[0], target) + sum(level.square().mean() for level in levels[1:])
    if isinstance(network, DualAttention):
        logits, classes = network.forward_with_class(x)
        truth = torch.tensor([0, 1])
        return soft_dice_and_bce(logits, target) + torch.nn.functional.cross_entropy(classes, truth)
    return soft_dice_and_bce(network(x), target)


@every_system
@both_dims
def test_a_study_gets_the_same_result_alone_and_in_a_batch(system, dims):
    network = system(dims).eval()
    x = images(system.learned[-dims:])
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(study[None]) for study in x])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@every_system
def test_half_precision_gives_nearly_the_same_probabilities(system):
    network = system().eval()
    x = images(system.sizes[0])
    with torch.no_grad():
        exact = network(x).sigmoid()
        with torch.autocast("cpu", torch.bfloat16):
            half = network(x).float().sigmoid()
    assert exact.std() > 0.01
    assert (half - exact).abs().mean() < 0.01
    assert (half - exact).abs().max() < 0.1


@every_system
def test_sizes_that_do_not_divide_are_refused_with_the_divisor(system):
    network = system()
    with pytest.raises(ValueError, match=r"spatial sizes must be multiples of .*, got \(\d+, \d+, \d+\)"):
        network(torch.zeros(1, 2, *system.refused))
    with pytest.raises(ValueError, match="3 spatial axes"):
        network(torch.zeros(1, 2, 32, 32))
    with pytest.raises(ValueError, match="2 channels"):
        network(torch.zeros(1, 3, *system.sizes[0]))
    assert all(size % step == 0 for sizes in system.sizes for size, step in zip(sizes, network.divisor, strict=True))


def test_a_window_with_a_single_coarsest_voxel_is_refused():
    for network, smallest in (
        (H2ASeg(widths=(4, 8, 8, 8, 16), mcsa=False), 16),
        *((build(widths=(4, 8, 16)), 4) for build in (DualAttention, ISANet)),
        (MSAM(widths=(4, 8, 16), guide_widths=(4, 8)), 4),
    ):
        with pytest.raises(ValueError, match=f"larger than {smallest}, got"):
            network(torch.zeros(1, 2, *(smallest,) * 3))
        assert network(torch.zeros(1, 2, smallest, smallest, 2 * smallest)).isfinite().all()


@every_system
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"spatial_dims": 4}, "spatial_dims must be 2 or 3"),
        ({"modalities": ("CT",)}, "two different modalities"),
        ({"modalities": ("PET", "PET")}, "two different modalities"),
        ({"classes": 0}, "classes must be at least 1"),
        ({"widths": (8, 0)}, "positive channel counts"),
    ],
)
def test_arguments_that_make_no_network_are_refused(system, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        system.build(**arguments)


@every_system
@both_dims
def test_attention_maps_lie_on_the_input_grid_and_cost_nothing_otherwise(system, dims):
    network = system(dims)
    x = images(system.sizes[0][-dims:])
    maps = attention_maps(network, x)
    assert len(maps) == system.maps
    for name, attention in maps.items():
        assert attention.shape == (2, 1, *x.shape[2:]), name
        assert torch.isfinite(attention).all(), name
    assert not any(module.seen for module in network.modules() if hasattr(module, "seen"))


@every_system
@both_dims
def test_it_learns_one_batch_by_heart(system, dims):
    assert overfit(system(dims), system.learned[-dims:], steps=100, lr=2e-2) > 0.9


@every_system
def test_it_exports_as_a_graph_that_gives_the_same_result(system):
    network = system().eval()
    x = images(system.sizes[0])
    program = torch.export.export(network, (x,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), network(x), atol=1e-4, rtol=1e-4)


@every_system
def test_weights_saved_and_loaded_give_the_same_result(system, tmp_path):
    from safetensors.torch import load_file, save_file

    network, other = system().eval(), system(classes=1).eval()
    for p in other.parameters():
        torch.nn.init.normal_(p)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x = images(system.sizes[0])
    with torch.no_grad():
        assert torch.equal(other(x), network(x))
