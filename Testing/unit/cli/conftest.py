"""A small study on disk, and the command line run in this process or in its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main, segment_run
from petctfusion.models import Weights, default_model, write_card
from petctfusion.worker.client import WorkerClient


@dataclass(frozen=True)
class Answer:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Study:
    """Paths of a study."""

    ct: Path
    pet: Path
    reference: Path

    def arguments(self, output: Path, **changes: Path | str | None) -> list[str]:
        """`segment` with these files, some of them changed (None: left out)."""
        values: dict[str, Path | str | None] = {"ct": self.ct, "pet": self.pet, "output": output, **changes}
        options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in values.items() if value is not None]
        return ["segment", *(word for option in options for word in option)]


def image_of(array: np.ndarray, spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def write(image: sitk.Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def ball(shape: tuple[int, int, int], spacing: float, radius_mm: float) -> np.ndarray:
    """A ball in the middle of a cubic grid (z, y, x)."""
    axes = [(np.arange(n) - (n - 1) / 2) * spacing for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius_mm**2


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A hot ball of 25 mm radius in a leg-like cylinder; CT 2 mm, PET 4 mm, on grids of one centre."""
    folder = tmp_path_factory.mktemp("study")
    noise = np.random.default_rng(0)
    z, y, x = (np.arange(48) - 23.5) * 2.0, (np.arange(64) - 31.5) * 2.0, (np.arange(64) - 31.5) * 2.0
    leg = np.broadcast_to((y[:, None] ** 2 + x[None, :] ** 2 <= 50.0**2)[None], (z.size, y.size, x.size))
    tumour = ball((48, 64, 64), 2.0, 25.0)
    ct = np.where(leg, 50.0, -1000.0) + noise.normal(0, 10, leg.shape)
    ct_origin, pet_origin = (-63.0, -63.0, -47.0), (-62.0, -62.0, -46.0)
    hot = ball((24, 32, 32), 4.0, 25.0)
    pet = np.where(hot, 9.0, 0.6) + np.abs(noise.normal(0, 0.1, hot.shape))
    return Study(
        ct=write(image_of(ct.astype(np.int16), (2.0, 2.0, 2.0), ct_origin), folder / "CT.nii.gz"),
        pet=write(image_of(pet.astype(np.float32), (4.0, 4.0, 4.0), pet_origin), folder / "PET.nii.gz"),
        reference=write(image_of(tumour.astype(np.uint8), (2.0, 2.0, 2.0), ct_origin), folder / "REF.nii.gz"),
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network made tiny, with random weights and threshold 0: it marks every voxel, in no time."""
    import torch
    from safetensors.torch import save_file

    from petctfusion.networks import build

    folder = tmp_path_factory.mktemp("models") / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    card = default_model().card
    arguments = {**card.arguments, "widths": [2, 4]}
    torch.manual_seed(0)
    save_file(build(card.network, **arguments).state_dict(), folder / "weights.safetensors")
    content = (folder / "weights.safetensors").read_bytes()
    weights = Weights("weights.safetensors", hashlib.sha256(content).hexdigest(), "float32", len(content))
    tiny = {"name": "tiny", "version": "1.0.0", "arguments": arguments, "weights": weights, "threshold": 0.0}
    grid = {"spacing_mm": (8.0, 8.0, 8.0), "patch": (16, 16, 16), "flips": (), "smallest_component_ml": 0.0}
    write_card(replace(card, **tiny, **grid), folder)
    return folder


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command in this process; capture is of the file descriptors, so C++ libraries are seen too."""

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def process() -> Callable[..., Answer]:
    """Runs a command as a user does, in a process of its own."""

    def run(*arguments: object, start: Sequence[str] = ("-m", "petctfusion.cli"), **environment: str) -> Answer:
        done = subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **environment},
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder that does not exist yet."""
    return tmp_path / "results" / "new"


@pytest.fixture
def refused() -> Callable[..., None]:
    """Checks an answer: the exit code, one sentence with the given words on stderr, no traceback."""

    def check(answer: Answer, code: int, *words: str) -> None:
        assert answer.code == code, answer.err
        assert "Traceback" not in answer.err + answer.out
        sentences = [line for line in answer.err.splitlines() if line.startswith("petctfusion: ")]
        assert len(sentences) == 1, answer.err
        for word in words:
            assert word.lower() in answer.err.lower(), answer.err

    return check


@pytest.fixture(scope="session")
def warm_client() -> Iterator[WorkerClient]:
    """One real worker for all tests that do not ask how it is started and ended: torch is imported once."""
    with WorkerClient() as client:
        yield client


@pytest.fixture
def warm_worker(warm_client: WorkerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`segment` in this process talks to the warm worker."""
    monkeypatch.setattr(segment_run, "WorkerClient", lambda **_: contextlib.nullcontext(warm_client))
