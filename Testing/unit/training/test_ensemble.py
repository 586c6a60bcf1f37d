"""The settings of an ensemble are chosen on tuning patients that no member has seen."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import save_file
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.inference import load_model
from petctfusion.models import ModelCard, Weights, default_model, read_card, write_card
from petctfusion.models.ensemble import EnsembleChoices, make_ensemble
from petctfusion.networks import build
from petctfusion.training import ensemble as calibration
from petctfusion.training.ensemble import calibrate_ensemble
from petctfusion.training.material import TrainingData


class Hot(nn.Module):
    """`high` where the SUV is above 3, `low` elsewhere, as probabilities."""

    divisor = 2

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = (float(np.log(p / (1 - p))) for p in (low, high))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, 1:2] > 3.0, self.high, self.low)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of an ensemble, not installed, of two installed networks trained on P1."""
    monkeypatch.setenv("PETCTFUSION_MODELS", str(tmp_path / "own"))
    card = default_model().card
    assert isinstance(card, ModelCard)
    arguments = {**card.arguments, "widths": [2, 4]}
    for name, seed in (("a", 0), ("b", 1)):
        target = tmp_path / "own" / name / "1"
        target.mkdir(parents=True)
        torch.manual_seed(seed)
        save_file(build(card.network, **arguments).state_dict(), target / "weights.safetensors")
        content = (target / "weights.safetensors").read_bytes()
        changes = {
            "name": name,
            "version": "1",
            "arguments": arguments,
            "weights": Weights("weights.safetensors", hashlib.sha256(content).hexdigest(), "float32", len(content)),
            "training": replace(card.training, patients=("P1",)),
            "patch": (16, 16, 16),
            "smallest_component_share": 0.0,
        }
        write_card(replace(card, **changes), target)
    return make_ensemble(["a", "b"], EnsembleChoices("both", weights=(2.0, 3.0)), tmp_path / "both").folder


@pytest.fixture
def table(tmp_path) -> Path:
    """P1 to learn from and P2 to choose on: a ball of SUV 9, contoured where it is."""
    z, y, x = np.mgrid[:20, :20, :20] - 9.5
    ball = z**2 + y**2 + x**2 <= 30.0
    for name, array in [
        ("ct", np.where(ball, 50, 40).astype(np.int16)),
        ("pet", np.where(ball, 9.0, 1.0).astype(np.float32)),
        ("gtv", ball.astype(np.uint8)),
    ]:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((4.0, 4.0, 4.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    rows = [f"{name},gtv.nii.gz,ct.nii.gz,pet.nii.gz,{split}" for name, split in (("P1", "train"), ("P2", "tune"))]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["patient,contour,CT,PET,split", *rows]) + "\n")
    return path


def test_the_threshold_that_separates_is_written_into_the_card(folder, table, monkeypatch):
    def known(*arguments):
        model = load_model(*arguments)
        networks = (Hot(0.001, 0.999).eval(), Hot(0.1, 0.1).eval())
        return replace(
            model, members=tuple(replace(m, network=n) for m, n in zip(model.members, networks, strict=True))
        )

    monkeypatch.setattr(calibration, "load_model", known)
    said = []
    # 0.46 in the ball and 0.06 elsewhere: 0.3 and 0.4 find it, 0.4 is nearer to one half.
    choice = calibrate_ensemble(folder, TrainingData("csv", table), "cpu", said.append)
    card = read_card(folder)
    assert card.threshold == choice.threshold == 0.4
    assert card.smallest_component_ml == choice.smallest_component_ml == 0.0
    assert choice.dice > 0.99
    assert card.training.command.endswith("--weights 2 3 --calibrate-on table.csv --kind csv")
    assert any("P2" in line for line in said)
    assert not any("P1" in line for line in said)


def test_a_tuning_patient_that_a_member_has_seen_is_refused(folder, table):
    before = read_card(folder)
    table.write_text(table.read_text().replace("P1", "P3").replace("P2", "P1"))
    with pytest.raises(BadInputError, match="trained on P1") as caught:
        calibrate_ensemble(folder, TrainingData("csv", table), "cpu", lambda _: None)
    assert "--threshold" in caught.value.hint
    assert read_card(folder) == before


def test_without_tuning_patients_nothing_is_chosen(folder, table):
    table.write_text("\n".join(table.read_text().splitlines()[:2]).replace("train", "").replace("P1", "P9") + "\n")
    with pytest.raises(BadInputError, match="no tuning patients"):
        calibrate_ensemble(folder, TrainingData("csv", table), "cpu", lambda _: None)
