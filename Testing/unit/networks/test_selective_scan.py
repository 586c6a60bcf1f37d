"""The selective scan: every form against a plain loop, gradients, memory, precision; the kernel's capability test."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from petctfusion.networks.blocks import chunked_scan, scan_kernel
from petctfusion.networks.blocks.selective_scan import selective_scan
from petctfusion.networks.blocks.ssd_scan import ssd_scan

FORMS = [("chunked", 64), ("chunked", 8), ("chunked", 1), ("matrix", 64), ("matrix", 5), ("sequential", 64)]


def case(batch, channels, states, groups, length, dtype=torch.float64):
    """u, delta, A, B, C, D with decays from almost 1 to almost 0."""
    g = torch.Generator().manual_seed(length + 7 * states)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=dtype)

    delta, rate = 0.3 * normal(batch, channels, length).exp(), -normal(channels, states).exp()
    b, c = normal(batch, groups, states, length), normal(batch, groups, states, length)
    return [normal(batch, channels, length), delta, rate, b, c, normal(channels)]


def plain_loop(u, delta, rate, b, c, skip):
    """The definition, number by number."""
    u, delta, rate, b, c, skip = (t.detach().double().numpy() for t in (u, delta, rate, b, c, skip))
    y = np.zeros_like(u)
    per_group = u.shape[1] // b.shape[1]
    for i, d, n in np.ndindex(u.shape[0], *rate.shape):
        h = 0.0
        for t in range(u.shape[2]):
            h = np.exp(delta[i, d, t] * rate[d, n]) * h + delta[i, d, t] * b[i, d // per_group, n, t] * u[i, d, t]
            y[i, d, t] += c[i, d // per_group, n, t] * h
    return y + skip[:, None] * u


@pytest.mark.parametrize(("form", "chunk"), FORMS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1), (2, 6, 3, 2, 7), (2, 6, 3, 1, 64), (1, 4, 2, 4, 130)])
def test_every_form_is_the_recurrence(form, chunk, shape):
    arguments = case(*shape)
    found = selective_scan(*arguments, form=form, chunk=chunk)
    np.testing.assert_allclose(found.numpy(), plain_loop(*arguments), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("form", "chunk"), FORMS)
def test_a_halving_state_worked_by_hand(form, chunk):
    one = torch.ones(1, 1, 4, dtype=torch.float64)
    u = torch.tensor([[[1.0, 0.0, 2.0, 0.0]]], dtype=torch.float64)
    rate = torch.tensor([[-np.log(2)]])
    y = selective_scan(u, one, rate, one[None], one[None], torch.tensor([10.0]), form=form, chunk=chunk)
    np.testing.assert_allclose(y[0, 0].numpy(), [1 + 10, 0.5, 2.25 + 20, 1.125], atol=1e-12)


@pytest.mark.parametrize(("form", "chunk"), FORMS[:-1])
def test_gradients_of_every_form_are_those_of_the_definition(form, chunk):
    arguments = [t.requires_grad_() for t in case(2, 6, 3, 2, 41)]
    weights = torch.cos(torch.arange(2 * 6 * 41.0, dtype=torch.float64)).view(2, 6, 41)

    def gradients(**how):
        return torch.autograd.grad((selective_scan(*arguments, **how) * weights).sum(), arguments)

    for expected, found in zip(gradients(form="sequential"), gradients(form=form, chunk=chunk), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


def test_gradients_of_the_chunked_form_are_finite_differences():
    arguments = [t.requires_grad_() for t in case(1, 2, 2, 1, 9)]
    assert torch.autograd.gradcheck(lambda *a: selective_scan(*a, chunk=4), arguments)


def test_working_off_channels_and_batch_in_blocks_changes_nothing(monkeypatch):
    arguments = [t.requires_grad_() for t in case(5, 12, 2, 2, 20)]

    def results():
        y = selective_scan(*arguments, chunk=8)
        return [y, *torch.autograd.grad(y.square().sum(), arguments)]

    whole = results()
    monkeypatch.setitem(chunked_scan._STEP_ELEMENTS, "cpu", 48)
    monkeypatch.setattr(chunked_scan, "_BLOCK_CHANNELS", 4)
    assert len(chunked_scan._batch_parts(5, 6, 2, 20, 8, "cpu")) == 3
    assert len(chunked_scan._blocks(2, 12, 2, 2, 20, 8, "cpu")) == 4
    for expected, found in zip(whole, results(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_single_precision_agrees_with_the_definition_forward_and_backward():
    double = [t.requires_grad_() for t in case(1, 8, 16, 1, 1000)]
    single = [t.detach().float().requires_grad_() for t in double]
    with torch.no_grad():
        for t in (double[3], single[3]):
            t.mul_(0.1)
    expected = selective_scan(*double, form="sequential")
    found = selective_scan(*single)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    grads = zip(torch.autograd.grad(expected.sum(), double), torch.autograd.grad(found.sum(), single), strict=True)
    for e, f in grads:
        assert (f - e).abs().max() < 1e-5 * e.abs().max()


def test_what_is_kept_for_the_gradient_grows_with_length_and_not_with_all_states():
    def kept(length):
        total = []
        arguments = [t.requires_grad_() for t in case(1, 8, 16, 1, length, torch.float32)]
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (total.append(t.numel()), t)[1], lambda t: t):
            selective_scan(*arguments)
        return sum(total)

    assert kept(2048) < 2.1 * kept(1024)
    assert kept(2048) < 8 * 16 * 2048 / 2


@pytest.mark.parametrize("form", ["chunked", "matrix", "sequential"])
def test_fast_decay_does_not_overflow(form):
    u, delta, rate, b, c, skip = case(1, 2, 2, 1, 100, torch.float32)
    y = selective_scan(u, delta + 50, rate - 50, b, c, skip, form=form)
    # Everything before t has died away: only the step itself is left.
    own = (delta + 50) * u * (b * c).sum(2) + skip[:, None] * u
    torch.testing.assert_close(y, own, rtol=1e-5, atol=1e-3)


def test_half_precision_is_computed_in_single_also_under_autocast():
    arguments = case(1, 4, 4, 1, 50, torch.float32)
    expected = selective_scan(*[t.bfloat16().float() for t in arguments])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = selective_scan(*[t.bfloat16() for t in arguments])
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())


@pytest.mark.parametrize("form", ["chunked", "matrix"])
def test_it_exports(form):
    class Scan(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = torch.nn.Parameter(-torch.rand(4, 3))

        def forward(self, u, delta, b, c):
            return selective_scan(u, delta, self.rate, b, c, form=form, chunk=4)

    u, delta, _, b, c, _ = case(1, 4, 3, 1, 10, torch.float32)
    module = Scan()
    exported = torch.export.export(module, (u, delta, b, c)).module()
    torch.testing.assert_close(exported(u, delta, b, c), module(u, delta, b, c))


def test_what_does_not_fit_is_refused_in_a_sentence():
    u, delta, rate, b, c, skip = case(1, 4, 3, 1, 8)
    for wrong in ((u, delta[..., 1:], rate, b, c), (u, delta, rate[:, :2], b, c), (u, delta, rate, b, c[..., 1:])):
        with pytest.raises(ValueError, match="must be"):
            selective_scan(*wrong, skip)
    with pytest.raises(ValueError, match="form must be one of"):
        selective_scan(u, delta, rate, b, c, form="quick")
    with pytest.raises(ValueError, match="at least 1"):
        selective_scan(u, delta, rate, b, c, chunk=0)
    with pytest.raises(ValueError, match="multiple of G"):
        selective_scan(u[:, :3], delta[:, :3], rate[:3], b.expand(-1, 2, -1, -1), c.expand(-1, 2, -1, -1))


@pytest.mark.parametrize("length", [1, 16, 45])
def test_the_state_space_dual_is_the_selective_scan_with_shared_decays(length):
    heads, width, states = 4, 3, 5
    u, delta, rate, b, c, _ = case(2, heads * width, states, 2, length)
    delta, rate = delta[:, :heads], rate[:heads, 0]
    every = selective_scan(
        u, delta.repeat_interleave(width, 1), rate.repeat_interleave(width)[:, None].expand(-1, states), b, c
    )
    dual = ssd_scan(u.view(2, heads, width, length), delta, rate, b, c, chunk=16)
    torch.testing.assert_close(dual.flatten(1, 2), every, atol=1e-10, rtol=1e-10)
    with pytest.raises(ValueError, match="H a multiple of G"):
        ssd_scan(u.view(2, heads, width, length)[:, :3], delta[:, :3], rate[:3], b, c)


@pytest.fixture
def mamba_ssm(monkeypatch):
    """A package of that name whose kernel the test provides."""

    def install(kernel):
        interface = ModuleType("mamba_ssm.ops.selective_scan_interface")
        interface.selective_scan_fn = kernel
        for name in ("mamba_ssm", "mamba_ssm.ops"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, interface.__name__, interface)

    return install


def passes():
    return scan_kernel._passes.__wrapped__(torch.device("cpu"))


def test_a_kernel_is_used_only_when_its_results_and_gradients_are_right(mamba_ssm, monkeypatch):
    right = chunked_scan.chunked_scan

    def broken(*_):
        raise RuntimeError("no kernel image is available")

    mamba_ssm(lambda *a: right(*a, 8))
    assert passes()
    mamba_ssm(lambda *a: right(*a, 8) * 1.01)
    assert not passes()
    mamba_ssm(lambda u, delta, a, b, c: right(u, delta, a, b, c.detach(), 8) + 0 * c.sum())
    assert not passes()
    mamba_ssm(broken)
    assert not passes()
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", None)
    assert not passes()


def test_the_kernel_is_not_asked_for_on_the_cpu_nor_when_determinism_is_wanted(monkeypatch):
    monkeypatch.setattr(scan_kernel, "_passes", lambda _device: True)
    assert not scan_kernel.kernel_works(torch.device("cpu"), torch.float32)
    cuda = torch.device("cuda", 0)
    assert scan_kernel.kernel_works(cuda, torch.float32)
    assert not scan_kernel.kernel_works(cuda, torch.float64)
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert not scan_kernel.kernel_works(cuda, torch.float32)
