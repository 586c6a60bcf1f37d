"""The harness's application, one for the process; a fresh scene for each test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6", reason="the Qt harness needs PySide6")
pytest.importorskip("slicer", reason="the Qt harness needs slicer-core")

ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT / "PETCTFusionSeg", Path(__file__).resolve().parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

from harness import proxy  # noqa: E402
from harness.application import Desktop  # noqa: E402

TINY = "tiny"


@pytest.fixture(scope="session")
def desktop():
    return Desktop()


@pytest.fixture(scope="module")
def opened(desktop, tinyModel):
    """The module opened in the harness with the tiny model chosen, once for all tests of a file."""
    scene = desktop.newScene()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PETCTFUSION_MODELS", str(tinyModel.parents[1]))
        patch.setenv("OMP_NUM_THREADS", "1")
        import PETCTFusionSeg
        from PETCTFusionSegLib.selftest.application import SlicerApplication

        with SlicerApplication(PETCTFusionSeg.PETCTFusionSegWidget) as app:
            assert app.scene is scene
            yield app


@pytest.fixture
def application(opened):
    """An empty scene in the opened module; a slot that raised fails the test."""
    proxy.SLOT_ERRORS.clear()
    opened.reset()
    names = [model.name for model in opened.panel.sections["Segment"].choice.models]
    opened.ui.modelSelector.currentIndex = names.index(TINY)
    yield opened
    assert proxy.SLOT_ERRORS == []
