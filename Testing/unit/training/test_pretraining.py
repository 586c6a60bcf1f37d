"""Pre-training: no contour, resumed to the same weights, encoders carried over bit by bit, and honest retrieval."""

import dataclasses
import json

import dataset_miniatures as mini
import numpy as np
import pytest
import torch
from conftest_blobs import blob_cases

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.models import read_card
from petctfusion.networks import build
from petctfusion.networks.blocks.intensity import SCALINGS
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.cases import Case
from petctfusion.training.optimiser import network_of
from petctfusion.training.pretraining.encoder import PretrainedEncoder, carry_over, read_encoder, write_encoder
from petctfusion.training.pretraining.score import score_pretraining
from petctfusion.training.pretraining_settings import PretrainingSettings
from petctfusion.training.recipe import read_recipe
from petctfusion.training.trainer import Trainer

WIDTHS = [4, 8, 16]
MODALITIES = ("CT", "PET")
PATCH = (16, 16, 16)
BLIND = Augmentation(foreground_probability=0.0, uncropped_probability=1.0)


@pytest.fixture
def before(tiny_recipe):
    """The recipe of a tiny pre-training."""
    return dataclasses.replace(
        tiny_recipe,
        name="tiny-pretraining",
        network="anatomy_prompted",
        arguments={"widths": WIDTHS},
        steps=4,
        pretraining=PretrainingSettings(block=4, latent=16, aligned=8, negative_distance_mm=20.0),
        augmentation=BLIND,
    )


@pytest.fixture
def after(tiny_recipe):
    """The recipe of a segmentation that can begin with its encoders."""
    arguments = {"widths": WIDTHS, "prompts": "none"}
    return dataclasses.replace(tiny_recipe, network="anatomy_prompted", arguments=arguments, steps=2)


def textured(name: str, seed: int, shape=(16, 16, 32)) -> Case:
    """A scan whose blocks all look different; in scaled units CT and PET are the same."""
    rng = np.random.default_rng(seed)
    scaled = rng.uniform(-0.8, 2.0, shape).astype(np.float32)
    image = np.stack([scaled * SCALINGS[kind].deviation + SCALINGS[kind].mean for kind in MODALITIES])
    contour = np.zeros(shape, np.float32)
    contour[4:8, 4:8, 4:8] = 1
    return Case(name, image.astype(np.float32), contour, np.argwhere(contour >= 0.5), (4.0, 4.0, 4.0))


def shuffled(case: Case, seed: int) -> Case:
    """The PET of every place is that of another."""
    image = case.image.copy()
    order = np.random.default_rng(seed).permutation(image[1].size)
    image[1] = image[1].ravel()[order].reshape(image[1].shape)
    return dataclasses.replace(case, image=image)


def run(recipe, folder, stop_at=None, tune=()):
    torch.set_num_threads(1)
    trainer = Trainer(recipe, blob_cases(), list(tune), folder)
    trainer.run(lambda _: None, stop_at)
    return trainer


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_stopped_run_continues_to_the_same_weights(before, tmp_path):
    whole = run(before, tmp_path / "whole").weights()
    part = run(before, tmp_path / "part", stop_at=2).weights()
    assert not same(part, whole)
    assert same(run(before, tmp_path / "part").weights(), whole)
    assert not same(run(dataclasses.replace(before, seed=2), tmp_path / "other").weights(), whole)


def test_the_contours_change_nothing(before, tmp_path):
    seen = run(before, tmp_path / "seen").weights()
    bare = [
        dataclasses.replace(case, contour=0 * case.contour, foreground=case.foreground[:0]) for case in blob_cases()
    ]
    blind = Trainer(before, bare, [], tmp_path / "bare")
    blind.run(lambda _: None)
    assert same(blind.weights(), seen)


def test_a_pretraining_that_would_look_at_contours_is_refused(before):
    with pytest.raises(BadInputError, match="sees no contour") as caught:
        dataclasses.replace(before, augmentation=Augmentation())
    assert "foreground_probability = 0" in caught.value.hint


def test_training_lowers_the_loss_and_the_places_find_each_other(before, tmp_path):
    losses = []
    recipe = dataclasses.replace(before, steps=60, learning_rate=1e-2, warm_up_steps=5, ema_decay=0.9)
    trainer = Trainer(recipe, [textured("a", 1), textured("b", 2)], [textured("t", 3), textured("u", 4)], tmp_path)
    untrained = trainer.tuning_score()
    trainer.run(lambda progress: losses.append(progress.loss))
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])
    assert trainer.tuning_score().mean > max(4 * untrained.chance, 2 * untrained.mean)


@pytest.fixture
def twins(before):
    """A network whose two modalities are treated alike."""
    torch.manual_seed(0)
    network = network_of(before).eval()
    for parts in (network.encoders.encoders, network.to_latent, network.projections):
        parts[1].load_state_dict(parts[0].state_dict())
    return network


def test_equal_content_is_found_everywhere_and_shuffled_content_by_chance(twins):
    cases = [textured(f"p{seed}", seed) for seed in range(4)]
    score = score_pretraining(twins, cases, PATCH, MODALITIES, "cpu")
    # Blocks of 4 voxels in scans of 16 x 16 x 32, two windows each.
    assert score.blocks == 4 * 4 * 4 * 8
    assert score.chance == pytest.approx(1 / 128)
    assert score.ahead == score.back == 1.0
    guessing = score_pretraining(twins, [shuffled(case, 9) for case in cases], PATCH, MODALITIES, "cpu")
    assert guessing.mean < 0.06
    # Above chance: zero padding tells where in its window a block lies. The other patient's PET shows how much.
    assert score.other_patient == pytest.approx(guessing.mean, abs=0.02)
    assert "retrieval CT to PET 1.000, PET to CT 1.000, chance 0.008 over 512 blocks" in str(score)


def test_scans_of_different_size_and_a_single_patient_are_scored(twins):
    cases = [textured("a", 1), textured("b", 2, (9, 10, 13))]
    score = score_pretraining(twins, cases, PATCH, MODALITIES, "cpu")
    # The smaller one lies in the middle of the box of the larger: voxels 3 to 11, 3 to 12, 9 to 21 of 16, 16, 32.
    assert score.blocks == 4 * 4 * 8 + 3 * 4 * 4
    assert score.chance == pytest.approx(2 / score.blocks)
    assert min(score.ahead, score.back) > 0.7
    alone = score_pretraining(twins, cases[:1], PATCH, MODALITIES, "cpu")
    assert alone.other_patient is None
    assert "another" not in str(alone)
    assert alone.row()["other_patient"] == ""


def test_who_says_the_mean_of_each_block_has_the_error_1_and_air_counts_for_nothing(twins):
    with torch.no_grad():
        for decoder in twins.decoders:
            decoder[-1].weight.zero_()
            decoder[-1].bias.zero_()
    small = textured("small", 1, (8, 8, 8))
    score = score_pretraining(twins, [small], PATCH, MODALITIES, "cpu")
    assert score.reconstruction == (pytest.approx(1.0), pytest.approx(1.0))
    air = dataclasses.replace(
        small, image=np.stack([np.full((8, 8, 8), -1000.0), np.zeros((8, 8, 8))]).astype(np.float32)
    )
    nothing = score_pretraining(twins, [air], PATCH, MODALITIES, "cpu")
    assert (nothing.blocks, nothing.mean, nothing.reconstruction) == (0, 0.0, (0.0, 0.0))
    assert json.dumps(nothing.to_json(), allow_nan=False)


def test_the_same_score_at_every_call_and_the_network_goes_on_training(twins):
    twins.train()
    cases = [textured("a", 1), textured("b", 2)]
    assert score_pretraining(twins, cases, PATCH, MODALITIES, "cpu") == score_pretraining(
        twins, cases, PATCH, MODALITIES, "cpu"
    )
    assert twins.training


def encoder_of(recipe, patients=("a",)):
    state = network_of(recipe).encoder_state()
    return PretrainedEncoder(state, recipe.name, recipe.seed, 4, tuple(patients))


def test_encoders_come_back_from_their_file_and_into_the_network_bit_by_bit(before, after, tmp_path):
    encoder = encoder_of(before, ("a", "b"))
    sha256 = write_encoder(encoder, tmp_path / "encoder.safetensors")
    assert {write_encoder(encoder, tmp_path / "encoder.safetensors") for _ in range(8)} == {sha256}
    again = read_encoder(tmp_path / "encoder.safetensors")
    assert same(again.state, encoder.state)
    assert (again.sha256, again.patients, again.steps) == (sha256, ("a", "b"), 4)
    recipe = dataclasses.replace(after, initial=str(tmp_path / "encoder.safetensors"))
    trainer = Trainer(recipe, blob_cases(), [], tmp_path / "run")
    assert same(trainer.network.encoder_state(), encoder.state)
    assert same(trainer.average.module.encoder_state(), encoder.state)
    # All else is as without them.
    plain = Trainer(after, blob_cases(), [], tmp_path / "plain")
    assert same(plain.network.decoder.state_dict(), trainer.network.decoder.state_dict())
    assert not same(plain.network.encoder_state(), encoder.state)


def test_a_run_goes_on_with_the_encoders_it_began_with_wherever_they_lie(before, after, tmp_path):
    write_encoder(encoder_of(before), tmp_path / "one.safetensors")
    recipe = dataclasses.replace(after, initial=str(tmp_path / "one.safetensors"))
    whole = run(recipe, tmp_path / "whole").weights()
    run(recipe, tmp_path / "part", stop_at=1)
    (tmp_path / "one.safetensors").rename(tmp_path / "moved.safetensors")
    moved = dataclasses.replace(after, initial=str(tmp_path / "moved.safetensors"))
    assert same(run(moved, tmp_path / "part").weights(), whole)
    write_encoder(encoder_of(dataclasses.replace(before, seed=5)), tmp_path / "other.safetensors")
    for other in (dataclasses.replace(after, initial=str(tmp_path / "other.safetensors")), after):
        with pytest.raises(BadInputError, match="began with other weights"):
            run(other, tmp_path / "whole")


def test_encoders_that_do_not_fit_or_know_too_much_are_refused_in_a_sentence(before, after, tmp_path):
    wide = encoder_of(dataclasses.replace(before, arguments={"widths": [4, 8, 32]}))
    network = network_of(after)
    with pytest.raises(BadInputError, match="do not fit: the weights belong to other encoders"):
        carry_over(wide, network, ())
    with pytest.raises(BadInputError, match="have seen a, whom this run chooses its settings on"):
        carry_over(encoder_of(before), network, ["a"])
    with pytest.raises(BadInputError, match="no encoders to carry over"):
        carry_over(encoder_of(before), build("msam", widths=(4, 8)), ())


@pytest.mark.parametrize("content", [None, b"", b"\x08\0\0\0\0\0\0\0{}      ", b"not a file of weights at all"])
def test_a_file_that_holds_no_encoders_is_told(after, tmp_path, content):
    path = tmp_path / "encoder.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match="no pre-trained encoders") as caught:
        Trainer(dataclasses.replace(after, initial=str(path)), blob_cases(), [], tmp_path / "run")
    assert "[pretraining]" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"network": "h2aseg"}, "h2aseg has no pre-training"),
        ({"arguments": {"width": WIDTHS}}, "takes no argument 'width'"),
        ({"pretraining": PretrainingSettings(block=6)}, "patch must be a power of two, got 6"),
        ({"pretraining": PretrainingSettings(block=4, masking="all")}, "masking must be one of"),
        ({"pretraining": PretrainingSettings(block=32)}, "do not suit anatomy_prompted"),
    ],
)
def test_a_recipe_that_cannot_be_pretrained_is_refused(before, tmp_path, change, sentence):
    with pytest.raises(BadInputError, match=sentence):
        Trainer(dataclasses.replace(before, **change), blob_cases(), [], tmp_path)


TOML = """
name = "tiny-pretraining"
title = "tiny"
network = "anatomy_prompted"
spacing_mm = [6, 6, 6]
patch = [16, 16, 16]
steps = 2
batch = 2
score_every = 1
[arguments]
widths = [4, 8, 16]
[clip]
CT = [-1024, 3071]
PET = [0, 60]
"""
PRETRAINING = """
[pretraining]
block = 4
latent = 16
[augmentation]
foreground_probability = 0
uncropped_probability = 1
"""


def test_an_unknown_key_of_the_table_is_named_with_the_nearest(tmp_path):
    (tmp_path / "p.toml").write_text(TOML + PRETRAINING.replace("latent", "latnet"))
    with pytest.raises(BadInputError, match="latnet") as caught:
        read_recipe(str(tmp_path / "p.toml"))
    assert "latent" in caught.value.hint
    (tmp_path / "p.toml").write_text("pretraining = 3\n" + TOML)
    with pytest.raises(BadInputError, match="takes pretraining as a table"):
        read_recipe(str(tmp_path / "p.toml"))


def test_the_command_leaves_encoders_with_what_they_learned_and_a_card_says_who_began_with_them(tmp_path, capsys):
    data = mini.sts(tmp_path / "sts")
    (tmp_path / "before.toml").write_text(TOML + PRETRAINING)
    options = ["--data", str(data), "--threads", "1", "--jobs", "1", "--cache", str(tmp_path / "cache")]
    threads = torch.get_num_threads()
    assert main(["train", str(tmp_path / "before.toml"), *options, "--output", str(tmp_path / "before")]) == 0
    encoder = tmp_path / "before" / "encoder.safetensors"
    told = capsys.readouterr()
    assert f"encoder {encoder}" in told.out
    assert "retrieval CT to PET" in told.err
    learned = json.loads(encoder.with_suffix(".json").read_text())
    assert (learned["patients"], learned["scored_on"], learned["steps"]) == (["STS_001"], ["STS_002"], 2)
    assert [row["step"] for row in learned["history"]] == [1, 2]
    assert learned["history"][-1]["chance"] == pytest.approx(learned["score"]["chance"], abs=1e-4)
    assert learned["sha256"] == read_encoder(encoder).sha256

    prompts = TOML.replace("widths =", 'prompts = "none"\nwidths =').replace("-pretraining", "-after")
    (tmp_path / "after.toml").write_text(f'initial = "{encoder.as_posix()}"\n{prompts}')
    assert main(["train", str(tmp_path / "after.toml"), *options, "--output", str(tmp_path / "after")]) == 0
    torch.set_num_threads(threads)
    card = read_card(tmp_path / "after" / "model")
    assert "begun with encoders pre-trained on 1 patients without their contours" in card.training.data
    assert learned["sha256"] in card.training.data
    assert card.training.patients == ("STS_001",)
    assert str(tmp_path) not in json.dumps(card.to_json())
