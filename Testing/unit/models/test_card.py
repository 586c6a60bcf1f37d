from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest

from petctfusion.errors import ModelError, OutputError
from petctfusion.models import CARD_FILE, ModelCard, read_card, write_card


def test_a_card_comes_back_from_disk_as_it_was(card, tmp_path):
    before = card()
    path = write_card(before, tmp_path)
    assert path == tmp_path / "model.json"
    assert read_card(tmp_path) == before
    assert json.loads(path.read_text())["format"] == 1


def test_every_field_is_required_and_a_missing_one_is_named(card):
    whole = json.loads(json.dumps(card().to_json()))

    def without(values, path):
        *way, last = path
        inner = values
        for step in way:
            inner = inner[step]
        del inner[last]
        return values

    paths = [(name,) for name in whole]
    paths += [(group, name) for group in ("weights", "training", "units", "clip") for name in whole[group]]
    paths += [("labels", 0, name) for name in whole["labels"][0]]
    paths += [("labels", 0, "terminology", "type", name) for name in ("scheme", "value", "meaning")]
    paths += [("metrics", 0, name) for name in ("data", "crop", "dice", "hd95_mm", "n")]
    for path in paths:
        with pytest.raises(ModelError) as caught:
            ModelCard.from_json(without(copy.deepcopy(whole), path))
        named = path[0] if path[0] in ("units", "clip") else path[-1]
        assert str(named) in caught.value.message, path
        assert caught.value.hint


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("format", 2, "format 2"),
        ("name", "../toy", "'name'"),
        ("version", "..", "'version'"),
        ("version", "1 0", "'version'"),
        ("title", " ", "'title'"),
        ("modalities", [], "'modalities'"),
        ("modalities", ["CT", "CT"], "'modalities'"),
        ("modalities", ["CT", "US"], "'US'"),
        ("modalities", ["CT"], "'units'"),
        ("units", {"CT": "HU", "PET": "kBq"}, "'kBq'"),
        ("clip", {"CT": [300, -300], "PET": [0, 25]}, "'clip.CT'"),
        ("clip", {"CT": [-300, math.inf], "PET": [0, 25]}, "'clip.CT'"),
        ("clip", {"CT": [-300, 300], "PET": [0]}, "'clip.PET'"),
        ("spacing_mm", [4, 3], "'spacing_mm'"),
        ("spacing_mm", [4, 3, 0], "'spacing_mm'"),
        ("spacing_mm", [4, 3, math.nan], "'spacing_mm'"),
        ("spacing_mm", [4, 3, True], "'spacing_mm'"),
        ("patch", [32, 64, 0], "'patch'"),
        ("patch", [32, 64, 1.5], "'patch'"),
        ("labels", [], "'labels'"),
        ("threshold", 1.5, "'threshold'"),
        ("threshold", "0.5", "'threshold'"),
        ("smallest_component_ml", -1, "'smallest_component_ml'"),
        ("smallest_component_share", 1.5, "'smallest_component_share'"),
        ("fill_holes", 1, "'fill_holes'"),
        ("flips", ["w"], "'w'"),
        ("overlap", 1.0, "'overlap'"),
        ("arguments", [1], "'arguments'"),
        ("not_for", [], "'not_for'"),
        ("metrics", [{"data": "a", "crop": "b", "dice": 1.2, "hd95_mm": 1, "n": 1}], "'metrics[0].dice'"),
        ("colour", 1, "'colour'"),
    ],
)
def test_a_wrong_field_is_named(card, field, value, named):
    values = {**json.loads(json.dumps(card().to_json())), field: value}
    with pytest.raises(ModelError) as caught:
        ModelCard.from_json(values)
    assert named in caught.value.message


@pytest.mark.parametrize(
    "name", ["../weights.safetensors", "a/b.safetensors", "a\\b.safetensors", "/x.safetensors", "C:x.safetensors", ".."]
)
def test_a_weights_file_outside_the_folder_is_refused(card, name):
    values = json.loads(json.dumps(card().to_json()))
    values["weights"]["file"] = name
    with pytest.raises(ModelError, match="plain name"):
        ModelCard.from_json(values)


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.pkl", "weights.bin", "weights"])
def test_a_pickle_is_refused_by_its_name(card, name):
    values = json.loads(json.dumps(card().to_json()))
    values["weights"]["file"] = name
    with pytest.raises(ModelError, match="never a pickle"):
        ModelCard.from_json(values)


@pytest.mark.parametrize("digest", ["", "0" * 63, "g" * 64])
def test_a_checksum_that_is_none_is_refused(card, digest):
    values = json.loads(json.dumps(card().to_json()))
    values["weights"]["sha256"] = digest
    with pytest.raises(ModelError, match="sha256"):
        ModelCard.from_json(values)


def test_two_labels_of_one_value_are_refused(card):
    with pytest.raises(ModelError, match="one value to two"):
        ModelCard.from_json(json.loads(json.dumps(card(labels=card().labels * 2).to_json())))


def test_a_separator_of_terminology_entries_is_refused(card):
    values = json.loads(json.dumps(card().to_json()))
    values["labels"][0]["terminology"]["type"]["meaning"] = "a~b"
    with pytest.raises(ModelError, match="terminology"):
        ModelCard.from_json(values)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"format": 1', "[" * 100_000, "\x00"])
def test_a_card_that_is_no_card_is_refused(tmp_path, text):
    (tmp_path / CARD_FILE).write_text(text)
    with pytest.raises(ModelError):
        read_card(tmp_path)


def test_a_folder_without_a_card_is_refused_with_its_name(tmp_path):
    with pytest.raises(ModelError, match=r"model\.json is missing") as caught:
        read_card(tmp_path)
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("changes", [{"threshold": math.nan}, {"threshold": 7.0}, {"arguments": {"x": object()}}])
def test_what_could_not_be_read_back_is_not_written(card, tmp_path, changes):
    with pytest.raises(ModelError):
        write_card(card(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_card_and_nothing_else(card, tmp_path, monkeypatch):
    write_card(card(), tmp_path)

    def full_disk(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        write_card(card(title="Another"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [CARD_FILE]
    assert read_card(tmp_path).title == "A toy"


def test_a_folder_that_does_not_exist_cannot_be_written(card, tmp_path):
    with pytest.raises(OutputError):
        write_card(card(), tmp_path / "missing")
