"""What cannot become a model is refused in one sentence, and no checkpoint runs a program."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from nnunet_layout import CT, checkpoint

from petctfusion.cli import exits, main
from petctfusion.errors import ModelError
from petctfusion.inference.foreign import add_foreign
from petctfusion.models.foreign import ForeignChoices
from petctfusion.networks import build


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "run")


def test_a_checkpoint_that_would_run_a_program_is_refused_and_does_not_run(nnunet_folder, own_models, tmp_path):
    folder = nnunet_folder()
    path = folder / "fold_0" / "checkpoint_final.pth"
    whole = torch.load(path, weights_only=False)
    for content in ({**whole, "init_args": Bomb(tmp_path / "ran")}, Bomb(tmp_path / "ran")):
        torch.save(content, path)
        with pytest.raises(ModelError, match="could run any program"):
            add_foreign(folder)
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol=2))
    with pytest.raises(ModelError):
        add_foreign(folder)
    assert not (tmp_path / "ran").exists()
    assert list(own_models.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 60, b"\x80\x02}q\x00.", b"rubbish" * 50])
def test_a_checkpoint_that_is_none_is_one_sentence(nnunet_folder, own_models, content):
    folder = nnunet_folder()
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(content)
    with pytest.raises(ModelError):
        add_foreign(folder)
    assert list(own_models.iterdir()) == []


def test_weights_of_another_network_are_refused(nnunet_folder, own_models):
    folder = nnunet_folder()
    path = folder / "fold_0" / "checkpoint_final.pth"
    whole = torch.load(path, weights_only=False)
    name = next(iter(whole["network_weights"]))
    for weights in (
        {key: value for key, value in whole["network_weights"].items() if key != name},
        {**whole["network_weights"], name: torch.zeros(3)},
        {**whole["network_weights"], "organ_head.weight": torch.zeros(3)},
    ):
        torch.save(checkpoint(weights, "3d_fullres", None), path)
        with pytest.raises(ModelError, match=r"do not fit the network of plans\.json"):
            add_foreign(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normalization_schemes": ["ZScoreNormalization", "RGBTo01Normalization"]}, "RGBTo01Normalization"),
        ({"normalization_schemes": ["CTNormalization"]}, "every channel"),
        (
            {"normalization_schemes": ["ZScoreNormalization"] * 2, "use_mask_for_norm": [True, True]},
            "mask of nonzero voxels",
        ),
        ({"preprocessor_name": "MyPreprocessor"}, "MyPreprocessor"),
        ({"previous_stage": "3d_lowres"}, "cascade"),
        ({"transpose_forward": [0, 0, 1]}, "transpose_forward"),
        ({"spacing": [4.0, 4.0]}, "spacing"),
        ({"patch_size": [16, 16, "a"]}, "patch_size"),
        ({"foreground_intensity_properties_per_channel": {"0": CT}}, "field 'foreground_intensity_properties"),
        (
            {"broken": {"architecture": {"network_class_name": "a.b.Primus", "arch_kwargs": {}}}},
            "Primus",
        ),
        ({"dataset": {"channel_names": {"0": "CT", "1": "MR"}}}, "CT, MR"),
        ({"dataset": {"labels": {"background": 0, "whole": [1, 2], "core": 2}}}, "regions"),
        ({"dataset": {"labels": {"background": 0, "tumour": 2}}}, "without a gap"),
        ({"dataset": {"labels": {"background": 0}}}, "without a gap"),
        ({"dataset": {"labels": "tumour"}, "folds": ()}, "dataset.json"),
        ({"folds": ()}, "checkpoint_final.pth"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_sentence(nnunet_folder, own_models, changes, words):
    folder = nnunet_folder(**changes)
    with pytest.raises(ModelError) as caught:
        add_foreign(folder)
    assert words in caught.value.message
    assert caught.value.hint
    assert list(own_models.iterdir()) == []


@pytest.mark.parametrize(
    "setting",
    [
        {"conv_op": "os.system"},
        {"norm_op": "torch.nn.Linear"},
        {"nonlin": "builtins.eval"},
        {"n_stages": 3},
        {"unknown": 1},
        {"strides": []},
        {"strides": [[1, 1], [2, 2]]},
    ],
)
def test_settings_that_describe_no_network_are_refused(nnunet_folder, own_models, setting):
    folder = nnunet_folder()
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update(setting)
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ModelError, match="cannot be built"):
        add_foreign(folder)


def test_a_folder_of_another_name_and_a_damaged_plan_are_named(nnunet_folder, own_models):
    folder = nnunet_folder()
    renamed = folder.rename(folder.with_name("best"))
    with pytest.raises(ModelError, match="'best'") as caught:
        add_foreign(renamed)
    assert "3d_fullres" in caught.value.hint
    (renamed / "plans.json").write_text("{")
    with pytest.raises(ModelError, match=r"plans\.json cannot be read"):
        add_foreign(renamed)


def test_an_unknown_fold_is_refused_with_those_that_are_there(nnunet_folder, own_models):
    with pytest.raises(ModelError, match="no fold 7") as caught:
        add_foreign(nnunet_folder(folds=(0, 3)), ForeignChoices(folds=("7",)))
    assert "0, 3" in caught.value.hint


def test_the_same_folder_twice_is_refused(nnunet_folder, own_models):
    folder = nnunet_folder()
    add_foreign(folder)
    with pytest.raises(ModelError, match="already installed"):
        add_foreign(folder)


def test_without_the_architecture_package_the_command_is_named(nnunet_folder, own_models, monkeypatch):
    folder = nnunet_folder()
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures", None)
    with pytest.raises(ModelError, match="needs the package") as caught:
        add_foreign(folder)
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize(
    "arguments", [{"architecture": "os"}, {"heads": 1}, {"folds": 0}, {"transpose": (0, 1, 1)}, {}]
)
def test_the_network_refuses_nonsense(arguments):
    with pytest.raises(ValueError):
        build("nnunet", **arguments)


def test_the_choices_for_foreign_models_are_refused_for_our_own(own_models, tmp_path, capsys):
    assert main(["models", "add", str(tmp_path), "--folds", "1"]) == exits.BAD_INPUT
    assert "holds no model made elsewhere" in capsys.readouterr().err
