"""Which processors there are, how much memory is free on them, and whether the chosen one really computes."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from petctfusion.errors import DeviceError


@dataclass(frozen=True)
class DeviceInfo:
    """A device by its torch name, what it is, and its memory in bytes (`None` where the system does not say)."""

    id: str
    name: str
    free_bytes: int | None
    total_bytes: int | None


def list_devices() -> tuple[DeviceInfo, ...]:
    """The CPU and every CUDA device, the CPU first."""
    return _cpu(), *(_gpu(index) for index in range(_gpu_count()))


def plan_device(wanted: str = "auto") -> str:
    """The device to compute on: "cpu" or "cuda:N", after a trial convolution on a GPU.

    "auto" takes the usable GPU with the most free memory, otherwise the CPU; "cuda" insists on a GPU. Raises
    `DeviceError` for a device that is not there or does not compute.
    """
    if wanted == "cpu":
        return "cpu"
    gpus = sorted((_gpu(index) for index in range(_gpu_count())), key=lambda gpu: -(gpu.free_bytes or 0))
    if wanted == "auto":
        return next((gpu.id for gpu in gpus if convolution_problem(gpu.id) is None), "cpu")
    if wanted == "cuda" and gpus:
        wanted = gpus[0].id
    if wanted not in [gpu.id for gpu in gpus]:
        raise DeviceError(
            f"There is no device {wanted!r} here.",
            f"Choose auto or one of: {', '.join(device.id for device in list_devices())}.",
        )
    problem = convolution_problem(wanted)
    if problem is not None:
        raise DeviceError(
            f"The device {wanted} does not compute: {problem}.",
            "Check that the PyTorch build fits the graphics driver, free its memory, or choose cpu.",
        )
    return wanted


def has_fast_half(device: str) -> bool:
    """True where bfloat16 is native: on a CPU without it, it is about twenty times slower than single precision."""
    if device == "cpu":
        return bool({"avx512_bf16", "amx_bf16", "bf16"} & _cpu_flags())
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def convolution_problem(device: str, edge: int = 8, channels: int = 1) -> str | None:
    """Why `device` cannot be used, or None: a driver may list a GPU for which this build has no kernels."""
    try:
        with torch.inference_mode():
            x = torch.ones((1, channels, edge, edge, edge), device=device)
            weight = torch.ones((channels, channels, 3, 3, 3), device=device)
            # In double precision the sum of millions of equal whole numbers is exact.
            total = float(torch.nn.functional.conv3d(x, weight).sum(dtype=torch.float64))
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    wanted = (edge - 2) ** 3 * 27 * channels**2
    return None if total == wanted else f"a trial convolution gave {total} instead of {wanted}"


def free_cached_memory(device: str) -> None:
    """Gives torch's cached GPU memory back, so that the next attempt sees all that is free."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def _gpu_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _gpu(index: int) -> DeviceInfo:
    name = torch.cuda.get_device_name(index)
    try:
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError:
        # A GPU that another process has filled to the brim cannot even be asked.
        return DeviceInfo(f"cuda:{index}", name, None, None)
    return DeviceInfo(f"cuda:{index}", name, free, total)


def _cpu() -> DeviceInfo:
    meminfo = Path("/proc/meminfo")
    name = platform.processor() or platform.machine()
    if meminfo.exists():
        lines = (line.partition(":") for line in meminfo.read_text().splitlines())
        kilobytes = {key: int(value.split()[0]) for key, _, value in lines if value.split()}
        return DeviceInfo("cpu", name, kilobytes.get("MemAvailable", 0) * 1024, kilobytes.get("MemTotal", 0) * 1024)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return DeviceInfo("cpu", name, None, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return DeviceInfo("cpu", name, None, None)


@lru_cache(maxsize=1)
def _cpu_flags() -> frozenset[str]:
    """Instruction sets of the processor, as Linux names them; unknown elsewhere, where half precision stays off."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return frozenset()
    for line in cpuinfo.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in ("flags", "features"):
            return frozenset(value.split())
    return frozenset()
