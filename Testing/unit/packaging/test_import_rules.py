"""Imports go down only, and the GUI process lives without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUI_SIDE = (
    "petctfusion",
    "petctfusion.errors",
    "petctfusion.volumes",
    "petctfusion.metrics",
    "petctfusion.evaluation",
    "petctfusion.models",
    "petctfusion.phantom",
    "petctfusion.inference.options",
    "petctfusion.worker.protocol",
    "petctfusion.worker.exchange",
    "petctfusion.worker.session",
    "petctfusion.worker.launch",
    "petctfusion.worker.client",
    "petctfusion.cli",
    "petctfusion.cli.segment_run",
    "petctfusion.training.command",
    "petctfusion.training.benchmark.command",
    "PETCTFusionSegLib",
)
# What desktop Slicer ships is numpy, scipy, SimpleITK, pydicom and vtk; these must not be needed to open the module.
_BLOCKER = """
import importlib.abc, importlib, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "monai", "safetensors", "matplotlib", "nibabel", "pandas", "tqdm"}:
            raise ImportError(name + " is broken here")
sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_gui_side_lives_with_a_broken_torch():
    done = subprocess.run([sys.executable, "-c", _BLOCKER, *GUI_SIDE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_blocker_of_the_test_above_blocks():
    command = [sys.executable, "-c", _BLOCKER, "petctfusion.training.trainer"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "torch is broken here" in done.stderr


def test_import_linter_keeps_every_contract(repository):
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed beside this Python")
    done = subprocess.run([lint, "--no-cache"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_exact_pins_fulfil_the_ranges_of_the_project(repository):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    lines = (repository / "constraints-py311.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, required):
        if requirement.marker is None:
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_no_path_of_one_machine_is_in_the_files_of_the_build(repository):
    for name in (
        "Makefile",
        "constraints-py311.txt",
        "pyproject.toml",
        "README.md",
        ".ci/run",
        ".ci/make_environment.py",
    ):
        assert not re.search(r"file:|/(home|root|work|tmp)/", (repository / name).read_text()), name


def test_ci_runs_what_developers_run(repository):
    script = repository / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()
