"""The common hook: fixed scaling, probes and attention maps."""

import pytest
import torch
from torch import nn

from petctfusion.networks.blocks.intensity import FixedScaling, absent_value
from petctfusion.networks.blocks.probe import Probe
from petctfusion.networks.explain import attention_maps


def test_scaling_clips_and_standardises_with_the_published_numbers():
    x = torch.tensor([[-3000.0, -832.06, 107.73, 394.07, 3000.0], [-1.0, 0.0, 7.0638, 15.0242, 900.0]])
    x = torch.cat([x, torch.tensor([[-9.0, 0.0, 1.0, 2.0, 9.0]])]).view(1, 3, 5, 1)
    scaled = FixedScaling(("CT", "PET", "MR"))(x)[0, :, :, 0]
    low, high = (-832.06 - 107.73) / 286.34, (1127.76 - 107.73) / 286.34
    assert torch.allclose(scaled[0], torch.tensor([low, low, 0.0, 1.0, high]), atol=1e-4)
    hot = (51.211 - 7.0638) / 7.9604
    assert torch.allclose(scaled[1], torch.tensor([-0.88737, -0.88737, 0.0, 1.0, hot]), atol=1e-4)
    assert torch.equal(scaled[2], x[0, 2, :, 0])


@pytest.mark.parametrize("modality", ["CT", "PET", "MR"])
def test_an_absent_modality_becomes_exactly_zero(modality):
    x = torch.full((2, 1, 4, 4), absent_value(modality))
    assert not FixedScaling((modality,))(x).any()


def test_scaling_stays_in_single_precision_under_autocast():
    hu = torch.tensor([1000.0, 1001.0]).view(1, 1, 2, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scaled = FixedScaling(("CT",))(hu.bfloat16().float() + torch.tensor([0.0, 1.0]).view(1, 1, 2, 1))
    assert scaled.dtype == torch.float32
    assert scaled[0, 0, 1, 0] - scaled[0, 0, 0, 0] == pytest.approx(1 / 286.34, rel=1e-2)


def test_scaling_has_nothing_to_learn_or_to_save_and_names_wrong_channels():
    scaling = FixedScaling(("CT", "PET"))
    assert not list(scaling.parameters())
    assert not scaling.state_dict()
    with pytest.raises(ValueError, match="2 channels"):
        scaling(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="at least one"):
        FixedScaling(())


class Looking(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.halved = Probe("halved")
        self.pair = Probe("pair")

    def forward(self, x):
        pooled = nn.functional.avg_pool2d(x, 2)
        self.halved(self.drop(pooled[:, :1]))
        self.pair(x[:, :2])
        self.pair(x[:, :1] * 3)
        return x


def test_maps_are_named_resampled_linearly_and_split_by_channel():
    x = torch.arange(2 * 2 * 4 * 4, dtype=torch.float32).view(2, 2, 4, 4)
    network = Looking().train()
    maps = attention_maps(network, x)
    assert list(maps) == ["halved", "pair, channel 1", "pair, channel 2", "pair"]
    # The mean of 2 x 2 cells is itself linear here, so that between their centres the ramp comes back.
    assert torch.allclose(maps["halved"][:, :, 1:3, 1:3], x[:, :1, 1:3, 1:3])
    assert torch.equal(maps["pair, channel 2"], x[:, 1:])
    assert torch.equal(maps["pair"], x[:, :1] * 3)
    assert network.training
    assert network.drop.training
    assert not network.pair.seen


def test_a_probe_passed_twice_gives_two_maps_and_none_is_kept_outside():
    network, x = Looking(), torch.rand(1, 1, 4, 4)
    network(x)
    assert not network.pair.seen
    assert list(attention_maps(network, x)) == ["halved", "pair", "pair (2)"]


def test_a_failing_forward_leaves_no_probe_watching():
    network = Looking().train()
    with pytest.raises(IndexError):
        attention_maps(network, torch.rand(4))
    assert not network.halved.watching
    assert network.training


def test_a_map_of_other_axes_is_refused():
    network = nn.Sequential(nn.Flatten(2), Probe("flat"))
    with pytest.raises(ValueError, match="flat"):
        attention_maps(network, torch.rand(1, 1, 4, 4))


def test_a_network_without_probes_has_no_maps():
    assert attention_maps(nn.Identity(), torch.rand(1, 1, 4)) == {}


def test_a_network_with_a_probe_can_be_exported():
    exported = torch.export.export(Looking().eval(), (torch.rand(1, 2, 4, 4),))
    x = torch.rand(1, 2, 4, 4)
    assert torch.equal(exported.module()(x), x)
