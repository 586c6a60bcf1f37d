"""Which machine and software a run was made with."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from pathlib import Path

import torch

from petctfusion import __version__
from petctfusion.inference.devices import list_devices
from petctfusion.training.benchmark.run import Origin
from petctfusion.training.provenance import current_commit


def origin_of(command: str, device: str, threads: int) -> Origin:
    """What holds here and now."""
    software = {"petctfusion": __version__, "python": platform.python_version(), "torch": str(torch.__version__)}
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Origin(command, current_commit(), now, device, _processor(device), threads, software)


def _processor(device: str) -> str:
    """The GPU's name, or the CPU's with its number of cores."""
    name = next(info.name for info in list_devices() if info.id == device)
    if device != "cpu":
        return name
    cpuinfo = Path("/proc/cpuinfo")
    # Elsewhere than on Linux the system tells the model by itself.
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{model}, {os.cpu_count()} cores"
