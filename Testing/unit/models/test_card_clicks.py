"""The card's optional field `clicks`."""

from __future__ import annotations

import json

import pytest

from petctfusion.errors import ModelError
from petctfusion.models import ClickGuidance, ModelCard, read_card, write_card


def test_it_comes_back_from_disk_and_is_not_written_where_there_are_no_clicks(card, tmp_path):
    guided = card(clicks=ClickGuidance(12.0))
    write_card(guided, tmp_path)
    assert read_card(tmp_path) == guided
    assert json.loads((tmp_path / "model.json").read_text())["clicks"] == {"radius_mm": 12.0}
    assert "clicks" not in card().to_json()
    assert ModelCard.from_json(json.loads(json.dumps(card().to_json()))).clicks is None


@pytest.mark.parametrize(
    ("clicks", "named"),
    [
        ({"radius_mm": 0}, "'clicks.radius_mm'"),
        ({"radius_mm": "wide"}, "'clicks.radius_mm'"),
        ({"radius_mm": 3, "shape": "cube"}, "'clicks.shape'"),
        ({}, "'clicks.radius_mm'"),
        (12.0, "'clicks'"),
    ],
)
def test_a_wrong_entry_is_named(card, clicks, named):
    values = {**json.loads(json.dumps(card().to_json())), "clicks": clicks}
    with pytest.raises(ModelError) as caught:
        ModelCard.from_json(values)
    assert named in caught.value.message
