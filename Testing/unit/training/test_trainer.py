"""The trainer: learns, is deterministic by seed, and survives being killed."""

import dataclasses
import multiprocessing
import os
import signal
import time

import pytest
import torch
from conftest_blobs import blob_case, blob_cases

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.training import trainer as module
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.export import weights_sha256
from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.losses import deep_supervision_loss, soft_dice_loss
from petctfusion.training.recipe import read_recipe
from petctfusion.training.trainer import Trainer
from petctfusion.training.tuning import TuningScore


def run(recipe, folder, stop_at=None, report=lambda progress: None):
    torch.set_num_threads(1)
    tune = [blob_case("t", (9, 9, 9))] if recipe.keep == "best" else []
    trainer = Trainer(recipe, blob_cases(), tune, folder)
    trainer.run(report, stop_at)
    return weights_sha256(trainer.weights())


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
@pytest.mark.parametrize("change", [{}, {"keep": "best", "score_every": 1, "precision": "bfloat16"}])
def test_a_killed_run_resumes_to_the_same_weights(tiny_recipe, tmp_path, change):
    tiny_recipe = dataclasses.replace(tiny_recipe, **change)
    whole = run(tiny_recipe, tmp_path / "whole")
    folder = tmp_path / "killed"
    process = multiprocessing.get_context("spawn").Process(target=run_slowly, args=(tiny_recipe, folder))
    process.start()
    deadline = time.time() + 300
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


def with_scores(monkeypatch, scores):
    """Tuning scores as written, in turn."""
    given = iter(scores)
    monkeypatch.setattr(module, "score_cases", lambda *_: TuningScore(score := next(given), score, ()))


def trained(recipe, folder, stop_at=None):
    torch.set_num_threads(1)
    trainer = Trainer(recipe, blob_cases(), [blob_case("t", (9, 9, 9))], folder)
    trainer.run(lambda progress: None, stop_at)
    return trainer


def test_training_ends_when_the_tuning_score_has_not_risen_for_long_and_keeps_the_best(
    tiny_recipe, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(tiny_recipe, steps=20, score_every=1, patience_scores=2, keep="best")
    after = {step: run(dataclasses.replace(tiny_recipe, steps=20), tmp_path / f"{step}", step) for step in (3, 5)}
    with_scores(monkeypatch, [0.1, 0.3, 0.5, 0.5, 0.4, 0.9])
    trainer = trained(recipe, tmp_path / "early")
    assert (trainer.step, trainer.is_finished, trainer.watch.best_step) == (5, True, 3)
    assert weights_sha256(trainer.weights()) == after[3]
    assert weights_sha256(trainer.averaged_weights()) == after[5]
    # Started again it knows that it has ended, and with what.
    again = trained(recipe, tmp_path / "early")
    assert (again.step, again.is_finished) == (5, True)
    assert weights_sha256(again.weights()) == after[3]


def test_the_best_score_survives_a_stop(tiny_recipe, tmp_path, monkeypatch):
    recipe = dataclasses.replace(tiny_recipe, score_every=1, patience_scores=3, keep="best")
    scores = [0.5, 0.7, 0.6, 0.6, 0.8, 0.1]
    with_scores(monkeypatch, scores)
    whole = trained(recipe, tmp_path / "whole")
    with_scores(monkeypatch, scores)
    trained(recipe, tmp_path / "part", stop_at=4)
    part = trained(recipe, tmp_path / "part")
    assert part.watch.best_step == whole.watch.best_step == 5
    assert weights_sha256(part.weights()) == weights_sha256(whole.weights())


def test_the_last_weights_are_kept_unless_the_recipe_says_best(tiny_recipe, tmp_path, monkeypatch):
    with_scores(monkeypatch, [0.9, 0.1, 0.1])
    trainer = trained(dataclasses.replace(tiny_recipe, score_every=2), tmp_path)
    assert trainer.step == tiny_recipe.steps
    assert weights_sha256(trainer.weights()) == weights_sha256(trainer.averaged_weights())
    assert trainer.watch.weights is None


def spoilt(monkeypatch, steps):
    """The losses of these steps (from 0) are infinite."""
    whole, calls = module.ObjectiveModule.forward, iter(range(1000))
    monkeypatch.setattr(
        module.ObjectiveModule,
        "forward",
        lambda self, *batch: whole(self, *batch) * (float("inf") if next(calls) in steps else 1.0),
    )


def test_a_step_without_a_finite_loss_changes_nothing_and_is_counted(tiny_recipe, tmp_path, monkeypatch):
    spoilt(monkeypatch, {2})
    seen = []
    trainer = Trainer(tiny_recipe, blob_cases(), [], tmp_path)
    trainer.run(lambda p: seen.append((p.loss, p.skipped, weights_sha256(trainer.averaged_weights()))), 5)
    assert [loss == loss for loss, *_ in seen] == [True, True, False, True, True]
    assert [skipped for _, skipped, _ in seen] == [0, 0, 1, 1, 1]
    assert seen[2][2] == seen[1][2] != seen[3][2]
    assert all(torch.isfinite(tensor).all() for tensor in trainer.weights().values())
    assert "nan" in (tmp_path / "log.csv").read_text().splitlines()[3]


def test_running_means_survive_a_step_without_a_finite_loss(tiny_recipe, tmp_path, monkeypatch):
    whole, calls = module.ObjectiveModule.forward, iter(range(1000))

    def forward(self, image, target):
        spoils = next(calls) == 1
        self.network.mean.add_(float("nan") if spoils else 1.0)
        return whole(self, image, target) * (float("nan") if spoils else 1.0)

    monkeypatch.setattr(module.ObjectiveModule, "forward", forward)
    trainer = Trainer(tiny_recipe, blob_cases(), [], tmp_path)
    for network in (trainer.network, trainer.average.module):
        network.register_buffer("mean", torch.zeros(1))
    trainer.run(lambda progress: None, 3)
    assert (trainer.skipped, float(trainer.network.mean)) == (1, 2.0)


def test_many_steps_without_a_finite_loss_end_the_run_with_what_to_do(tiny_recipe, tmp_path, monkeypatch):
    spoilt(monkeypatch, range(1000))
    with pytest.raises(BadInputError, match="20 steps in a row") as caught:
        run(dataclasses.replace(tiny_recipe, steps=50, patch=(8, 8, 8)), tmp_path)
    assert "learning_rate" in caught.value.hint


def test_half_precision_changes_the_sums_and_not_the_kind_of_weights(tiny_recipe, tmp_path):
    full = trained(tiny_recipe, tmp_path / "full", 2)
    half = trained(dataclasses.replace(tiny_recipe, precision="bfloat16"), tmp_path / "half", 2)
    assert {tensor.dtype for tensor in half.weights().values()} == {torch.float32}
    assert weights_sha256(half.weights()) != weights_sha256(full.weights())
    image = torch.zeros(1, 2, 16, 16, 16)
    kinds = []
    half.network.register_forward_hook(lambda *args: kinds.append(args[-1].dtype))
    half._dice(image, torch.zeros(1, 1, 16, 16, 16))
    assert kinds == [torch.bfloat16]


def test_networks_of_images_learn_from_patches_of_one_slice(tiny_recipe, tmp_path):
    recipe = dataclasses.replace(
        tiny_recipe, arguments={"widths": [4, 8], "spatial_dims": 2}, patch=(1, 16, 16), steps=3
    )
    trainer = trained(recipe, tmp_path)
    assert (trainer.step, trainer.skipped) == (3, 0)
    assert len((tmp_path / "tuning.csv").read_text().splitlines()) == 2


def test_without_patients_there_is_nothing_to_learn(tiny_recipe, tmp_path):
    with pytest.raises(BadInputError, match="no patient to learn from"):
        Trainer(tiny_recipe, [], [], tmp_path)


def test_a_patient_without_tumour_can_be_learnt_from_and_chosen_on(tiny_recipe, tmp_path):
    case = blob_case("clean", (9, 8, 12))
    empty = dataclasses.replace(case, contour=0 * case.contour, foreground=case.foreground[:0])
    recipe = dataclasses.replace(tiny_recipe, score_every=1)
    trainer = Trainer(recipe, [empty, *blob_cases()], [empty], tmp_path)
    trainer.run(lambda progress: None, 3)
    assert trainer.skipped == 0
