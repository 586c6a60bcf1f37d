"""SS2D, SS1D and the four paths, number by number; the control without a scan."""

import numpy as np
import pytest
import torch

from petctfusion.networks.blocks.cross_scan import cross_merge, cross_scan
from petctfusion.networks.blocks.state_space import SS1D, SS2D, ScanOptions

OPTIONS = ScanOptions(states=3, expansion=2)


def double(module):
    """The module in float64 with every parameter moved off its special first value, and its parameters as arrays."""
    torch.manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return module, {name: p.detach().numpy() for name, p in module.named_parameters()}


def silu(x):
    return x / (1 + np.exp(-x))


def layer_norm(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def scan_path(u, p, path, states=3):
    """One sequence `(L, d)` through path `path` of the parameters `p`, step by step."""
    channels = u.shape[1]
    rank = p["dt_projs_weight"].shape[2]
    rate = -np.exp(p["A_logs"].reshape(-1, channels, states)[path])
    skip = p["Ds"].reshape(-1, channels)[path]
    h, y = np.zeros((channels, states)), np.zeros_like(u)
    for t, u_t in enumerate(u):
        low, b, c = np.split(p["x_proj_weight"][path] @ u_t, [rank, rank + states])
        delta = np.log1p(np.exp(p["dt_projs_weight"][path] @ low + p["dt_projs_bias"][path]))
        h = np.exp(delta[:, None] * rate) * h + (delta * u_t)[:, None] * b
        y[t] = h @ c + skip * u_t
    return y


def test_the_four_paths_of_a_flat_image():
    x = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    paths = cross_scan(x)[0, :, 0].tolist()
    assert paths == [[1, 2, 3, 4, 5, 6], [1, 4, 2, 5, 3, 6], [6, 5, 4, 3, 2, 1], [6, 3, 5, 2, 4, 1]]
    torch.testing.assert_close(cross_merge(cross_scan(x), 2, 3), 4 * x)


def test_ss2d_is_its_description_step_by_step():
    module, p = double(SS2D(2, OPTIONS))
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    values, gate = np.split(x @ p["in_proj.weight"].T, 2, axis=-1)
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    mixed = np.zeros_like(values)
    for row, column in np.ndindex(2, 3):
        patch = padded[row : row + 3, column : column + 3]
        mixed[row, column] = (patch * p["conv2d.weight"][:, 0].transpose(1, 2, 0)).sum((0, 1)) + p["conv2d.bias"]
    u = silu(mixed)
    orders = [[(r, c) for r in range(2) for c in range(3)], [(r, c) for c in range(3) for r in range(2)]]
    orders += [order[::-1] for order in orders]
    merged = np.zeros_like(u)
    for path, order in enumerate(orders):
        y = scan_path(np.array([u[pixel] for pixel in order]), p, path)
        for pixel, value in zip(order, y, strict=True):
            merged[pixel] += value
    expected = (layer_norm(merged, p["out_norm.weight"], p["out_norm.bias"]) * silu(gate)) @ p["out_proj.weight"].T
    found = module(torch.from_numpy(x)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_ss1d_is_its_description_step_by_step():
    module, p = double(SS1D(2, OPTIONS))
    x = np.random.default_rng(0).normal(size=(5, 2))
    values, gate = np.split(x @ p["in_proj.weight"].T, 2, axis=-1)
    y = scan_path(silu(values), p, 0)
    expected = (layer_norm(y, p["out_norm.weight"], p["out_norm.bias"]) * silu(gate)) @ p["out_proj.weight"].T
    np.testing.assert_allclose(module(torch.from_numpy(x)[None])[0].detach().numpy(), expected, atol=1e-10)


def test_the_published_first_values():
    torch.manual_seed(0)
    module = SS2D(32, ScanOptions())
    assert {n: tuple(p.shape) for n, p in module.named_parameters() if "." not in n} == {
        "x_proj_weight": (4, 2 + 2 * 16, 64),
        "dt_projs_weight": (4, 64, 2),
        "dt_projs_bias": (4, 64),
        "A_logs": (4 * 64, 16),
        "Ds": (4 * 64,),
    }
    np.testing.assert_allclose(module.A_logs.detach().exp().numpy(), np.tile(np.arange(1, 17), (256, 1)), rtol=1e-6)
    step = torch.nn.functional.softplus(module.dt_projs_bias.detach())
    assert 0.001 <= step.min() < 0.003
    assert 0.03 < step.max() <= 0.1


@pytest.mark.parametrize("scan", ["selective", "ssd", "none"])
def test_only_a_scan_carries_a_pixel_across_the_image(scan):
    module, _ = double(SS2D(4, ScanOptions(states=2, scan=scan)))
    x = torch.randn(1, 6, 7, 4, dtype=torch.float64)
    moved = x.clone()
    moved[0, 3, 3] += 1
    changed = (module(moved) - module(x)).abs().amax(-1)[0] > 1e-12
    if scan == "none":
        rows, columns = torch.nonzero(changed, as_tuple=True)
        assert changed.sum() == 9
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 4, 2, 4)
    else:
        assert changed.all()


def test_the_control_has_all_layers_but_the_scan():
    names = {n: p.shape for n, p in SS2D(32, ScanOptions()).named_parameters()}
    control = {n: p.shape for n, p in SS2D(32, ScanOptions(scan="none")).named_parameters()}
    own = {"x_proj_weight", "dt_projs_weight", "dt_projs_bias", "A_logs", "Ds"}
    assert control == {n: shape for n, shape in names.items() if n not in own}


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="scan must be one of selective, ssd, none"):
        ScanOptions(scan="fast")
    with pytest.raises(ValueError, match="scan_form must be one of"):
        ScanOptions(form="fast")
    with pytest.raises(ValueError, match="at least 1"):
        ScanOptions(states=0)
