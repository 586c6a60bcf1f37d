"""The harness's application, one for the process; a tiny model in a folder of its own; a fresh scene for each test."""

from __future__ import annotations

import hashlib
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


@pytest.fixture(scope="session")
def tinyModel(tmp_path_factory):
    """A model folder with a network of a few thousand random weights that runs a window in milliseconds."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    from petctfusion.models import Code, LabelSpec, ModelCard, Terminology, Training, Weights, write_card
    from petctfusion.networks import build

    arguments = {"widths": [2, 4, 4]}
    torch.manual_seed(3)
    network = build("anatomy_guided", **arguments)
    with torch.no_grad():
        # A head that leans on neither side makes a label map with both values.
        network.heads[0].bias.zero_()
    folder = tmp_path_factory.mktemp("models") / TINY / "1.0.0"
    folder.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    content = (folder / "weights.safetensors").read_bytes()
    category = Code("SCT", "49755003", "Morphologically Altered Structure")
    codes = Terminology(category, Code("SCT", "108369006", "Neoplasm"))
    card = ModelCard(
        name=TINY,
        version="1.0.0",
        title="Random weights",
        network="anatomy_guided",
        arguments=arguments,
        modalities=("CT", "PET"),
        units={"CT": "HU", "PET": "SUVbw"},
        clip={"CT": (-1024.0, 3071.0), "PET": (0.0, 60.0)},
        spacing_mm=(4.0, 4.0, 4.0),
        patch=(24, 24, 24),
        overlap=0.25,
        labels=(LabelSpec(1, "Tumor", codes, (230, 159, 0)),),
        weights=Weights("weights.safetensors", hashlib.sha256(content).hexdigest(), "float32", len(content)),
        training=Training("none", "Apache-2.0", "none", (), "none", "none", 3),
        licence="Apache-2.0",
        not_for=("Random weights for tests.",),
    )
    write_card(card, folder)
    return folder


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
    names = [model.name for model in opened.panel.sections["Segment"].models]
    opened.ui.modelSelector.currentIndex = names.index(TINY)
    yield opened
    assert proxy.SLOT_ERRORS == []
