"""The bidirectional Mamba layer against a plain loop over the definition, and its control without the scan."""

import itertools
import math

import pytest
import torch

from petctfusion.networks.blocks.mamba import MambaLayer
from petctfusion.networks.blocks.state_space import ScanOptions


def randomised(layer, seed=0):
    torch.manual_seed(seed)
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return layer.double().eval()


def readings(grid):
    """Coordinates in the order of each reading: rows and columns, or axial, coronal and sagittal slices."""
    cells = list(itertools.product(*(range(n) for n in grid)))
    if len(grid) == 2:
        return [cells, sorted(cells, key=lambda c: (c[1], c[0]))]
    return [cells, sorted(cells, key=lambda c: (c[1], c[2], c[0])), sorted(cells, key=lambda c: (c[2], c[0], c[1]))]


def silu(v):
    return v / (1 + torch.exp(-v))


def by_hand(layer, x, scan=True):
    """One case `(C, *grid)`, token by token, straight from the equations."""
    channels, grid = x.shape[0], x.shape[1:]
    w, inner = layer.in_proj.weight, layer.in_proj.weight.shape[0] // 2
    cells = list(itertools.product(*(range(n) for n in grid)))
    normed = {}
    for cell in cells:
        v = x[(slice(None), *cell)]
        v = (v - v.mean()) / torch.sqrt(v.var(correction=0) + 1e-5)
        normed[cell] = w @ (v * layer.norm.weight + layer.norm.bias)
    sums = {cell: torch.zeros(2 * inner, dtype=x.dtype) for cell in cells}
    for number, reading in enumerate(readings(grid)):
        for side, order in enumerate((reading, reading[::-1])):
            g = 2 * number + side
            outputs = one_direction(layer, g, [normed[cell][:inner] for cell in order], scan)
            for cell, y in zip(order, outputs, strict=True):
                sums[cell][side * inner : (side + 1) * inner] += y * silu(normed[cell][inner:])
    out = x.clone()
    for cell in cells:
        out[(slice(None), *cell)] += layer.out_proj.weight @ sums[cell]
    assert out.shape[0] == channels
    return out


def one_direction(layer, g, inputs, scan):
    inner, kernel = len(inputs[0]), layer.conv1d.weight.shape[-1]
    rows = slice(g * inner, (g + 1) * inner)
    taps, bias = layer.conv1d.weight[rows, 0], layer.conv1d.bias[rows]
    s = layer.paths
    h, outputs = 0.0, []
    for t in range(len(inputs)):
        past = [inputs[t - k] if t >= k else torch.zeros_like(inputs[0]) for k in range(kernel)]
        u = silu(bias + sum(taps[:, kernel - 1 - k] * past[k] for k in range(kernel)))
        if not scan:
            outputs.append(u)
            continue
        raw, b, c = (s.x_proj_weight[g] @ u).split([s.rank, s.states, s.states])
        delta = torch.log1p(torch.exp(s.dt_projs_weight[g] @ raw + s.dt_projs_bias[g]))
        decay = torch.exp(delta[:, None] * -torch.exp(s.A_logs[rows]))
        h = decay * h + (delta * u)[:, None] * b[None]
        outputs.append(h @ c + s.Ds[rows] * u)
    return outputs


@pytest.mark.parametrize("grid", [(2, 3), (2, 3, 4)])
@pytest.mark.parametrize(
    "options",
    [ScanOptions(3), ScanOptions(3, form="sequential"), ScanOptions(3, form="matrix"), ScanOptions(3, scan="none")],
)
@torch.no_grad()
def test_the_layer_is_its_equation(grid, options):
    layer = randomised(MambaLayer(len(grid), 5, options, kernel=4))
    x = torch.randn(2, 5, *grid, dtype=torch.float64)
    wanted = torch.stack([by_hand(layer, case, options.scan != "none") for case in x])
    torch.testing.assert_close(layer(x), wanted, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_one_token_is_heard_everywhere_and_without_the_scan_only_nearby():
    x = torch.randn(1, 8, 7, 7, 7, dtype=torch.float64)
    moved = x.clone()
    moved[0, :, 3, 3, 3] = torch.randn(8, dtype=torch.float64)
    changed = {}
    for scan in ("selective", "none"):
        layer = randomised(MambaLayer(3, 8, ScanOptions(4, scan=scan)))
        changed[scan] = (layer(moved) - layer(x)).abs().amax(dim=(0, 1)) > 0
    assert changed["selective"].all()
    # The convolution alone: three taps each way along the fast axis of each reading, which is another one each time.
    reach = changed["none"].nonzero() - 3
    assert changed["none"].sum() == 1 + 3 * 6
    assert ((reach != 0).sum(1) <= 1).all()


def test_every_parameter_learns_and_the_control_has_only_the_scan_taken_out():
    names = {}
    for scan in ("selective", "none"):
        layer = MambaLayer(3, 8, ScanOptions(scan=scan))
        layer(torch.randn(2, 8, 2, 3, 4)).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in layer.parameters())
        names[scan] = {name for name, _ in layer.named_parameters()}
    assert all(name.startswith("paths.") for name in names["selective"] - names["none"])
    assert not names["none"] - names["selective"]


def test_the_state_space_starts_as_published():
    space = MambaLayer(3, 32).paths
    assert space.rank == math.ceil(32 / 16)
    torch.testing.assert_close(torch.exp(space.A_logs), torch.arange(1.0, 17).expand(6 * 64, 16))
    delta = torch.nn.functional.softplus(space.dt_projs_bias)
    assert 0.9e-3 < delta.min() < 3e-3
    assert 0.03 < delta.max() < 0.11
    assert (space.Ds == 1).all()


@torch.no_grad()
def test_half_precision_leaves_the_scan_alone():
    layer = MambaLayer(3, 8)
    x = torch.randn(1, 8, 4, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, layer(x))


def test_readings_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="between 1 and 3"):
        MambaLayer(3, 8, orderings=4)
