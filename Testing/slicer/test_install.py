"""Nothing is installed that was not said first; SimpleITK, numpy and torch are never handed to pip."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import slicer
import slicer.util

from PETCTFusionSegLib.desktop import install


def plan(*present):
    return install.makePlan(install.readRequirements(install.requirementsFile()), lambda name: name in present)


def test_the_plan_names_what_is_missing_and_leaves_torch_to_its_extension():
    found = plan("tqdm")
    assert found == install.Plan(("safetensors>=0.4",), torch=True)
    assert "safetensors>=0.4" in found.sentence()
    assert "PyTorch extension" in found.sentence()


def test_nothing_is_planned_when_all_is_there():
    assert plan("torch", "tqdm", "safetensors").complete


@pytest.mark.parametrize("name", install.SHIPPED_WITH_SLICER)
def test_what_slicer_ships_is_never_planned(name):
    assert install.makePlan([f"{name}>=99"], lambda _name: False).complete


def test_old_slicers_use_pip_without_dependencies(monkeypatch):
    calls = []
    monkeypatch.setattr(install, "_packaging", lambda: None)
    monkeypatch.setattr(slicer.util, "pip_install", calls.append)
    install.install(install.Plan(("safetensors>=0.4",), torch=False))
    assert calls == [["--no-deps", "safetensors>=0.4"]]


def test_new_slicers_use_their_packaging_and_skip_what_is_not_ours(monkeypatch):
    calls = []
    packaging = SimpleNamespace(pip_ensure=lambda requirements, **options: calls.append((requirements, options)))
    monkeypatch.setattr(install, "_packaging", lambda: packaging)
    install.install(install.Plan(("tqdm>=4.66",), torch=False))
    requirements, options = calls[0]
    assert requirements == ["tqdm>=4.66"]
    assert {"SimpleITK", "numpy", "torch"} <= set(options["skip_packages"])


def test_a_missing_pytorch_extension_is_said_with_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(install.InstallError, match="Extensions Manager"):
        install.install(install.Plan((), torch=True))


def test_torch_comes_from_the_pytorch_extension(monkeypatch):
    asked = []
    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=lambda **options: asked.append(options) or "torch")
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    install.install(install.Plan((), torch=True))
    assert asked == [{"askConfirmation": False, "torchVersionRequirement": ">=2.4"}]


def test_a_failed_pip_becomes_one_sentence(monkeypatch):
    def refuse(_requirements):
        raise RuntimeError("no network")

    monkeypatch.setattr(install, "_packaging", lambda: None)
    monkeypatch.setattr(slicer.util, "pip_install", refuse)
    with pytest.raises(install.InstallError, match="no network"):
        install.install(install.Plan(("tqdm",), torch=False))
