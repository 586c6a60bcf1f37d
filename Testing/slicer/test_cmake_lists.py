"""Every file of the module is packaged, and the door suits every Slicer that may open it."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cmake_lists  # noqa: E402


def test_every_python_file_is_in_the_cmake_list():
    assert cmake_lists.filesInCMake()[cmake_lists.LISTS[0]] == cmake_lists.filesOnDisk()[cmake_lists.LISTS[0]], (
        "run: python Testing/slicer/cmake_lists.py"
    )


def test_every_resource_is_in_the_cmake_list():
    listed = cmake_lists.filesInCMake()[cmake_lists.LISTS[1]]
    assert listed == cmake_lists.filesOnDisk()[cmake_lists.LISTS[1]], "run: python Testing/slicer/cmake_lists.py"
    assert any(name.endswith(".safetensors") for name in listed)


def test_the_extension_is_named_like_the_project_and_its_pictures_exist():
    text = (ROOT / "CMakeLists.txt").read_text()
    assert "project(PETCTFusionSeg)" in text
    assert 'set(EXTENSION_DEPENDS "PyTorch")' in text
    for picture in re.findall(r"/main/(Resources/\S+\.png)", text):
        content = (ROOT / picture).read_bytes()
        assert content.startswith(b"\x89PNG"), picture
        assert len(content) > 1000, picture


def test_the_door_parses_on_python_3_9_and_is_thin():
    source = (ROOT / "PETCTFusionSeg" / "PETCTFusionSeg.py").read_text()
    ast.parse(source, feature_version=(3, 9))
    assert len(source.splitlines()) <= 150


def test_the_door_imports_nothing_at_file_scope_that_an_old_slicer_lacks():
    tree = ast.parse((ROOT / "PETCTFusionSeg" / "PETCTFusionSeg.py").read_text())
    imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    known = {"__future__", "sys", "typing", "slicer", "slicer.i18n", "slicer.ScriptedLoadableModule", "slicer.util"}
    assert imported <= known
