"""3-D convolutions over few planes, whose bfloat16 weight gradients are not all written on a CPU."""

import pytest
import torch
from torch import nn

from petctfusion.training.precision import autocast


def weight_gradient(layer, image, half):
    layer.zero_grad(set_to_none=True)
    with autocast(half, "cpu"):
        logits = layer(image)
    logits.float().square().sum().backward()
    return logits, layer.weight.grad.clone()


@pytest.mark.parametrize(("kernel", "planes"), [(3, 2), (5, 3), (7, 6)])
def test_fewer_planes_than_the_kernel_are_computed_in_single_precision(kernel, planes):
    torch.manual_seed(0)
    layer = nn.Conv3d(2, 2, kernel, padding=kernel // 2)
    image = torch.randn(2, 2, planes, 8, 8)
    exact, expected = weight_gradient(layer, image, half=False)
    logits, found = weight_gradient(layer, image, half=True)
    assert torch.equal(logits, exact)
    assert torch.equal(found, expected)


def test_other_convolutions_stay_in_half_precision_with_nearly_the_same_gradient():
    torch.manual_seed(0)
    layer = nn.Conv3d(2, 4, 3, padding=1)
    image = torch.randn(2, 2, 3, 8, 8)
    _, expected = weight_gradient(layer, image, half=False)
    logits, found = weight_gradient(layer, image, half=True)
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
    assert not torch.equal(found, expected)
