"""Checkpoints: whole or not there, and refused by another run with what differs."""

import dataclasses
import os

import pytest
import torch
from conftest_blobs import blob_case, blob_cases

from petctfusion.errors import BadInputError, OutputError
from petctfusion.training import trainer as module
from petctfusion.training.about import About
from petctfusion.training.trainer import Trainer


def train(recipe, folder, stop_at=None, cases=None):
    torch.set_num_threads(1)
    trainer = Trainer(recipe, cases or blob_cases(), [], folder)
    trainer.run(lambda progress: None, stop_at)
    return trainer


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"network": "isanet", "arguments": {"widths": [4, 8, 8]}}, 'network = "anatomy_guided".* "isanet"'),
        ({"arguments": {"widths": [4, 8, 16], "deep_supervision": True}}, r"arguments\.widths = .*8, 8.*8, 16"),
        ({"arguments": {"widths": [4, 8, 8]}}, r"arguments\.deep_supervision = true; this recipe has null"),
        ({"learning_rate": 0.5}, "learning_rate = 0.001; this recipe has 0.5"),
        ({"seed": 3}, "seed = 1; this recipe has 3"),
    ],
)
def test_the_checkpoint_of_another_recipe_is_refused_with_what_differs(tiny_recipe, tmp_path, change, sentence):
    train(tiny_recipe, tmp_path, 2)
    with pytest.raises(BadInputError, match=sentence):
        train(dataclasses.replace(tiny_recipe, **change), tmp_path)


def test_the_checkpoint_of_other_patients_is_refused_with_one_of_them(tiny_recipe, tmp_path):
    train(tiny_recipe, tmp_path, 2)
    with pytest.raises(BadInputError, match=r"other patients \(d\)"):
        train(tiny_recipe, tmp_path, cases=[*blob_cases(), blob_case("d", (9, 9, 9))])


def test_what_decides_no_weight_may_change(tiny_recipe, tmp_path):
    train(tiny_recipe, tmp_path, 2)
    other = dataclasses.replace(tiny_recipe, title="another", checkpoint_every=1, about=About(licence="CC0"))
    assert train(other, tmp_path, 3).step == 3


def test_what_a_later_version_added_counts_as_its_default(tiny_recipe, tmp_path):
    trainer = train(tiny_recipe, tmp_path, 2)
    state = torch.load(trainer.checkpoint, weights_only=True)
    del state["recipe"]["augmentation"]["gamma_probability"], state["recipe"]["precision"]
    torch.save(state, trainer.checkpoint)
    assert train(tiny_recipe, tmp_path, 3).step == 3
    torch.save(state, trainer.checkpoint)
    with pytest.raises(BadInputError, match=r'precision = "float32"; this recipe has "bfloat16"'):
        train(dataclasses.replace(tiny_recipe, precision="bfloat16"), tmp_path, 4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"no checkpoint at all"])
def test_a_damaged_checkpoint_is_told_in_a_sentence(tiny_recipe, tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(BadInputError, match=r"checkpoint .*checkpoint.pt cannot be read"):
        train(tiny_recipe, tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")  # noqa: PTH110
def test_a_full_disk_leaves_the_last_good_checkpoint_and_one_sentence(tiny_recipe, tmp_path):
    whole = train(tiny_recipe, tmp_path / "whole").weights()
    folder = tmp_path / "full"
    train(tiny_recipe, folder, 2)
    before = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="could not be written"):
        train(tiny_recipe, folder)
    assert (folder / "checkpoint.pt").read_bytes() == before
    after = train(tiny_recipe, folder).weights()
    assert all(torch.equal(after[name], whole[name]) for name in whole)


def test_memory_that_runs_out_says_what_to_lower(tiny_recipe, tmp_path, monkeypatch):
    from petctfusion.errors import OutOfMemoryError

    def exhausted(*_):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9999999 bytes.")

    monkeypatch.setattr(module.ObjectiveModule, "forward", exhausted)
    with pytest.raises(OutOfMemoryError, match="2 patches of 16 x 16 x 16 voxels") as caught:
        train(tiny_recipe, tmp_path)
    assert "batch or patch" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"patch": (16, 18, 16)}, "16 x 18 x 16 voxels do not suit anatomy_guided: it takes multiples of 4 x 4 x 4"),
        ({"arguments": {"widhts": [4, 8]}}, "anatomy_guided takes no argument 'widhts'. Did you mean 'widths'"),
        ({"network": "anatomy_giuded"}, "no network named 'anatomy_giuded'. Did you mean 'anatomy_guided'"),
        ({"arguments": {"fusion": "sideways"}}, "cannot be built as the recipe says"),
        ({"arguments": {"modalities": ["PET", "CT"]}}, r"names the modalities PET, CT, \[clip\] CT, PET"),
    ],
)
def test_a_recipe_its_network_cannot_follow_is_refused(tiny_recipe, tmp_path, change, sentence):
    with pytest.raises(BadInputError, match=sentence):
        train(dataclasses.replace(tiny_recipe, **change), tmp_path)
