"""Shared by all tests: where the repository and the real patients are, and a user folder that is not the user's."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real data; tests that need it are marked `data`."""
    folder = Path(os.environ.get("PETCTFUSION_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "sts" / "split.json").is_file():
        pytest.skip(f"no real patients in {folder}: set PETCTFUSION_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Logs and own models go to a temporary folder, for this process and every one it starts."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(folder / name))
        patch.delenv("PETCTFUSION_MODELS", raising=False)
        yield folder


@pytest.fixture(scope="session")
def tinyModel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model "tiny": a few thousand random weights that run a window in milliseconds."""
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
    folder = tmp_path_factory.mktemp("models") / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    content = (folder / "weights.safetensors").read_bytes()
    category = Code("SCT", "49755003", "Morphologically Altered Structure")
    codes = Terminology(category, Code("SCT", "108369006", "Neoplasm"))
    card = ModelCard(
        name="tiny",
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


@dataclass(frozen=True)
class DeafWorker:
    """A program in the worker's place that takes one request and never answers."""

    program: Path
    child: Path
    """Exists when the request has come, and holds the id of a process that the program has started."""

    @property
    def childRuns(self) -> bool:
        """False once it has ended, also while nobody has asked for its exit code."""
        try:
            status = Path(f"/proc/{self.child.read_text()}/stat").read_text()
        except OSError:
            return False
        return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def deafWorker(tmp_path: Path) -> DeafWorker:
    """A run that is cancelled before its request was sent ends at once: a test waits for the child first."""
    program, child = tmp_path / "deaf", tmp_path / "child"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, subprocess, sys, time\n"
        # The panel also asks a Python for its version.
        "if 'petctfusion.worker' not in sys.argv:\n"
        "    sys.exit()\n"
        "if os.getsid(0) != os.getpid():\n"
        "    os.setsid()\n"
        "sys.stdin.buffer.readline()\n"
        'print(\'{"id":0,"event":"ready","protocol":1,"pid":%d}\' % os.getpid(), flush=True)\n'
        "sys.stdin.buffer.readline()\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({f'{child}.part'!r}, 'w').write(str(child.pid))\n"
        f"os.rename({f'{child}.part'!r}, {str(child)!r})\n"
        "time.sleep(600)\n"
    )
    program.chmod(0o755)
    return DeafWorker(program, child)
