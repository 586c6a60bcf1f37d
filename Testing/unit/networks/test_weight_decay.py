import pytest
import torch
from torch import nn

from petctfusion.networks.blocks.state_space import SS2D, ScanOptions
from petctfusion.networks.weight_decay import decays


@pytest.mark.parametrize("scan", ["selective", "ssd"])
def test_the_scan_s_own_numbers_do_not_decay(scan):
    mixer = SS2D(8, ScanOptions(states=4, scan=scan))
    kept = {name.rsplit(".", 1)[-1] for name, p in mixer.named_parameters() if p.ndim > 1 and not decays(name, p)}
    assert kept <= {"A_logs", "Ds", "dt_projs_bias"}
    assert "dt_projs_bias" in kept
    assert any(decays(name, p) for name, p in mixer.named_parameters())


def test_weights_decay_and_biases_do_not():
    layer = nn.Sequential(nn.Conv3d(2, 3, 3), nn.InstanceNorm3d(3, affine=True))
    assert {name for name, p in layer.named_parameters() if decays(name, p)} == {"0.weight"}
    assert not decays("x.gamma", nn.Parameter(torch.ones(3)))
