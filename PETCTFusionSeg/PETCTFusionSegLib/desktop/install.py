"""Python packages the worker needs: said first, installed on the user's click, torch by the PyTorch extension.

Nothing here runs at import. SimpleITK, numpy, scipy and pydicom come with Slicer and are never installed or replaced.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.errors import FusionError

REQUESTER = "PETCTFusionSeg"
TORCH = "torch"
SHIPPED_WITH_SLICER = ("numpy", "scipy", "SimpleITK", "pydicom")


class InstallError(FusionError):
    """A package that could not be installed; the hint says what to do by hand."""

    kind = "device"


@dataclass(frozen=True)
class Plan:
    """What is missing: plain packages for pip, and torch for the PyTorch extension."""

    packages: tuple[str, ...]
    torch: bool

    @property
    def complete(self) -> bool:
        """True when nothing has to be installed."""
        return not self.packages and not self.torch

    def sentence(self) -> str:
        """What a click would install, for the question to the user."""
        parts = list(self.packages)
        if self.torch:
            parts.append("torch (through the PyTorch extension, up to about 2.5 GB)")
        return f"Install into Slicer's Python: {', '.join(parts)}." if parts else "All packages are installed."


def requirementsFile() -> Path:
    """The list that ships with the module."""
    return Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"


def readRequirements(path: Path) -> list[str]:
    """Requirement lines without comments and empty lines."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def nameOf(requirement: str) -> str:
    """The distribution's name in a requirement line such as `safetensors>=0.4`."""
    for mark in "<>=!~;[ ":
        requirement = requirement.split(mark)[0]
    return requirement


def makePlan(requirements: Sequence[str], isInstalled: Callable[[str], bool]) -> Plan:
    """What of `requirements` is missing; what Slicer ships is never in the plan, whatever the list says."""
    shipped = {name.lower() for name in SHIPPED_WITH_SLICER}
    missing = [line for line in requirements if nameOf(line).lower() not in shipped and not isInstalled(nameOf(line))]
    plain = tuple(line for line in missing if nameOf(line) != TORCH)
    return Plan(plain, torch=len(plain) < len(missing))


def isInstalled(name: str) -> bool:
    """True when the distribution is there; nothing is imported, torch least of all."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.util.find_spec(name) is not None
    return True


def currentPlan() -> Plan:
    """What is missing in the Python that runs this."""
    return makePlan(readRequirements(requirementsFile()), isInstalled)


def install(plan: Plan) -> None:
    """Install what the plan names. Blocks, and belongs to the main thread: pip makes Qt objects in Slicer.

    Raises `InstallError` when the PyTorch extension is missing, the user declined, or pip failed.
    """
    if plan.torch:
        _installTorch()
    if plan.packages:
        _installPackages(list(plan.packages))


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InstallError(
            "torch is installed through the PyTorch extension, which is missing.",
            'Install "PyTorch" in the Extensions Manager, restart Slicer and click again.',
        ) from error
    if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=">=2.4") is None:
        raise InstallError("torch was not installed.", "Open the PyTorch module to see why, then click again.")


def _installPackages(requirements: list[str]) -> None:
    try:
        packaging = _packaging()
        if packaging is not None:
            # The panel already asked; SimpleITK and torch belong to Slicer and to the PyTorch extension.
            packaging.pip_ensure(
                requirements, requester=REQUESTER, prompt_install=False, skip_packages=[*SHIPPED_WITH_SLICER, TORCH]
            )
        else:
            import slicer

            slicer.util.pip_install(["--no-deps", *requirements])
    except Exception as error:
        # pip reports everything from a declined question to a lost network through its own exceptions.
        raise InstallError(f"The packages could not be installed: {error}.", "See the log, and click again.") from error


def _packaging() -> Any | None:
    """`slicer.packaging`, which Slicer has since 5.12."""
    try:
        return importlib.import_module("slicer.packaging")
    except ImportError:
        return None
