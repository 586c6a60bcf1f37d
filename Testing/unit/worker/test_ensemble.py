"""An ensemble of two small networks through the real worker: its result, its progress, what keeps it warm."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import CancelledError, ModelError
from petctfusion.inference.options import SegmentOptions
from petctfusion.models import remove_model
from petctfusion.models.ensemble import EnsembleChoices, make_ensemble
from petctfusion.worker.client import WorkerClient

from .conftest import TINY, make_model

CPU = SegmentOptions(device="cpu")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The user's folder with two networks on different grids and the ensemble "both"."""
    root = tmp_path / "models"
    monkeypatch.setenv("PETCTFUSION_MODELS", str(root))
    make_model(root / "fine" / "1.0", TINY, name="fine")
    make_model(root / "coarse" / "1.0", {**TINY, "widths": [2, 6]}, name="coarse", spacing_mm=(6.0, 5.0, 5.0))
    make_ensemble(["fine", "coarse"], EnsembleChoices("both", threshold=0.5))
    return root


@pytest.fixture
def client(store, environment, tmp_path):
    with WorkerClient(environment={**environment, "PETCTFUSION_MODELS": str(store)}, exchange_root=tmp_path) as worker:
        yield worker


def test_an_ensemble_runs_stays_warm_and_is_told_apart_when_a_member_changes(store, client, study):
    from petctfusion.inference import load_model, segment_study

    steps = []
    answer = client.segment(study, "both", CPU, steps.append)
    assert (answer.model, answer.values["members"]) == ("both 1.0.0", ["fine@1.0", "coarse@1.0"])
    single = [segment_study(study, load_model(store / name / "1.0", "cpu"), CPU) for name in ("fine", "coarse")]
    maps = [sitk.GetArrayFromImage(result.probability).astype(float) for result in single]
    got = sitk.GetArrayFromImage(answer.probability)
    # Members and mean are each rounded to a byte, and another process may sum in another order.
    assert np.abs(got - np.mean(maps, axis=0)).max() <= 1.5
    assert np.abs(got - maps[0]).max() > 1.5
    windows = [step for step in steps if step.stage == "segment"]
    assert [step.done for step in windows] == list(range(1, windows[-1].total + 1))
    assert all(step.eta_s is not None and step.eta_s >= 0 for step in windows)
    assert client.segment(study, "both", CPU).values["was_warm"]
    card = store / "coarse" / "1.0" / "model.json"
    os.utime(card, ns=(1, 1))
    assert not client.segment(study, "both", CPU).values["was_warm"]
    shutil.rmtree(store / "coarse")
    with pytest.raises(ModelError, match=r"both needs the model coarse@1\.0"):
        client.segment(study, "both", CPU)


def test_a_cancel_in_the_second_member_ends_the_run(client, study):
    first = []

    def stop(step) -> None:
        if step.stage == "segment":
            first.append(step.done)
        if step.stage == "segment" and step.done > 0.7 * step.total:
            client.cancel()

    with pytest.raises(CancelledError):
        client.segment(study, "both", SegmentOptions(device="cpu", overlap=0.8), stop)
    assert first
    assert remove_model("both").name == "1.0.0"
