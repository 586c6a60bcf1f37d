"""Clicks in training: always on what is wrong, answers learnt from; a run that begins with a model and keeps it."""

import dataclasses
import json

import dataset_miniatures as mini
import numpy as np
import pytest
import torch
from conftest_blobs import blob_cases

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.inference import load_model
from petctfusion.inference.clicks import REACH_MM
from petctfusion.inference.guidance import click_blobs
from petctfusion.models import read_card
from petctfusion.networks import build
from petctfusion.training.click_settings import ClickSettings
from petctfusion.training.initial import begin_with
from petctfusion.training.objectives.clicks import ClickObjective
from petctfusion.training.optimiser import network_of
from petctfusion.training.recipe import read_recipe
from petctfusion.training.simulated_clicks import SimulatedReader, crude_mask, deepest_voxel
from petctfusion.training.trainer import Trainer

SPACING = (6.0, 4.0, 4.0)


def ball_patch():
    z, y, x = np.ogrid[:16, :20, :24]
    ball = ((z - 8) * 1.5) ** 2 + (y - 9) ** 2 + (x - 10) ** 2 <= 36
    pet = 6 * ball + 0.5
    pet[2:5, 14:18, 18:22] = 9.0  # a hot organ beside it
    return ball, pet


def reader(mask, rng=0, radius_mm=12.0, contour=None):
    ball, _ = ball_patch()
    contour = ball if contour is None else contour
    return SimulatedReader(contour.copy(), mask.copy(), SPACING, radius_mm, np.random.default_rng(rng))


def nearest_voxel(blobs):
    return np.unravel_index(blobs.argmax(), blobs.shape)


def test_foreground_clicks_lie_in_what_is_missed_and_background_clicks_in_what_is_too_much():
    ball, pet = ball_patch()
    hot = pet > 3
    for seed in range(40):
        missing, excess = reader(np.zeros_like(ball), seed), reader(hot, seed)
        for one in (missing, excess):
            one.click((8, 8, 8))
        foreground, background, mask = missing.guidance()
        assert ball[nearest_voxel(foreground)]
        assert not background.any()
        assert not mask.any()
        foreground, background, mask = excess.guidance()
        assert (hot & ~ball)[nearest_voxel(background)]
        assert not foreground.any()
        assert np.array_equal(mask > 0, hot)


def test_the_window_holds_the_click_in_its_middle_and_stays_in_the_patch():
    ball, _ = ball_patch()
    for seed in range(20):
        one = reader(np.zeros_like(ball), seed)
        window = one.click((8, 8, 8))
        place = nearest_voxel(one.guidance()[0])
        assert all(part.start >= 0 and part.stop <= size for part, size in zip(window, ball.shape, strict=True))
        at_the_border = [part.start == 0 or part.stop == size for part, size in zip(window, ball.shape, strict=True)]
        away = [abs(at - part.start - 4) for at, part in zip(place, window, strict=True)]
        assert all(far <= 1 or border for far, border in zip(away, at_the_border, strict=True))


def test_the_mask_follows_the_answer_within_reach_only():
    contour = np.ones((64, 8, 8), bool)
    one = reader(np.zeros_like(contour), contour=contour)
    window = one.click((64, 8, 8))
    one.see(window, contour)
    changed = np.flatnonzero(one.mask.any(axis=(1, 2)))
    place = nearest_voxel(one.guidance()[0])[0]
    assert np.abs(changed - place).max() * SPACING[0] <= REACH_MM + SPACING[0] / 2
    assert len(changed) >= 12
    assert one.click((8, 8, 8)) != window


def test_where_nothing_is_wrong_nobody_clicks_and_nothing_is_learnt():
    ball, _ = ball_patch()
    one = reader(ball)
    one.click((8, 8, 8))
    one.see((slice(0, 8),) * 3, np.zeros((8, 8, 8), bool))
    assert np.array_equal(one.mask, ball)
    assert not one.guidance()[:2].any()
    assert not one.weight().any()


def test_crude_masks_are_wrong_in_many_ways():
    ball, pet = ball_patch()
    masks = [crude_mask(ball, pet.astype(np.float32), SPACING, np.random.default_rng([2, seed])) for seed in range(60)]
    assert 5 < sum(not mask.any() for mask in masks) < 30
    assert sum(mask[2:5, 14:18, 18:22].any() for mask in masks) > 10
    assert sum((ball & ~mask).any() for mask in masks if mask.any()) > 10


def test_the_blob_of_a_click_falls_with_the_distance_in_mm():
    blobs = click_blobs((16, 20, 24), SPACING, [(8, 10, 12)], 12.0)
    assert blobs[8, 10, 9] == pytest.approx(np.exp(-0.5))
    assert blobs[6, 10, 12] == pytest.approx(np.exp(-0.5))


def test_the_deepest_voxel_counts_in_mm_and_the_edge_of_the_array_as_outside():
    mask = np.zeros((9, 9, 9), bool)
    mask[3:6, 0:9, 4:5] = True
    assert deepest_voxel(mask, (1.0, 1.0, 10.0)).tolist()[0] == 4
    mask[:] = True
    assert deepest_voxel(mask, (1.0, 1.0, 1.0)).tolist() == [4, 4, 4]


def test_the_objective_teaches_the_refiner_alone_to_answer_clicks():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = build("anatomy_guided", widths=[4, 8, 8], clicks=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    z, y, x = np.ogrid[:16, :16, :16]
    balls = [torch.from_numpy((z - 8) ** 2 + (y - 8) ** 2 + (x - at) ** 2 <= 9)[None].float() for at in (4, 11)]
    pet = 5 * (balls[0] + balls[1])
    # The same image twice: which of two hot balls is tumour, only the click can tell.
    image, target = torch.stack([torch.cat([0 * pet, pet])] * 2), torch.stack(balls)
    objective = ClickObjective(ClickSettings(clicks=2, radius_mm=8.0), (6.0, 6.0, 6.0), 1)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)

    def loss():
        torch.manual_seed(7)
        return sum(float(objective(network, image, target).detach()) for _ in range(4))

    at_first = loss()
    for _ in range(30):
        optimiser.zero_grad()
        objective(network, image, target).backward()
        optimiser.step()
    assert loss() < 0.8 * at_first
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("click_refiner.") for name in changed)


@pytest.mark.parametrize("wrong", [{"clicks": 0}, {"radius_mm": 0.0}])
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
    recipe = dataclasses.replace(tiny_recipe, steps=4, clicks=ClickSettings(clicks=2))
    torch.set_num_threads(1)
    whole = Trainer(recipe, blob_cases(), [], tmp_path / "whole")
    whole.run(lambda _: None)
    Trainer(recipe, blob_cases(), [], tmp_path / "parts").run(lambda _: None, 2)
    rest = Trainer(recipe, blob_cases(), [], tmp_path / "parts")
    assert rest.step == 2
    rest.run(lambda _: None)
    assert rest.weights()["click_refiner.head.weight"].any()
    assert all(torch.equal(tensor, rest.weights()[name]) for name, tensor in whole.weights().items())
    with pytest.raises(BadInputError, match="clicks"):
        Trainer(dataclasses.replace(tiny_recipe, steps=4), blob_cases(), [], tmp_path / "parts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The model of a plain run and that of a run with clicks which begins with it, as the command makes them."""
    folder = tmp_path_factory.mktemp("clicks")
    data = mini.nnunet(folder / "data")
    table = (
        'network = "anatomy_guided"\nspacing_mm = [6.0, 6.0, 6.0]\npatch = [16, 16, 16]\nsteps = 2\nbatch = 1\n'
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
    began_with = load_model(trained / "plain" / "model", "cpu").network.state_dict()
    assert all(torch.equal(model.network.state_dict()[name], tensor) for name, tensor in began_with.items())


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
    assert "click_refiner.head.weight" in after.keys() - model.state.keys()
    with pytest.raises(BadInputError, match="whom this run chooses"):
        begin_with(name, network, "anatomy_guided", [model.patients[0]])
    with pytest.raises(BadInputError, match="do not fit"):
        begin_with(name, network_of(tiny_recipe), "anatomy_guided", [])
    with pytest.raises(BadInputError, match="they are of anatomy_guided"):
        begin_with(name, network, "h2aseg", [])
