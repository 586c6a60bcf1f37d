"""The trainer: learns, is deterministic by seed, and survives being killed."""

import dataclasses
import multiprocessing
import os
import signal
import time

import pytest
import torch
from conftest_blobs import blob_cases

from petctfusion.training.export import weights_sha256
from petctfusion.training.losses import deep_supervision_loss, soft_dice_loss
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
