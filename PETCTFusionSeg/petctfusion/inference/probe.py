"""The device probe: what each processor here can do for the worker, in one sentence each, in about a second.

A driver may list a GPU for which the installed torch has no kernels; the user then gets a CUDA error in the middle of a
run. Here every device does one allocation and one 3-D convolution with a known answer, and the verdict says what to do.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from petctfusion.inference.devices import DeviceInfo, convolution_problem, has_fast_half, list_devices

_EDGE, _CHANNELS = 64, 8
# The oldest compute capability for which torch 2.4, the oldest that works here, was ever compiled.
_OLDEST_CAPABILITY = (5, 0)
_EXTENSION = "through the PyTorch extension"


@dataclass(frozen=True)
class DeviceVerdict:
    """What a device is good for. `sentence` says what was found, `hint` what to do about it (empty when usable)."""

    id: str
    name: str
    usable: bool
    sentence: str
    hint: str = ""


def probe_devices() -> tuple[DeviceVerdict, ...]:
    """A verdict on the CPU, on every GPU, and (where torch sees no GPU) on why it does not."""
    cpu, *gpus = list_devices()
    verdicts = [_cpu_verdict(cpu), *(_gpu_verdict(gpu) for gpu in gpus)]
    if not gpus:
        verdicts.append(_no_gpu_verdict())
    return tuple(verdicts)


def architecture_problem(
    capability: tuple[int, int], architectures: Sequence[str], torch_version: str
) -> tuple[str, str] | None:
    """Why a torch compiled for `architectures` ("sm_86", "compute_90") has no kernels for a GPU, and what to do.

    Code for sm_XY runs on capability X.Z with Z >= Y; code for compute_XY (PTX) on every newer one. None where it runs,
    and where the list says nothing of CUDA (ROCm).
    """
    compiled = [_numbers(name) for name in architectures if re.fullmatch(r"(sm|compute)_\d+[a-z]?", name)]
    if not compiled:
        return None
    binary = [_numbers(name) for name in architectures if name.startswith("sm_")]
    portable = [_numbers(name) for name in architectures if name.startswith("compute_")]
    runs_binary = any(major == capability[0] and minor <= capability[1] for major, minor in binary)
    if runs_binary or any(code <= capability for code in portable):
        return None
    own, span = _text(capability), f"{_text(min(compiled))} to {_text(max(compiled))}"
    if capability > max(compiled):
        sentence = f"Its compute capability {own} is newer than torch {torch_version} was compiled for ({span})."
        return sentence, f"Install a newer torch {_EXTENSION}."
    sentence = f"Its compute capability {own} is older than torch {torch_version} was compiled for ({span})."
    if capability < _OLDEST_CAPABILITY:
        return sentence, "No torch that works here supports it any more: use the CPU."
    return sentence, f"Install torch with an older computation backend (cu126 or cu118) {_EXTENSION}, or use the CPU."


def missing_gpu_reason(cuda: str | None, torch_version: str, has_driver: bool, start_error: str) -> tuple[str, str]:
    """Why torch sees no GPU, and what to do. `cuda` is the CUDA version torch was compiled with, None for a CPU build.

    `start_error` is what CUDA said when it was started, empty where nothing was tried.
    """
    if cuda is None and has_driver:
        sentence = f"There is an NVIDIA driver, but torch {torch_version} is a build for the CPU alone."
        return sentence, f"Install torch with CUDA {_EXTENSION} to use the GPU."
    if cuda is None:
        return f"No GPU is used: torch {torch_version} is a build for the CPU, and no NVIDIA driver was found.", ""
    lower = start_error.lower()
    if "no nvidia driver" in lower or (not has_driver and "driver" not in lower):
        hint = "With an NVIDIA GPU, install its driver from nvidia.com; without one, the CPU is used."
        return "No NVIDIA driver was found.", hint
    if "too old" in lower or "insufficient" in lower:
        sentence = f"The NVIDIA driver is too old for torch {torch_version} (CUDA {cuda})."
        return sentence, f"Update the driver, or install torch with an older backend {_EXTENSION}."
    why = start_error.strip().splitlines()[0] if start_error.strip() else "it found no device"
    return (
        f"torch {torch_version} (CUDA {cuda}) cannot use a GPU: {why.rstrip('.')}.",
        "Restart the computer; then check the driver with nvidia-smi.",
    )


def _cpu_verdict(device: DeviceInfo) -> DeviceVerdict:
    problem, seconds = _trial(device.id)
    if problem:
        return DeviceVerdict(
            device.id, device.name, False, f"CPU: it does not compute ({problem}).", "Reinstall torch."
        )
    half = "native" if has_fast_half("cpu") else "none"
    facts = [f"{_cores()} cores", _memory(device), f"bfloat16: {half}", f"trial convolution {1000 * seconds:.0f} ms"]
    return DeviceVerdict(device.id, device.name, True, f"CPU ({device.name}): ready. {_joined(facts)}.")


def _gpu_verdict(device: DeviceInfo) -> DeviceVerdict:
    called = f"{device.name} ({device.id})"
    capability = torch.cuda.get_device_capability(int(device.id.rpartition(":")[2]))
    mismatch = architecture_problem(capability, torch.cuda.get_arch_list(), torch.__version__)
    if mismatch:
        return DeviceVerdict(device.id, device.name, False, f"{called}: cannot be used. {mismatch[0]}", mismatch[1])
    problem, seconds = _trial(device.id)
    if problem:
        hint = "Close what else uses the GPU, or check that torch fits its driver; the CPU can be used meanwhile."
        return DeviceVerdict(device.id, device.name, False, f"{called}: does not compute ({problem}).", hint)
    half = "native" if has_fast_half(device.id) else "none"
    facts = [_memory(device), f"compute capability {_text(capability)}", f"bfloat16: {half}"]
    facts.append(f"trial convolution {1000 * seconds:.0f} ms")
    return DeviceVerdict(device.id, device.name, True, f"{called}: ready. {_joined(facts)}.")


def _no_gpu_verdict() -> DeviceVerdict:
    cuda, error = torch.version.cuda, ""
    if cuda is not None:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError) as problem:
            error = str(problem)
    sentence, hint = missing_gpu_reason(cuda, torch.__version__, _has_nvidia_driver(), error)
    return DeviceVerdict("cuda", "GPU", False, sentence, hint)


def _trial(device: str) -> tuple[str, float]:
    """What is wrong with a device (empty: nothing), and the seconds of a convolution once its libraries are loaded."""
    if problem := convolution_problem(device):
        return problem, 0.0
    started = time.perf_counter()
    return convolution_problem(device, _EDGE, _CHANNELS) or "", time.perf_counter() - started


def _has_nvidia_driver() -> bool:
    system = Path(os.environ.get("SYSTEMROOT", "")) / "System32"
    places = (Path("/proc/driver/nvidia/version"), Path("/dev/dxg"), system / "nvcuda.dll")
    return any(place.exists() for place in places) or shutil.which("nvidia-smi") is not None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory(device: DeviceInfo) -> str:
    if device.total_bytes is None:
        return "memory not known"
    total = device.total_bytes / 2**30
    return f"{total:.1f} GB" if device.free_bytes is None else f"{device.free_bytes / 2**30:.1f} of {total:.1f} GB free"


def _numbers(architecture: str) -> tuple[int, int]:
    digits = re.sub(r"\D", "", architecture)
    return int(digits[:-1]), int(digits[-1])


def _text(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def _joined(facts: Sequence[str]) -> str:
    return ", ".join(facts)
