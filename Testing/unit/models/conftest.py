from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from petctfusion.models import (
    Code,
    LabelSpec,
    MetricRow,
    ModelCard,
    ModelStore,
    Terminology,
    Training,
    Weights,
    write_card,
)


@pytest.fixture
def card():
    """`card(**changes)`: a valid card that speaks of no file in particular."""

    def make(**changes) -> ModelCard:
        altered = Code("SCT", "49755003", "Morphologically Altered Structure")
        values = {
            "name": "toy",
            "version": "1.0",
            "title": "A toy",
            "network": "anatomy_guided",
            "arguments": {"width": 8, "dims": 3, "nested": {"list": [1, 2.5, "a", None]}},
            "modalities": ("CT", "PET"),
            "units": {"CT": "HU", "PET": "SUVbw"},
            "clip": {"CT": (-300.0, 300.0), "PET": (0.0, 25.0)},
            "spacing_mm": (4.0, 3.0, 3.0),
            "patch": (32, 64, 64),
            "labels": (
                LabelSpec(1, "Tumour", Terminology(altered, Code("SCT", "108369006", "Neoplasm")), (230, 80, 60)),
            ),
            "weights": Weights("weights.safetensors", "0" * 64, "float16", 10),
            "training": Training("phantom", "CC0", "nobody", ("P1", "P2"), "petctfusion train", "abc", 1),
            "licence": "Apache-2.0",
            "not_for": ("Not for patients.",),
            "flips": ("x",),
            "metrics": (MetricRow("phantom", "as is", 0.5, None, 3, "all empty"), MetricRow("p", "cut", 0.4, 2.5, 1)),
        }
        return ModelCard(**{**values, **changes})

    return make


@pytest.fixture
def model_folder(card):
    """`model_folder(parent, **changes)`: a folder with a card and real safetensors weights that belong together."""

    def make(parent: Path, **changes) -> Path:
        folder = parent
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "weights.safetensors"
        save_file({"a": np.arange(12, dtype=np.float16).reshape(3, 4), "b": np.ones(5, np.float32)}, weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        size = weights.stat().st_size
        write_card(card(weights=Weights(weights.name, digest, "float16", size), **changes), folder)
        return folder

    return make


@pytest.fixture
def store(tmp_path, model_folder) -> ModelStore:
    """A store that ships toy@1.9 and toy@1.10; the user's folder does not exist yet."""
    for version in ("1.9", "1.10"):
        model_folder(tmp_path / "shipped" / "toy" / version, version=version)
    return ModelStore(tmp_path / "shipped", tmp_path / "own")
