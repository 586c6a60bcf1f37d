"""`petctfusion models ensemble`, and an ensemble in the other commands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from petctfusion.cli import exits
from petctfusion.models import read_card, write_card


@pytest.fixture
def models(tiny_model, tmp_path, monkeypatch) -> Path:
    """The user's folder with the tiny network as a@1 and, with another bias, as b@1."""
    from safetensors.torch import load_file, save_file

    own = tmp_path / "own"
    monkeypatch.setenv("PETCTFUSION_MODELS", str(own))
    card = read_card(tiny_model)
    for shift, name in enumerate(("a", "b")):
        folder = own / name / "1"
        folder.mkdir(parents=True)
        weights = {key: value + shift * 0.01 for key, value in load_file(tiny_model / card.weights.file).items()}
        save_file(weights, folder / card.weights.file)
        digest = hashlib.sha256((folder / card.weights.file).read_bytes()).hexdigest()
        size = (folder / card.weights.file).stat().st_size
        entry = replace(card.weights, sha256=digest, bytes=size)
        write_card(replace(card, name=name, version="1", weights=entry), folder)
    return own


def test_it_is_made_listed_shown_verified_and_removed(cli, models):
    made = cli("models", "ensemble", "both", "a", "b@1", "--weights", "1", "3", "--threshold", "0.4")
    assert made.code == exits.OK, made.err
    assert "both@1.0.0, an ensemble of 2 models, is installed" in made.out
    listed = {model["name"]: model for model in cli("models", "list", "--json").json}
    assert listed["both"]["network"] == "ensemble of 2"
    shown = cli("models", "info", "both")
    assert shown.code == exits.OK
    for text in ("a@1, weight 1", "b@1, weight 3", "Not for", "Soft-tissue"):
        assert text in shown.out
    verified = cli("models", "verify", "both", "--json").json
    assert verified[0]["sha256"] == read_card(models / "both" / "1.0.0").sha256
    assert cli("models", "remove", "both").code == exits.OK
    assert not (models / "both").exists()


def test_json_holds_the_whole_card_and_output_leaves_the_store_alone(cli, models, tmp_path):
    answer = cli("models", "ensemble", "both", "a", "b", "--output", tmp_path / "new", "--json").json
    assert answer["model"] == "both@1.0.0"
    assert answer["card"] == json.loads((tmp_path / "new" / "model.json").read_text())
    assert sorted(path.name for path in models.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("both", "a"), ("two models or more",)),
        (("both", "a", "a"), ("a@1 is named twice", "--weights")),
        (("both", "a", "nothing"), ("no model 'nothing'", "b@1")),
        (("both", "a", "b", "--weights", "1"), ("1 weights for 2 models",)),
        (("both", "a", "b", "--threshold", "2"), ("threshold is 2",)),
        (("both", "a", "b", "--threshold", "0.5", "--calibrate-on", "x"), ("--threshold or --calibrate-on",)),
        (("both", "a", "b", "--calibrate-on", "no/such/folder"), ("is not a folder",)),
        (("both", "a", "b", "--calibrate-on", ".", "--kind", "stss"), ("Did you mean 'sts'",)),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(cli, refused, models, arguments, words):
    answer = cli("models", "ensemble", *arguments)
    assert answer.code != exits.OK
    refused(answer, answer.code, *words)
    assert sorted(path.name for path in models.iterdir()) == ["a", "b"]


def test_a_result_names_the_members(cli, models, study, output, monkeypatch):
    cli("models", "ensemble", "both", "a", "b")
    answer = cli(*study.arguments(output, model="both"), "--device", "cpu")
    assert answer.code == exits.OK, answer.err
    assert "both@1.0.0 on cpu" in answer.out
    assert "a@1, b@1" in answer.out
    assert json.loads((output / "result.json").read_text())["members"] == ["a@1", "b@1"]
