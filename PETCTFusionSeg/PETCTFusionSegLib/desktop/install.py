"""Python packages the worker needs: said first, installed on the user's click, torch by the PyTorch extension.

Nothing here runs at import. Whatever is in Slicer's Python stays as it is: pip is given a constraints file that pins
every installed package, so that it would rather fail than replace numpy, SimpleITK or a package of another extension.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.errors import FusionError
from petctfusion.models.store import version_key
from PETCTFusionSegLib.i18n import _

REQUESTER = "PETCTFusionSeg"
TORCH = "torch"
SHIPPED_WITH_SLICER = ("numpy", "scipy", "SimpleITK", "pydicom")
# The PyTorch extension chooses these together, so an older one of them must not hold it back.
_TORCH_FAMILY = (TORCH, "torchvision", "torchaudio", "triton")
_DOWNLOAD = {"torch": "0.2 - 2.5 GB", "safetensors": "0.5 MB", "tqdm": "0.1 MB"}


class InstallError(FusionError):
    """A package that could not be installed; the hint says what to do by hand."""

    kind = "device"


@dataclass(frozen=True)
class Package:
    """One line of the first-use page. `present` is the installed version, empty for none."""

    requirement: str
    present: str

    @property
    def name(self) -> str:
        """The distribution's name."""
        return nameOf(self.requirement)

    @property
    def missing(self) -> bool:
        """True when it is absent or too old."""
        return not self.present or not satisfies(self.present, self.requirement)

    @property
    def download(self) -> str:
        """About how much is downloaded, as text."""
        return _DOWNLOAD.get(self.name, "?")

    @property
    def installer(self) -> str:
        """Who installs it."""
        return _("PyTorch extension") if self.name == TORCH else "pip"


@dataclass(frozen=True)
class Plan:
    """What is missing: plain packages for pip, and torch for the PyTorch extension."""

    packages: tuple[str, ...]
    torch: bool

    @property
    def complete(self) -> bool:
        """True when nothing has to be installed."""
        return not self.packages and not self.torch

    @property
    def names(self) -> str:
        """The missing packages, for a sentence."""
        return ", ".join([*map(nameOf, self.packages), *([TORCH] if self.torch else [])])


def requirementsFile() -> Path:
    """The list that ships with the module."""
    return Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"


def readRequirements(path: Path) -> list[str]:
    """Requirement lines without comments and empty lines."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def nameOf(requirement: str) -> str:
    """The distribution's name in a requirement line such as `safetensors>=0.4`."""
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]


def satisfies(version: str, requirement: str) -> bool:
    """Whether a version fulfils a requirement line of ours, which knows no other condition than `>=`."""
    wanted = requirement.partition(">=")[2].strip()
    # "+cu128" says how it was built, not how new it is.
    return not wanted or version_key(version.partition("+")[0]) >= version_key(wanted)


def installedVersions(folders: Sequence[str] | None = None) -> dict[str, str]:
    """Versions by lower-case name of what is installed in this Python (or in `folders`); nothing is imported."""
    importlib.invalidate_caches()
    found = importlib.metadata.distributions() if folders is None else importlib.metadata.distributions(path=[*folders])
    versions: dict[str, str] = {}
    for distribution in found:
        name, version = distribution.metadata["Name"], distribution.version
        if name and version:
            versions.setdefault(name.lower(), version)
    return versions


def packages(requirements: Sequence[str], versions: Mapping[str, str]) -> list[Package]:
    """What the worker needs and pip or an extension may install; what Slicer ships is never in the list."""
    shipped = {name.lower() for name in SHIPPED_WITH_SLICER}
    ours = [line for line in requirements if nameOf(line).lower() not in shipped]
    return [Package(line, versions.get(nameOf(line).lower(), "")) for line in ours]


def planFor(needed: Sequence[Package]) -> Plan:
    """What of the packages has to be installed."""
    missing = [package for package in needed if package.missing]
    plain = tuple(package.requirement for package in missing if package.name != TORCH)
    return Plan(plain, torch=len(plain) < len(missing))


def currentPackages() -> list[Package]:
    """The packages and their state in the Python that runs this; asks for these few alone, which takes no time."""
    importlib.invalidate_caches()
    requirements, versions = readRequirements(requirementsFile()), {}
    for name in map(nameOf, requirements):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name.lower()] = importlib.metadata.version(name)
    return packages(requirements, versions)


def currentPlan() -> Plan:
    """What is missing in the Python that runs this."""
    return planFor(currentPackages())


def requirePackages(python: str) -> None:
    """Raises `InstallError` where Slicer's own Python is to run the worker (`python` is empty) and lacks packages."""
    plan = currentPlan()
    if not python and not plan.complete:
        raise InstallError(
            _("The worker needs packages that are missing: {names}.").format(names=plan.names),
            _('Click "Install missing packages" under Computer.'),
        )


def installFolder() -> Path:
    """Where pip puts packages: the application's own Python."""
    return Path(sysconfig.get_paths()["purelib"])


def constraintLines(versions: Mapping[str, str], free: Sequence[str]) -> list[str]:
    """Every installed package at its version, but those of `free`; versions that pip would not read are left out."""
    unpinned = {name.lower() for name in free}
    readable = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)*(\+[a-z0-9.]+)?", re.IGNORECASE)
    kept = (item for item in sorted(versions.items()) if item[0] not in unpinned and readable.fullmatch(item[1]))
    return [f"{name}=={version}" for name, version in kept]


def install(plan: Plan) -> str:
    """Install what the plan names, and say what to do next. Blocks, on the main thread: pip makes Qt objects in Slicer.

    Raises `InstallError` when the PyTorch extension is missing, the user declined, or pip failed.
    """
    before = installedVersions()
    if plan.torch:
        _installTorch(before)
    if plan.packages:
        _installPackages(list(plan.packages), before)
    missing = currentPlan()
    if not missing.complete:
        raise InstallError(
            _("Not everything was installed; still missing: {names}.").format(names=missing.names),
            _("See the log, and click again."),
        )
    return restartSentence(before, installedVersions())


def restartSentence(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What follows an installation: a restart only where something that was there has been replaced."""
    replaced = sorted(name for name, version in before.items() if after.get(name, version) != version)
    if not replaced:
        return _("The packages are installed.")
    sentence = _("The packages are installed, and {names} replaced: save your work and restart Slicer.")
    return sentence.format(names=", ".join(replaced))


def _installTorch(versions: Mapping[str, str]) -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InstallError(
            _("torch is installed through the PyTorch extension, which is missing."),
            _('Install "PyTorch" in the Extensions Manager, restart Slicer and click again.'),
        ) from error
    needed = next(line for line in readRequirements(requirementsFile()) if nameOf(line) == TORCH)
    with _constraints(constraintLines(versions, _TORCH_FAMILY)) as pins, _environment("PIP_CONSTRAINT", pins.as_uri()):
        try:
            found = PyTorchUtils.PyTorchUtilsLogic().installTorch(
                askConfirmation=False, torchVersionRequirement=needed.removeprefix(TORCH)
            )
        except Exception as error:
            raise _failed(error) from error
    if found is None:
        raise InstallError(_("torch was not installed."), _("Open the PyTorch module to see why, then click again."))


def _installPackages(requirements: list[str], versions: Mapping[str, str]) -> None:
    # An unsatisfiable line for torch: pip must not bring it in behind the PyTorch extension's back.
    pinned = [*constraintLines(versions, [*map(nameOf, requirements), TORCH]), f"{TORCH}<0"]
    packaging = _packaging()
    with _constraints(pinned) as pins:
        try:
            if packaging is None:
                import slicer

                slicer.util.pip_install(["-c", str(pins), *requirements])
            else:
                # The page has said what will be installed, and the click was the answer.
                packaging.pip_ensure(
                    requirements, constraints=pins, requester=REQUESTER, prompt_install=False, prompt_restart=False
                )
        except Exception as error:
            raise _failed(error) from error


def _failed(error: Exception) -> InstallError:
    """pip reports everything from a declined question to a lost network through its own exceptions."""
    return InstallError(
        _("The packages could not be installed: {error}.").format(error=str(error).rstrip(".")),
        _("See the log, and click again."),
    )


@contextmanager
def _constraints(lines: Sequence[str]) -> Iterator[Path]:
    """A constraints file for pip, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="petctfusion-") as folder:
        path = Path(folder).resolve() / "constraints.txt"
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        yield path


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """An environment variable that child processes see, until the block ends."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _packaging() -> Any | None:
    """`slicer.packaging`, which Slicer has since 5.12."""
    try:
        return importlib.import_module("slicer.packaging")
    except ImportError:
        return None
