"""Clicks in training: always right, stateless, beside an unchanged patch; and a run that begins with a model."""

import dataclasses
import json

import dataset_miniatures as mini
import numpy as np
import pytest
import torch
from conftest_blobs import blob_cases

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.inference import load_model, segment_study
from petctfusion.inference.clicks import Click
from petctfusion.models import read_card
from petctfusion.training.click_settings import ClickSettings
from petctfusion.training.initial import begin_with
from petctfusion.training.optimiser import network_of
from petctfusion.training.patches import PatchSettings, draw_patch
from petctfusion.training.recipe import read_recipe
from petctfusion.training.simulated_clicks import deepest_voxel, simulated_clicks
from petctfusion.training.trainer import Trainer

SPACING = (6.0, 4.0, 4.0)


def ball_patch():
    z, y, x = np.ogrid[:16, :20, :24]
    ball = torch.from_numpy((((z - 8) * 1.5) ** 2 + (y - 9) ** 2 + (x - 10) ** 2 <= 36).astype(np.float32))
    pet = 6 * ball + 0.5
    pet[2:5, 14:18, 18:22] = 9.0  # a hot organ beside it
    return ball, pet


def drawn(seed, settings, target, pet):
    return simulated_clicks(target, pet, SPACING, settings, np.random.default_rng([1, seed]))


def test_foreground_clicks_lie_inside_and_background_clicks_outside():
    ball, pet = ball_patch()
    counts, on_the_organ = [], 0
    for seed in range(150):
        blobs = drawn(seed, ClickSettings(max_clicks=4), ball, pet)
        inside, outside = blobs[0] == 1, blobs[1] == 1
        assert (ball[inside] >= 0.5).all()
        assert (ball[outside] < 0.5).all()
        counts.append(int(inside.sum() + outside.sum()))
        on_the_organ += bool(outside[2:5, 14:18, 18:22].any())
    assert max(counts) == 4
    assert 0.2 < np.mean([n == 0 for n in counts]) < 0.5
    assert on_the_organ > 10


def test_never_more_clicks_than_asked_for_and_none_where_none_is_certain():
    ball, pet = ball_patch()
    for seed in range(20):
        assert int((drawn(seed, ClickSettings(max_clicks=1, none_probability=0.0), ball, pet) == 1).sum()) <= 1
    empty, cold = torch.zeros_like(ball), torch.zeros_like(ball)
    assert not any(drawn(seed, ClickSettings(), empty, cold).any() for seed in range(20))
    assert any(drawn(seed, ClickSettings(), empty, pet)[1].any() for seed in range(20))
    assert not any(drawn(seed, ClickSettings(), empty, None).any() for seed in range(20))
    assert drawn(0, ClickSettings(), torch.ones_like(ball), pet).shape == (2, *ball.shape)


def test_a_blob_falls_with_the_distance_in_mm():
    ball, _ = ball_patch()
    settings = ClickSettings(max_clicks=1, radius_mm=12.0, none_probability=0.0)
    blobs = next(b for b in (drawn(seed, settings, ball, None) for seed in range(50)) if b[0].max() == 1)
    z, y, x = (int(i) for i in torch.nonzero(blobs[0] == 1)[0])
    assert float(blobs[0, z, y, x - 3]) == pytest.approx(np.exp(-0.5))
    assert float(blobs[0, z - 2, y, x]) == pytest.approx(np.exp(-0.5))


def test_the_deepest_voxel_counts_in_mm_and_the_edge_of_the_array_as_outside():
    mask = np.zeros((9, 9, 9), bool)
    mask[3:6, 0:9, 4:5] = True
    assert deepest_voxel(mask, (1.0, 1.0, 10.0)).tolist()[0] == 4
    mask[:] = True
    assert deepest_voxel(mask, (1.0, 1.0, 1.0)).tolist() == [4, 4, 4]


def test_the_patch_is_that_without_clicks_and_every_draw_the_same(case):
    plain, clicked = PatchSettings((16, 16, 16)), PatchSettings((16, 16, 16), clicks=ClickSettings())
    for n in range(5):
        first, second = (draw_patch(case, clicked, np.random.default_rng([3, n])) for _ in range(2))
        before = draw_patch(case, plain, np.random.default_rng([3, n]))
        assert first.image.shape == (4, 16, 16, 16)
        assert torch.equal(first.image, second.image)
        assert torch.equal(first.image[:2], before.image)
        assert torch.equal(first.target, before.target)


@pytest.mark.parametrize("wrong", [{"max_clicks": 0}, {"radius_mm": 0.0}, {"none_probability": 1.0}])
def test_settings_without_sense_are_refused(wrong):
    with pytest.raises(BadInputError, match=next(iter(wrong))) as caught:
        ClickSettings(**wrong)
    assert caught.value.hint


def test_a_network_or_a_table_that_does_not_fit_is_refused(tiny_recipe):
    clicks = ClickSettings()
    with pytest.raises(BadInputError, match="h2aseg takes no clicks"):
        network_of(dataclasses.replace(tiny_recipe, network="h2aseg", arguments={}, clicks=clicks))
    with pytest.raises(BadInputError, match="table"):
        network_of(dataclasses.replace(tiny_recipe, arguments={**tiny_recipe.arguments, "clicks": True}))
    with pytest.raises(BadInputError, match="has no clicks"):
        read_recipe("pretraining_anatomy_prompted", {"clicks": {}})


def test_a_run_with_clicks_resumes_to_the_same_weights(tiny_recipe, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, steps=4, clicks=ClickSettings(none_probability=0.0))
    torch.set_num_threads(1)
    whole = Trainer(recipe, blob_cases(), [], tmp_path / "whole")
    whole.run(lambda _: None)
    Trainer(recipe, blob_cases(), [], tmp_path / "parts").run(lambda _: None, 2)
    rest = Trainer(recipe, blob_cases(), [], tmp_path / "parts")
    assert rest.step == 2
    rest.run(lambda _: None)
    assert rest.weights()["click_layer.weight"].any()
    assert all(torch.equal(tensor, rest.weights()[name]) for name, tensor in whole.weights().items())
    with pytest.raises(BadInputError, match="clicks"):
        Trainer(dataclasses.replace(tiny_recipe, steps=4), blob_cases(), [], tmp_path / "parts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The model of a plain run and that of a run with clicks which begins with it, as the command makes them."""
    folder = tmp_path_factory.mktemp("clicks")
    data = mini.nnunet(folder / "data")
    table = (
        'network = "anatomy_guided"\nspacing_mm = [6.0, 6.0, 6.0]\npatch = [8, 8, 8]\nsteps = 2\nbatch = 1\n'
        'title = "t"\n{more}\n[arguments]\nwidths = [2, 4]\ndeep_supervision = true\n'
        "[clip]\nCT = [-1024.0, 3071.0]\nPET = [0.0, 60.0]\n"
    )
    begun = f'name = "guided"\ninitial = {json.dumps(str(folder / "plain" / "model"))}\n[clicks]\nradius_mm = 9.0'
    for name, more in (("plain", 'name = "plain"'), ("guided", begun)):
        recipe = folder / f"{name}.toml"
        recipe.write_text(table.format(more=more))
        arguments = ["--kind", "nnunet", "--data", str(data), "--output", str(folder / name), "--threads", "1"]
        assert main(["train", str(recipe), *arguments]) == 0
    return folder


def test_the_model_knows_how_clicks_are_shown_and_what_it_began_with(trained):
    plain, guided = (read_card(trained / name / "model") for name in ("plain", "guided"))
    assert plain.clicks is None
    assert "clicks" not in json.loads((trained / "plain" / "model" / "model.json").read_text())
    assert guided.clicks.radius_mm == 9.0
    assert guided.arguments["clicks"] is True
    assert f"begun with the weights of plain@1.0.0, sha256 {plain.sha256}" in guided.training.data
    model = load_model(trained / "guided" / "model", "cpu")
    assert model.network.takes_clicks
    with pytest.raises(BadInputError, match="plain takes no clicks"):
        segment_study({}, load_model(trained / "plain" / "model", "cpu"), clicks=[Click((0.0, 0.0, 0.0), True)])


def test_initial_weights_have_every_place_or_none(trained, tiny_recipe):
    name = str(trained / "plain" / "model")
    recipe = dataclasses.replace(
        tiny_recipe, arguments={"widths": [2, 4], "deep_supervision": True}, clicks=ClickSettings()
    )
    network = network_of(recipe)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    model = begin_with(name, network, "anatomy_guided", [])
    after = network.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in model.state.items())
    assert all(torch.equal(after[key], before[key]) for key in after.keys() - model.state.keys())
    assert "click_layer.weight" in after.keys() - model.state.keys()
    with pytest.raises(BadInputError, match="whom this run chooses"):
        begin_with(name, network, "anatomy_guided", [model.patients[0]])
    with pytest.raises(BadInputError, match="do not fit"):
        begin_with(name, network_of(tiny_recipe), "anatomy_guided", [])
    with pytest.raises(BadInputError, match="they are of anatomy_guided"):
        begin_with(name, network, "h2aseg", [])
