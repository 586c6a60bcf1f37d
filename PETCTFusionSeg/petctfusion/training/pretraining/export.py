"""What a finished pre-training leaves: encoder.safetensors, and beside it what the encoders have learned, as JSON."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from petctfusion.errors import BadInputError
from petctfusion.networks.anatomy_prompted import MaskedReconstruction
from petctfusion.training.benchmark.files import write_json
from petctfusion.training.datasets.patient import Say
from petctfusion.training.logs import TUNING
from petctfusion.training.pretraining.encoder import ENCODER_FILE, PretrainedEncoder, write_encoder
from petctfusion.training.pretraining.score import PretrainingScore
from petctfusion.training.provenance import current_commit

if TYPE_CHECKING:
    from petctfusion.training.trainer import Trainer

FORMAT = 1


def export_encoder(trainer: Trainer, weights: Mapping[str, torch.Tensor], folder: Path, say: Say) -> Path:
    """The file of encoders of a finished run. Raises `OutputError`."""
    recipe, path = trainer.recipe, folder / ENCODER_FILE
    network = cast(MaskedReconstruction, trainer.average.module)
    network.load_state_dict(dict(weights))
    patients = tuple(case.name for case in trainer.train)
    encoder = PretrainedEncoder(network.encoder_state(), recipe.name, recipe.seed, trainer.step, patients)
    sha256 = write_encoder(encoder, path)
    score = trainer.tuning_score() if trainer.tune else None
    if score is not None:
        say(str(score))
    learned = {
        "format": FORMAT,
        "name": recipe.name,
        "seed": recipe.seed,
        "recipe": dataclasses.asdict(recipe),
        "commit": current_commit(),
        "steps": trainer.step,
        "training_seconds": trainer.seconds,
        "patients": patients,
        "scored_on": [case.name for case in trainer.tune],
        "sha256": sha256,
        "score": None if score is None else cast(PretrainingScore, score).to_json(),
        "history": _rows(folder / TUNING),
    }
    write_json(learned, path.with_suffix(".json"))
    return path


def read_learned(path: Path) -> dict[str, Any]:
    """What `export_encoder` wrote beside the encoders. Raises `BadInputError`."""
    try:
        learned = json.loads(path.read_text(encoding="utf-8"))
        if learned["format"] != FORMAT:
            raise ValueError("it is of another version")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} tells of no pre-training ({error}).", "Pre-train again.") from error
    return cast("dict[str, Any]", learned)


def _rows(path: Path) -> list[dict[str, float | None]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(file)]
