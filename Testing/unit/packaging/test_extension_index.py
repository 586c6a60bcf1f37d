"""What Slicer's Extensions Index asks of an extension, as far as it can be checked without a network."""

from __future__ import annotations

import ast
import json
import re
import struct
import sys
from pathlib import Path

import pytest

RAW = "https://raw.githubusercontent.com/PETCTFusionSeg/SlicerPETCTFusionSeg/main/"
# From the index's own list of accepted categories (scripts/check_description_files.py).
KNOWN_CATEGORY = "Segmentation"
# The fields of slicer-extension-catalog-entry-schema-v1.0.1 and their types; others are refused there.
FIELDS = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str,
    "build_dependencies": list, "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip
# What the application itself brings: the index asks for anything else at file scope to be explained.
AT_FILE_SCOPE = {"slicer", "SegmentEditorEffects", "vtk", "vtkmodules", "SimpleITK", "numpy", "scipy", "pydicom"}
OWN = {"petctfusion", "PETCTFusionSegLib"}


@pytest.fixture(scope="module")
def entry(repository: Path) -> dict:
    return json.loads((repository / "docs" / "extension-index" / "PETCTFusionSeg.json").read_bytes())


@pytest.fixture(scope="module")
def cmake(repository: Path) -> dict[str, str]:
    """The extension's description: the variables that CMakeLists.txt sets, and the project's name."""
    text = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    found = dict(re.findall(r'set\((EXTENSION_\w+) "([^"]*)"\)', text))
    found["project"] = re.search(r"project\((\w+)", text).group(1)
    return found


def local(repository: Path, url: str) -> Path:
    """The file in this repository behind a raw address."""
    assert url.startswith(RAW), url
    return repository / url.removeprefix(RAW)


def png_size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", header[16:24])


def test_the_entry_follows_the_schema(repository, entry):
    assert set(entry) <= set(FIELDS)
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert all(isinstance(value, FIELDS[key]) for key, value in entry.items())
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert 1 <= entry["tier"] <= 5
    assert b"\r" not in (repository / "docs" / "extension-index" / "PETCTFusionSeg.json").read_bytes()


def test_entry_and_cmake_agree(entry, cmake):
    assert cmake["project"] == "PETCTFusionSeg"
    assert entry["category"] == cmake["EXTENSION_CATEGORY"] == KNOWN_CATEGORY
    assert entry["scm_url"].removesuffix(".git") == cmake["EXTENSION_HOMEPAGE"]
    assert entry["build_dependencies"] == cmake["EXTENSION_DEPENDS"].split()


def test_the_names_are_as_the_index_wants_them(entry, cmake):
    assert not cmake["project"].lower().startswith("slicer")
    assert entry["scm_url"].startswith("https://")
    assert Path(entry["scm_url"]).stem == f"Slicer{cmake['project']}"


def test_the_description_is_one_or_two_sentences_for_everybody(cmake):
    text = cmake["EXTENSION_DESCRIPTION"]
    assert 1 <= text.count(". ") + text.endswith(".") <= 2
    assert 40 < len(text) < 300


def test_icon_and_screenshots_are_in_the_repository(repository, cmake):
    assert png_size(local(repository, cmake["EXTENSION_ICONURL"])) == (128, 128)
    addresses = cmake["EXTENSION_SCREENSHOTURLS"].split()
    assert addresses
    for address in addresses:
        assert min(png_size(local(repository, address))) >= 300


def test_a_permissive_licence_is_there_and_named_on_the_homepage(repository):
    assert "Apache License" in (repository / "LICENSE").read_text(encoding="utf-8")
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in readme
    assert "doi" in readme.lower()


def test_homepage_and_tutorial_have_pictures_that_exist(repository):
    for name in ("README.md", "docs/tutorial.md"):
        page = repository / name
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        assert pictures, f"{name} shows nothing"
        for picture in pictures:
            assert (page.parent / picture).is_file(), f"{name}: {picture}"


def test_links_between_the_pages_lead_somewhere(repository):
    pages = [repository / "README.md", *(repository / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_nothing_foreign_is_imported_when_slicer_loads_the_module(repository):
    module = repository / "PETCTFusionSeg" / "PETCTFusionSeg.py"
    library = repository / "PETCTFusionSeg" / "PETCTFusionSegLib"
    # Slicer never loads the browser's room: import-linter keeps it apart from desktop, and nothing else knows it.
    loaded = [path for path in library.rglob("*.py") if path.relative_to(library).parts[0] != "web"]
    for path in [module, *loaded]:
        foreign = imports_at_file_scope(path) - AT_FILE_SCOPE - OWN
        assert not foreign, f"{path.name} imports {foreign} at file scope"


def imports_at_file_scope(path: Path) -> set[str]:
    """Packages imported outside functions, without the standard library, type-checking blocks and relative imports."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found - set(sys.stdlib_module_names)


def test_the_repository_is_small_enough_to_be_cloned(repository):
    """The index takes up to 100 MB; weights and pictures are what is large here."""
    folders = [repository / name for name in ("PETCTFusionSeg", "Resources", "docs", "Testing")]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    assert size < 100e6
