"""An nnU-Net v2 result folder becomes a model: its card, its weights, and the commands for it."""

from __future__ import annotations

import torch
from nnunet_layout import CT

from petctfusion.cli import main
from petctfusion.inference.foreign import add_foreign
from petctfusion.inference.model import load_model
from petctfusion.models import find_model, sha256_of, verify
from petctfusion.models.foreign import ForeignChoices, foreign_kind


def test_the_card_says_what_the_plans_and_the_data_set_say(nnunet_folder, own_models):
    folder = nnunet_folder(
        spacing=[5.0, 4.0, 3.0], patch_size=[8, 16, 24], strides=[[1, 1, 1], [1, 2, 2]], mirror=(0, 2)
    )
    model = add_foreign(folder)
    card = verify(model.folder)
    assert model.reference == "nnunet-Dataset900_Toy-3d_fullres@1.0"
    assert (card.spacing_mm, card.patch, card.flips) == ((5.0, 4.0, 3.0), (8, 16, 24), ("z", "x"))
    assert (card.modalities, card.licence) == (("CT", "PET"), "CC BY 4.0")
    assert card.clip["CT"] == (CT["percentile_00_5"], CT["percentile_99_5"])
    assert [(label.value, label.name, label.terminology.type.meaning) for label in card.labels] == [
        (1, "tumour", "Neoplasm")
    ]
    assert "fold_0" in card.title
    assert sorted(path.name for path in model.folder.iterdir()) == ["model.json", "weights.safetensors"]
    assert load_model(model.folder, "cpu").divisor == (1, 2, 2)
    assert find_model(model.name).folder == model.folder
    assert [path.name for path in own_models.iterdir()] == [model.name]


def test_a_tensor_of_several_names_is_stored_once(nnunet_folder, own_models):
    model = add_foreign(nnunet_folder())
    network = load_model(model.folder, "cpu").network
    assert len(network.state_dict()) > len(list(network.parameters()))
    numbers = sum(parameter.numel() for parameter in network.parameters())
    assert 4 * numbers < model.card.weights.bytes < 4 * numbers + 20_000


def test_prefixes_of_parallel_and_compiled_training_are_taken_off(nnunet_folder, own_models):
    folder = nnunet_folder()
    path = folder / "fold_0" / "checkpoint_final.pth"
    whole = torch.load(path, weights_only=False)
    digest = add_foreign(folder).card.weights.sha256
    whole["network_weights"] = {f"module._orig_mod.{name}": w for name, w in whole["network_weights"].items()}
    torch.save(whole, path)
    assert add_foreign(folder, ForeignChoices(name="other")).card.weights.sha256 == digest


def test_a_folder_is_recognised_only_with_both_files(nnunet_folder, tmp_path):
    folder = nnunet_folder()
    assert foreign_kind(folder) == "nnunet"
    (folder / "model.json").write_text("{}")
    assert foreign_kind(folder) is None
    assert foreign_kind(tmp_path) is None
    assert foreign_kind(tmp_path / "missing") is None


def test_the_command_adds_it_shows_its_licence_and_removes_it(nnunet_folder, own_models, capsys):
    folder = nnunet_folder(folds=(0, 1))
    assert main(["models", "add", str(folder), "--name", "toy-net", "--folds", "1"]) == 0
    said = capsys.readouterr().out
    assert "toy-net@1.0 is installed" in said
    assert "Licence: CC BY 4.0" in said
    assert main(["models", "verify", "toy-net"]) == 0
    assert main(["models", "info", "toy-net"]) == 0
    shown = capsys.readouterr().out
    assert "Licence      CC BY 4.0" in shown
    assert f"sha256 {sha256_of(own_models / 'toy-net' / '1.0' / 'weights.safetensors')}" in shown
    assert "not measured here" in shown
    assert main(["models", "remove", "toy-net"]) == 0
    assert not (own_models / "toy-net").exists()
