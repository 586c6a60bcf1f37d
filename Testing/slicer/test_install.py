"""Nothing is installed that was not said first; what is there is never replaced, and torch is never handed to pip."""

import os
import subprocess
import sys
import venv
import zipfile
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import slicer
import slicer.util

from PETCTFusionSegLib.desktop import install

REQUIREMENTS = install.readRequirements(install.requirementsFile())


def plan(**present):
    return install.planFor(install.packages(REQUIREMENTS, present))


@pytest.fixture
def complete(monkeypatch):
    """After an installation everything is there, whatever this Python has."""
    monkeypatch.setattr(install, "currentPlan", lambda: install.Plan((), torch=False))


@pytest.fixture
def pins(monkeypatch):
    """What stood in the constraints files, in the order in which they were made."""
    made, real = [], install._constraints

    @contextmanager
    def kept(lines):
        made.append(list(lines))
        with real(lines) as path:
            assert path.read_text(encoding="utf-8").splitlines() == list(lines)
            yield path

    monkeypatch.setattr(install, "_constraints", kept)
    return made


def test_the_plan_names_what_is_missing_and_leaves_torch_to_its_extension():
    found = plan(tqdm="4.70")
    assert found == install.Plan(("safetensors>=0.4",), torch=True)
    assert found.names == "safetensors, torch"


def test_nothing_is_planned_when_all_is_there():
    assert plan(torch="2.4.0+cpu", tqdm="4.66", safetensors="0.10.1").complete


@pytest.mark.parametrize("version", ["2.3.1", "2.3.1+cu121", "1.13", "2.4rc1"])
def test_a_version_that_is_too_old_is_missing(version):
    assert plan(torch=version, tqdm="4.66", safetensors="0.4") == install.Plan((), torch=True)


@pytest.mark.parametrize("name", install.SHIPPED_WITH_SLICER)
def test_what_slicer_ships_is_never_planned(name):
    assert install.planFor(install.packages([f"{name}>=99"], {})).complete


def test_what_this_python_has_is_read_without_importing_it():
    assert install.installedVersions()["pytest"] == pytest.__version__
    assert {package.name for package in install.currentPackages()} == {"torch", "safetensors", "tqdm"}


def test_every_installed_package_is_pinned_but_those_that_are_to_come():
    versions = {"numpy": "2.0.2", "simpleitk": "2.5.0", "tqdm": "4.0", "odd": "1.0.dev-g12", "local": "1.0+cu128"}
    lines = install.constraintLines(versions, ["tqdm"])
    assert lines == ["local==1.0+cu128", "numpy==2.0.2", "simpleitk==2.5.0"]


def test_old_slicers_use_pip_with_every_package_pinned(monkeypatch, complete, pins):
    calls = []
    monkeypatch.setattr(install, "_packaging", lambda: None)
    monkeypatch.setattr(slicer.util, "pip_install", calls.append)
    install.install(install.Plan(("safetensors>=0.4",), torch=False))
    ((option, _path, *rest),) = calls
    assert (option, rest) == ("-c", ["safetensors>=0.4"])
    ours = {line.partition("==")[0] for line in pins[0]}
    assert {"numpy", "scipy", "simpleitk", "pydicom", "torch<0"} <= ours
    assert "safetensors" not in ours


def test_new_slicers_use_their_packaging_with_the_same_pins_and_no_question(monkeypatch, complete, pins):
    calls = []
    packaging = SimpleNamespace(pip_ensure=lambda requirements, **options: calls.append((requirements, options)))
    monkeypatch.setattr(install, "_packaging", lambda: packaging)
    install.install(install.Plan(("tqdm>=4.66",), torch=False))
    requirements, options = calls[0]
    assert requirements == ["tqdm>=4.66"]
    assert options["prompt_install"] is False
    assert options["constraints"].name == "constraints.txt"
    assert any(line.startswith("numpy==") for line in pins[0])


def test_a_missing_pytorch_extension_is_said_with_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(install.InstallError, match="Extensions Manager"):
        install.install(install.Plan((), torch=True))


def pytorchExtension(monkeypatch, installTorch):
    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=installTorch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)


def test_torch_comes_from_the_pytorch_extension_which_may_not_replace_anything_either(monkeypatch, complete, pins):
    asked = []

    def installTorch(**options):
        asked.append((options, os.environ["PIP_CONSTRAINT"]))
        return "torch"

    pytorchExtension(monkeypatch, installTorch)
    install.install(install.Plan((), torch=True))
    ((options, constraint),) = asked
    assert options == {"askConfirmation": False, "torchVersionRequirement": ">=2.4"}
    assert constraint.startswith("file:///")
    assert "PIP_CONSTRAINT" not in os.environ
    names = {line.partition("==")[0] for line in pins[0]}
    assert "numpy" in names
    assert not {"torch", "torchvision"} & names


def test_a_declined_torch_and_a_failed_pip_become_one_sentence(monkeypatch):
    pytorchExtension(monkeypatch, lambda **_options: None)
    with pytest.raises(install.InstallError, match="torch was not installed"):
        install.install(install.Plan((), torch=True))

    def refuse(_requirements):
        raise RuntimeError("no network")

    monkeypatch.setattr(install, "_packaging", lambda: None)
    monkeypatch.setattr(slicer.util, "pip_install", refuse)
    with pytest.raises(install.InstallError, match="no network"):
        install.install(install.Plan(("tqdm",), torch=False))


def test_an_installation_that_installed_nothing_is_not_called_a_success(monkeypatch):
    monkeypatch.setattr(install, "_packaging", lambda: None)
    monkeypatch.setattr(slicer.util, "pip_install", lambda arguments: None)
    monkeypatch.setattr(install, "currentPlan", lambda: install.Plan(("tqdm>=4.66",), torch=False))
    with pytest.raises(install.InstallError, match="still missing: tqdm"):
        install.install(install.Plan(("tqdm>=4.66",), torch=False))


def test_a_restart_is_asked_for_only_when_something_was_replaced():
    assert "restart" not in install.restartSentence({"numpy": "2"}, {"numpy": "2", "tqdm": "4.66"})
    assert "tqdm replaced: save your work and restart" in install.restartSentence({"tqdm": "4"}, {"tqdm": "4.66"})


def test_the_worker_s_packages_are_asked_for_only_in_slicer_s_own_python(monkeypatch):
    monkeypatch.setattr(install, "currentPlan", lambda: install.Plan(("tqdm>=4.66",), torch=True))
    install.requirePackages("/another/python")
    with pytest.raises(install.InstallError, match=r"missing: tqdm, torch.*Install missing packages"):
        install.requirePackages("")


def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    """The smallest wheel that pip installs."""
    info = f"{name}-{version}.dist-info"
    metadata = "\n".join(
        [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *map("Requires-Dist: {}".format, needs)]
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as made:
        made.writestr(f"{name}.py", f"version = {version!r}\n")
        made.writestr(f"{info}/METADATA", metadata + "\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A Python of its own with "shipped 1.0", and a shop with newer wheels; pip itself, without a network."""
    shop = tmp_path / "shop"
    shop.mkdir()
    for version in ("1.0", "2.0"):
        wheel(shop, "shipped", version)
    wheel(shop, "modest", "1.0", "shipped>=1")
    wheel(shop, "greedy", "1.0", "shipped>=2")
    wheel(shop, "torch", "9.9")
    wheel(shop, "sneaky", "1.0", "torch")
    venv.create(tmp_path / "python", with_pip=False)
    python = tmp_path / "python" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    site = next(str(path) for path in (tmp_path / "python").rglob("site-packages"))

    def pip(arguments):
        command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--no-compile",
            "--disable-pip-version-check",
        ]
        done = subprocess.run(
            [*command, "--no-index", "--find-links", str(shop), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])

    with zipfile.ZipFile(shop / "shipped-1.0-py3-none-any.whl") as opened:
        opened.extractall(site)
    real = install.installedVersions
    monkeypatch.setattr(install, "installedVersions", lambda: real([site]))
    monkeypatch.setattr(install, "_packaging", lambda: None)
    monkeypatch.setattr(slicer.util, "pip_install", pip)
    return pip


def test_the_real_pip_installs_what_fits_and_refuses_what_would_replace(scratch, complete):
    """Without the pins the same pip does replace it, so this would notice if they had no effect."""
    install.install(install.Plan(("modest",), torch=False))
    assert install.installedVersions() == {"shipped": "1.0", "modest": "1.0"}
    for name in ("greedy", "sneaky"):
        with pytest.raises(install.InstallError, match="could not be installed"):
            install.install(install.Plan((name,), torch=False))
    assert install.installedVersions() == {"shipped": "1.0", "modest": "1.0"}
    lines = install.constraintLines(install.installedVersions(), ["torch"])
    with install._constraints(lines) as path, install._environment("PIP_CONSTRAINT", path.as_uri()):
        with pytest.raises(RuntimeError):
            scratch(["greedy"])
        scratch(["torch"])
    assert install.installedVersions()["shipped"] == "1.0"
    scratch(["greedy"])
    assert install.installedVersions()["shipped"] == "2.0"
