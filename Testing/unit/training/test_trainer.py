"""The trainer: learns, is deterministic by seed, and survives being killed."""

import dataclasses
import multiprocessing
import os
import signal
import time

import pytest
import torch
from conftest_blobs import blob_cases

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.export import weights_sha256
from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.losses import deep_supervision_loss, soft_dice_loss
from petctfusion.training.recipe import read_recipe
from petctfusion.training.trainer import Trainer


def run(recipe, folder, stop_at=None, report=lambda progress: None):
    torch.set_num_threads(1)
    trainer = Trainer(recipe, blob_cases(), [], folder)
    trainer.run(report, stop_at)
    return weights_sha256(trainer.averaged_weights())


def run_slowly(recipe, folder):
    run(recipe, folder, report=lambda progress: time.sleep(0.2))


def test_the_seed_decides_the_weights(tiny_recipe, tmp_path):
    first = run(tiny_recipe, tmp_path / "a")
    assert run(tiny_recipe, tmp_path / "b") == first
    assert run(dataclasses.replace(tiny_recipe, seed=2), tmp_path / "c") != first


def test_a_stopped_run_continues_to_the_same_weights(tiny_recipe, tmp_path):
    whole = run(tiny_recipe, tmp_path / "whole")
    part = run(tiny_recipe, tmp_path / "part", stop_at=3)
    assert part != whole
    assert run(tiny_recipe, tmp_path / "part") == whole


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is a POSIX signal")
def test_a_killed_run_resumes_to_the_same_weights(tiny_recipe, tmp_path):
    whole = run(tiny_recipe, tmp_path / "whole")
    folder = tmp_path / "killed"
    process = multiprocessing.get_context("spawn").Process(target=run_slowly, args=(tiny_recipe, folder))
    process.start()
    deadline = time.time() + 60
    while not (folder / "checkpoint.pt").exists() and time.time() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    step = torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step < tiny_recipe.steps
    assert run(tiny_recipe, folder) == whole
    steps = [int(row.split(",")[0]) for row in (folder / "log.csv").read_text().splitlines()[1:]]
    assert steps == list(range(1, tiny_recipe.steps + 1))


def test_training_lowers_the_loss(tiny_recipe, tmp_path):
    losses = []
    recipe = dataclasses.replace(tiny_recipe, steps=60, learning_rate=5e-3, warm_up_steps=5)
    run(recipe, tmp_path, report=lambda progress: losses.append(progress.loss))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_zero_layer_parameters_learn_slower_and_without_decay(tiny_recipe, tmp_path):
    trainer = Trainer(tiny_recipe, blob_cases(), [], tmp_path)
    physical = set(trainer.network.physical_parameters())
    group = next(g for g in trainer.optimiser.param_groups if set(g["params"]) == physical)
    assert group["weight_decay"] == 0
    assert group["base_rate"] == pytest.approx(tiny_recipe.learning_rate * 0.1)


def test_soft_dice_loss_is_zero_for_a_perfect_and_near_one_for_a_missed_contour():
    target = torch.zeros(1, 1, 8, 8, 8)
    target[..., 2:6, 2:6, 2:6] = 1
    assert float(soft_dice_loss((target - 0.5) * 100, target)) < 1e-3
    assert float(soft_dice_loss((0.5 - target) * 100, target)) > 0.95


def test_deep_supervision_averages_the_target_down():
    target = torch.zeros(1, 1, 8, 8, 8)
    target[..., :4, :, :] = 1
    levels = [(target - 0.5) * 60, (target[..., ::2, ::2, ::2] - 0.5) * 60]
    assert float(deep_supervision_loss(levels, target)) < 1e-3


TINY_TOML = """
name = "tiny"
title = "tiny"
network = "anatomy_guided"
spacing_mm = [4, 4, 4]
patch = [16, 16, 16]
steps = 3
batch = 2
[arguments]
widths = [4, 8, 8]
deep_supervision = true
[clip]
CT = [-1024, 3071]
PET = [0, 60]
"""


def test_an_empty_augmentation_table_is_the_one_that_is_not_there(tmp_path):
    sums = []
    for name, more in (("none", ""), ("empty", "[augmentation]\n"), ("other", "[augmentation]\nrotation_deg = 1\n")):
        path = tmp_path / f"{name}.toml"
        path.write_text(TINY_TOML + more)
        sums.append(run(read_recipe(str(path)), tmp_path / name))
    assert sums[0] == sums[1] != sums[2]


def test_a_stopped_run_with_every_change_on_continues_to_the_same_weights(tiny_recipe, tmp_path):
    everything = Augmentation(
        elastic_probability=0.5, misregistration_probability=0.5, misregistration_deg=5.0, contour_modality="PET",
        pet_noise_fwhm_mm=5.0, pet_blur_probability=0.5, pet_blur_fwhm_mm=(3.0, 8.0), gamma_probability=0.5,
        modality_dropout_probability=0.5,
    )  # fmt: skip
    recipe = dataclasses.replace(
        tiny_recipe, network="msam", arguments={"widths": [4, 8, 8]}, steps=4, augmentation=everything
    )
    whole = run(recipe, tmp_path / "whole")
    run(recipe, tmp_path / "part", stop_at=2)
    assert run(recipe, tmp_path / "part") == whole
    dropped = dataclasses.replace(recipe, augmentation=dataclasses.replace(everything, modality_dropout_probability=0))
    assert run(dropped, tmp_path / "dropped") != whole


def test_a_recipe_that_does_not_suit_its_network_is_refused_before_the_first_step(tiny_recipe, tmp_path):
    with pytest.raises(BadInputError, match="zero layers"):
        run(dataclasses.replace(tiny_recipe, augmentation=Augmentation(gamma_probability=0.2)), tmp_path)


def test_loss_schedule_and_level_weights_come_from_recipe_and_network(tiny_recipe, tmp_path, monkeypatch):
    plain = run(tiny_recipe, tmp_path / "plain", stop_at=3)
    focal = dataclasses.replace(tiny_recipe, loss=LossSettings(dice=0.0, cross_entropy=0.0, focal_tversky=1.0))
    assert run(focal, tmp_path / "focal", stop_at=3) != plain
    assert run(dataclasses.replace(tiny_recipe, schedule="polynomial"), tmp_path / "poly", stop_at=3) != plain
    first_level_only = build("anatomy_guided", **tiny_recipe.arguments)
    weights = (1.0,) + (0.0,) * (len(first_level_only.heads) - 1)
    monkeypatch.setattr(type(first_level_only), "level_weights", weights, raising=False)
    trainer = Trainer(tiny_recipe, blob_cases(), [], tmp_path / "levels")
    trainer.run(lambda progress: None, 1)
    assert len(weights) > 1
    assert all(head.weight.grad.abs().sum() == 0 for head in trainer.network.heads[1:] if head.weight.grad is not None)
    assert trainer.network.heads[0].weight.grad.abs().sum() > 0
