"""What the cost table counts, against counts by hand."""

import pytest
import torch
from torch import nn

from petctfusion.errors import ModelError
from petctfusion.networks import build
from petctfusion.networks.blocks.selective_scan import selective_scan
from petctfusion.networks.cost import count_macs, measure_in_new_process, window_shape


class Attention(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


class Scan(nn.Module):
    def forward(self, x):
        rows = x.new_ones(x.shape[0], 1, 5, x.shape[2])
        return selective_scan(x, x.abs(), -x.new_ones(x.shape[1], 5), rows, rows)


def test_a_convolution_costs_inputs_times_outputs_times_kernel_a_voxel():
    macs, updates = count_macs(nn.Conv3d(2, 4, 3, padding=1), torch.zeros(1, 2, 6, 8, 10))
    assert (macs, updates) == (2 * 4 * 27 * 480, 0)
    strided = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU(), nn.InstanceNorm2d(4))
    assert count_macs(strided, torch.zeros(1, 2, 8, 8))[0] == 2 * 4 * 9 * 16


def test_attention_costs_two_matrix_products():
    tokens, width, heads = 12, 8, 3
    assert count_macs(Attention(), torch.zeros(1, heads, tokens, width))[0] == 2 * heads * tokens * tokens * width


def test_a_scan_counts_one_update_a_channel_step_and_state():
    x = torch.rand(2, 4, 100)
    before = Scan()(x)
    assert count_macs(Scan(), x) == (0, 2 * 4 * 100 * 5)
    assert torch.equal(Scan()(x), before)


def test_counting_computes_nothing_and_leaves_the_network():
    network = nn.Conv3d(1, 1, 3, padding=1)
    before = network.weight.clone()
    huge = torch.empty(1, 1, 1, 1, 1).expand(1, 1, 4096, 4096, 4096)
    assert count_macs(network, huge)[0] == 27 * 4096**3
    assert torch.equal(network.weight, before)


@pytest.mark.parametrize(
    ("divisor", "dims", "length", "window"),
    [
        (16, 3, 96, (96,) * 3),
        (32, 2, 50, (64, 64)),
        ((4, 32, 32), 3, 90, (92, 96, 96)),
        ((1, 32, 32), 3, 5, (5, 64, 64)),
    ],
)
def test_the_window_is_the_nearest_legal_one(divisor, dims, length, window):
    network = nn.Identity()
    network.divisor = divisor
    assert window_shape(network, dims, length) == window


@pytest.mark.slow
def test_cipa_costs_what_was_measured_of_the_authors_network():
    """At 512 x 512: 73.4 GMAC beside the scans, 2.977 G state updates."""
    macs, updates = count_macs(build("cipa").eval(), torch.zeros(1, 2, 512, 512))
    assert macs / 1e9 == pytest.approx(73.4, rel=0.02)
    assert updates / 1e9 == pytest.approx(2.977, rel=0.01)


def test_a_process_of_its_own_measures_time_and_memory():
    cost = measure_in_new_process("anatomy_guided", length=30, threads=1)
    assert cost.window == (32, 32, 32)
    assert cost.parameters == sum(p.numel() for p in build("anatomy_guided").parameters())
    assert 0 < cost.seconds < 60
    # At least the weights and the finest level's features of both encoders (8 channels, float32, twice).
    assert cost.peak_memory_bytes > 4 * (cost.parameters + 2 * 8 * 32**3 * 2)
    assert cost.macs_per_voxel == cost.macs / 32**3


def test_failures_of_the_process_come_back_as_they_are():
    with pytest.raises(ModelError, match="nonsense"):
        measure_in_new_process("nonsense")
    with pytest.raises(ModelError, match="could not be measured"):
        measure_in_new_process("anatomy_guided", threads=-1)
