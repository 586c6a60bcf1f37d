"""Threshold and smallest lesion of an ensemble, chosen on tuning patients as those of a single model are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.inference import SegmentOptions, load_model
from petctfusion.models import write_card
from petctfusion.training.calibration import Choice, calibrate, choose
from petctfusion.training.material import TrainingData, choose_patients
from petctfusion.training.tuning_studies import tuning_studies


def calibrate_ensemble(folder: Path, data: TrainingData, device: str, say: Callable[[str], None]) -> Choice:
    """Write the settings that do best on the tuning patients of `data` into the card of the ensemble in `folder`.

    Raises `BadInputError` when there are no tuning patients, or when a member was trained on one of them.
    """
    patients = choose_patients(data, say).tune
    model = load_model(folder, device)
    seen = sorted({patient.name for patient in patients} & set(model.card.training.patients))
    if seen:
        raise BadInputError(
            f"A member of the ensemble was trained on {seen[0]}, so the threshold cannot be chosen on that patient.",
            "Use a data set whose tuning patients no member has seen, or give the threshold: --threshold.",
        )
    if not patients:
        raise BadInputError(f"{data.folder} has no tuning patients.", "Give the threshold instead: --threshold.")
    studies = tuning_studies(data, patients, model.card.modalities)
    chosen = choose(calibrate(studies, model, SegmentOptions(), say))
    say(
        f"threshold {chosen.threshold:.1f}, smallest {chosen.smallest_component_ml:.1f} ml: "
        f"Dice {chosen.dice:.4f}, HD95 {chosen.hd95_mm:.2f} mm on {len(patients)} tuning patients"
    )
    training = replace(
        model.card.training,
        command=f"{model.card.training.command} --calibrate-on {data.folder.name} --kind {data.kind}",
    )
    smallest = chosen.smallest_component_ml
    card = replace(model.card, training=training, threshold=chosen.threshold, smallest_component_ml=smallest)
    write_card(card, folder)
    return chosen
