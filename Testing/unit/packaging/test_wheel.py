"""What `pip install petctfusion` brings along: models, terminology, and nothing too large."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile

import pytest

_LARGEST_MODEL_BYTES = 20_000_000


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    """Built from a copy of the sources, so that the checkout keeps no build folder."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(repository / "PETCTFusionSeg", source / "PETCTFusionSeg", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source / name)
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", target, source]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (file,) = target.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def cards_of(wheel):
    names = [name for name in wheel.namelist() if name.startswith("petctfusion/resources/models/")]
    return {name: json.loads(wheel.read(name)) for name in names if name.endswith("model.json")}


def test_wheel_brings_whole_models_of_less_than_20_mb_and_together_of_less_than_40(wheel):
    networks = {name: card["weights"] for name, card in cards_of(wheel).items() if "weights" in card}
    assert networks, "no model is shipped"
    for name, weights in networks.items():
        file = wheel.getinfo(name.replace("model.json", weights["file"]))
        assert file.file_size == weights["bytes"]
        assert file.file_size + wheel.getinfo(name).file_size < _LARGEST_MODEL_BYTES
    assert sum(weights["bytes"] for weights in networks.values()) < 2 * _LARGEST_MODEL_BYTES


def test_members_of_a_shipped_ensemble_are_shipped(wheel):
    cards = cards_of(wheel).values()
    checksums = {(card["name"], card["version"]): card["weights"]["sha256"] for card in cards if "weights" in card}
    members = [member for card in cards for member in card.get("members", ())]
    assert members, "no ensemble is shipped"
    for member in members:
        assert checksums[member["name"], member["version"]] == member["sha256"]


def test_weights_in_the_wheel_are_those_of_their_card(wheel, tmp_path):
    from petctfusion.models import verify

    wheel.extractall(tmp_path)
    cards = list((tmp_path / "petctfusion" / "resources" / "models").glob("*/*/model.json"))
    assert cards
    for card in cards:
        verify(card.parent)


def test_wheel_brings_terminology_recipes_and_the_type_marker(wheel):
    names = set(wheel.namelist())
    assert "petctfusion/resources/terminology/PETCTFusionSeg.term.json" in names
    assert "petctfusion/py.typed" in names
    assert any(name.startswith("petctfusion/training/recipes/") and name.endswith(".toml") for name in names)


def test_every_python_file_of_the_packages_is_in_the_wheel(wheel, repository):
    names = set(wheel.namelist())
    root = repository / "PETCTFusionSeg"
    sources = {
        file.relative_to(root).as_posix()
        for package in ("petctfusion", "PETCTFusionSegLib")
        for file in (root / package).rglob("*.py")
    }
    assert sources - names == set()


def test_wheel_brings_licence_and_entry_points(wheel):
    names = wheel.namelist()
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    (entry_points,) = (name for name in names if name.endswith("dist-info/entry_points.txt"))
    text = wheel.read(entry_points).decode()
    assert "petctfusion = petctfusion.cli:main" in text
    assert "picture = PETCTFusionSegLib.mrml.picture_command:command" in text


def test_licence_is_apache_2_in_full(repository):
    text = (repository / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
