"""What a network costs on a CPU: parameters, multiply-accumulates, memory and seconds of one window.

`measure_in_new_process` is what to call: a process that has run another network keeps memory and warm caches.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from petctfusion.errors import FusionError, ModelError, OutOfMemoryError, error_of_kind
from petctfusion.networks.blocks import selective_scan
from petctfusion.networks.registry import build, network_entry

DEFAULT_WINDOW = 96
THREADS = 2
_REPEATS = 3
_LONG_S = 60.0


@dataclass(frozen=True)
class NetworkCost:
    """One window of `window` voxels (batch 1, float32, no gradients) through a network in its default configuration.

    `macs`: multiply-accumulates of convolutions, matrix products and attention, after PyTorch's FLOP counter divided by
    two; element-wise work, norms and scans are not in it. `scan_updates`: state updates of the selective scans (batch
    x channels x length x states), about 9 operations each. `peak_memory_bytes`: the process's highest resident memory
    during the forward minus that before the network was built, so weights and activations; None where the system does
    not tell. `seconds`: the median of three forwards after one to warm up, on `threads` CPU threads.
    """

    id: str
    kind: str
    parameters: int
    spatial_dims: int
    window: tuple[int, ...]
    macs: int
    scan_updates: int
    peak_memory_bytes: int | None
    seconds: float
    threads: int

    @property
    def macs_per_voxel(self) -> float:
        """Comparable between windows of different size and dimension."""
        return self.macs / torch.Size(self.window).numel()


def window_shape(network: nn.Module, spatial_dims: int, length: int) -> tuple[int, ...]:
    """Per axis the multiple of the network's divisor that is nearest to `length`, and at least twice the divisor.

    Less would leave one voxel at the coarsest level, which instance normalisation refuses.
    """
    divisor: Any = getattr(network, "divisor", 1)
    divisors = (divisor,) * spatial_dims if isinstance(divisor, int) else tuple(divisor)
    return tuple(max(1 if step == 1 else 2, int(length / step + 0.5)) * step for step in divisors)


def count_macs(network: nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """Multiply-accumulates and scan state updates of `network(x)`, from shapes alone: nothing is computed.

    Scans are counted in their default form, "chunked". Not for use while another thread runs a network.
    """
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    # Fused attention kernels are not known to the counter on every device: as matrix products they are.
    with torch.no_grad(), _scan_updates() as updates, fake, sdpa_kernel(SDPBackend.MATH):
        counter = FlopCounterMode(display=False)
        with counter:
            network(fake.from_tensor(x))
    return counter.get_total_flops() // 2, sum(updates)


def measure(network_id: str, length: int = DEFAULT_WINDOW, threads: int = THREADS) -> NetworkCost:
    """Builds the network and measures it in this process. Raises `ModelError` for an unknown id."""
    entry = network_entry(network_id)
    builder = entry.builder()  # before the first look at memory: its imports are not its cost
    torch.set_num_threads(threads)
    _forget_peak()
    before = _peak_bytes()
    network = build(network_id).eval()
    spatial_dims = int(inspect.signature(builder).parameters["spatial_dims"].default)
    x = _image(network, window_shape(network, spatial_dims, length))
    _forget_peak()
    seconds = []
    with torch.inference_mode():
        for _ in range(1 + _REPEATS):
            start = time.perf_counter()
            network(x)
            seconds.append(time.perf_counter() - start)
            if seconds[0] > _LONG_S:
                break
    peak = _peak_bytes()
    macs, updates = count_macs(network, x)
    return NetworkCost(
        id=network_id,
        kind=entry.kind,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        spatial_dims=spatial_dims,
        window=tuple(x.shape[2:]),
        macs=macs,
        scan_updates=updates,
        peak_memory_bytes=None if peak is None or before is None else peak - before,
        seconds=statistics.median(seconds[1:] or seconds),
        threads=threads,
    )


def measure_in_new_process(network_id: str, length: int = DEFAULT_WINDOW, threads: int = THREADS) -> NetworkCost:
    """`measure` in a process of its own. Raises what it raises, and `OutOfMemoryError` when the process is killed."""
    network_entry(network_id)  # an unknown one is told without starting a process
    command = [sys.executable, "-m", "petctfusion.networks.cost", network_id, str(length), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        if done.returncode < 0:
            raise OutOfMemoryError(
                f"Measuring {network_id} was ended by the system (signal {-done.returncode}).",
                "Most often memory ran out: choose a smaller --window.",
            ) from error
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(f"The network {network_id} could not be measured: {last}.") from error
    if "error" in answer:
        raise error_of_kind(**answer["error"])
    answer["window"] = tuple(answer["window"])
    return NetworkCost(**answer)


def _image(network: nn.Module, window: Sequence[int]) -> torch.Tensor:
    """Soft tissue and faint uptake: `(1, M, *window)`; the values do not change the cost."""
    channels = len(network.modalities)  # type: ignore[arg-type]
    return torch.rand(1, channels, *window, generator=torch.Generator().manual_seed(0)) * 2


@contextlib.contextmanager
def _scan_updates() -> Iterator[list[int]]:
    """Scans add up their state updates instead of running: thousands of small steps, none of them for the counter."""
    updates: list[int] = []

    def add(u: torch.Tensor, _delta: object, a: torch.Tensor, *_: object) -> torch.Tensor:
        updates.append(u.numel() * a.shape[1])
        return torch.empty_like(u)

    names = vars(selective_scan)
    original = names["chunked_scan"]
    names["chunked_scan"] = add
    try:
        yield updates
    finally:
        names["chunked_scan"] = original


def _forget_peak() -> None:
    """On Linux the high-water mark of resident memory starts anew; elsewhere it stands."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, the only system that comes here


def _main(network_id: str, length: str, threads: str) -> int:
    try:
        answer = asdict(measure(network_id, int(length), int(threads)))
    except FusionError as error:
        answer = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint}}
    print(json.dumps(answer))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
