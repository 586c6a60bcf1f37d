"""The card's optional fields `normalisation` and `orientation`."""

from __future__ import annotations

import json

import pytest

from petctfusion.errors import ModelError
from petctfusion.models import ModelCard, read_card, write_card
from petctfusion.models.normalisation import Normalisation

BOTH = {"CT": Normalisation("fixed", 30.0, 200.0), "PET": Normalisation("z_score")}


def test_they_come_back_from_disk_and_are_not_written_where_nothing_is_said(card, tmp_path):
    scaled = card(normalisation=BOTH, orientation="LPS")
    write_card(scaled, tmp_path)
    assert read_card(tmp_path) == scaled
    assert not {"normalisation", "orientation"} & set(card().to_json())
    assert ModelCard.from_json(json.loads(json.dumps(card().to_json()))).normalisation == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"normalisation": {"CT": {"method": "none", "mean": 0, "std": 1}}}, "'normalisation'"),
        ({"normalisation": [1]}, "'normalisation'"),
        ({"PET": {"method": "magic", "mean": 0, "std": 1}}, "'magic'"),
        ({"PET": {"method": "fixed", "mean": 0, "std": 0}}, "'normalisation.PET.std'"),
        ({"PET": {"method": "fixed", "std": 1}}, "'normalisation.PET.mean'"),
        ({"PET": {"method": "fixed", "mean": 0, "std": 1, "median": 0}}, "'normalisation.PET.median'"),
        ({"orientation": "RAS"}, "'RAS'"),
    ],
)
def test_a_wrong_entry_is_named(card, changes, named):
    values = json.loads(json.dumps(card(normalisation=BOTH).to_json()))
    if "PET" in changes:
        values["normalisation"].update(changes)
    else:
        values.update(changes)
    with pytest.raises(ModelError) as caught:
        ModelCard.from_json(values)
    assert named in caught.value.message
