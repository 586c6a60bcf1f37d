"""An nnU-Net v2 result folder becomes a model whose answer is that of the network it was saved from."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_layout import CT, PET, checkpoint, image, network_of

from petctfusion.cli import exits, main
from petctfusion.errors import ModelError
from petctfusion.inference.foreign import add_foreign
from petctfusion.inference.model import load_model
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.prepare import prepare
from petctfusion.inference.study import segment_study
from petctfusion.models import find_model, sha256_of, verify
from petctfusion.models.foreign import ForeignChoices, foreign_kind
from petctfusion.networks import build


def arrays(study):
    return {name: sitk.GetArrayFromImage(volume).astype(np.float64) for name, volume in study.items()}


def fingerprint(values, numbers):
    clipped = np.clip(values, numbers["percentile_00_5"], numbers["percentile_99_5"])
    return (clipped - numbers["mean"]) / numbers["std"]


def softmax(folder, channels, fold=0, heads=2):
    """Probabilities (heads, *spatial) by the package's network and the checkpoint alone."""
    configuration = next(iter(json.loads((folder / "plans.json").read_text())["configurations"].values()))
    described = configuration["architecture"]
    architecture = described["network_class_name"].rpartition(".")[2]
    network = network_of(architecture, described["arch_kwargs"], heads, seed=99)
    path = folder / f"fold_{fold}" / "checkpoint_final.pth"
    network.load_state_dict(torch.load(path, weights_only=False)["network_weights"])
    with torch.no_grad():
        scores = network(torch.from_numpy(np.stack(channels)[None].astype(np.float32)))[0]
    return scores.softmax(dim=1)[0].numpy()


def segmented(model, volumes, **options):
    return segment_study(volumes, load_model(model.folder, "cpu"), SegmentOptions(device="cpu", flips=(), **options))


def assert_same_bytes(result, expected):
    found = sitk.GetArrayFromImage(result.probability).astype(int)
    assert expected.max() - expected.min() > 0.2  # a constant answer would prove nothing
    assert np.abs(found - np.rint(255 * expected)).max() <= 1


@pytest.mark.parametrize("architecture", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_one_window_is_answered_as_by_the_network_itself(nnunet_folder, own_models, study, architecture):
    folder = nnunet_folder(architecture, spacing=[5.0, 4.0, 3.0], patch_size=[8, 16, 24])
    model = add_foreign(folder)
    volumes = study((8, 16, 24), (5.0, 4.0, 3.0))
    raw = arrays(volumes)
    expected = softmax(folder, [fingerprint(raw["CT"], CT), fingerprint(raw["PET"], PET)])[1]
    result = segmented(model, volumes)
    assert_same_bytes(result, expected)
    clear = np.abs(expected - 0.5) > 0.01
    assert np.array_equal(sitk.GetArrayFromImage(result.labels)[clear] == 1, expected[clear] > 0.5)


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


def test_axes_in_another_order_are_turned_there_and_back(nnunet_folder, own_models, study):
    # The network's first axis is x, its second z, its third y.
    folder = nnunet_folder(
        transpose_forward=[2, 0, 1],
        spacing=[3.0, 5.0, 4.0],
        patch_size=[24, 8, 16],
        strides=[[1, 1, 1], [4, 1, 2]],
        mirror=(0,),
    )
    model = add_foreign(folder)
    assert (model.card.spacing_mm, model.card.patch, model.card.flips) == ((5.0, 4.0, 3.0), (8, 16, 24), ("x",))
    assert load_model(model.folder, "cpu").divisor == (1, 2, 4)
    volumes = study((8, 16, 24), (5.0, 4.0, 3.0))
    raw = arrays(volumes)
    turned = [fingerprint(raw[name], numbers).transpose(2, 0, 1) for name, numbers in (("CT", CT), ("PET", PET))]
    assert_same_bytes(segmented(model, volumes), softmax(folder, turned)[1].transpose(1, 2, 0))


@pytest.mark.parametrize("first", [0, 2])
def test_a_network_of_slices_sees_the_slices_it_was_trained_on(nnunet_folder, own_models, study, first):
    rest = [axis for axis in range(3) if axis != first]
    order = [first, *rest]
    folder = nnunet_folder(
        dims=2, transpose_forward=order, spacing=[4.0, 4.0], patch_size=[16, 16], mirror=(1,), strides=[[1, 1], [2, 2]]
    )
    model = add_foreign(folder)
    assert model.card.patch[first] == 1
    assert model.card.flips == ("zyx"[rest[1]],)
    shape = tuple(3 if axis == first else 16 for axis in range(3))
    volumes = study(shape, (4.0, 4.0, 4.0))
    raw = arrays(volumes)
    turned = [fingerprint(raw[name], numbers).transpose(order) for name, numbers in (("CT", CT), ("PET", PET))]
    expected = np.stack([softmax(folder, [channel[i] for channel in turned])[1] for i in range(3)])
    assert_same_bytes(segmented(model, volumes), expected.transpose([order.index(axis) for axis in range(3)]))


def test_statistics_of_a_case_are_those_of_the_whole_study_not_of_a_window(nnunet_folder, own_models, study):
    folder = nnunet_folder(
        normalization_schemes=["ZScoreNormalization", "RescaleTo01Normalization"], patch_size=[16, 16, 16]
    )
    model = add_foreign(folder)
    volumes = study((40, 16, 16), (4.0, 4.0, 4.0))
    raw = arrays(volumes)
    raw["PET"][30:] *= 5  # the ends differ, so windows of their own would too
    raw["CT"][30:] += 2000
    volumes = {name: copied(volumes[name], values) for name, values in raw.items()}
    prepared = prepare(volumes, model.card, 0.5)
    low, high = raw["PET"].min(), raw["PET"].max()
    assert prepared.array.shape == (2, 40, 16, 16)
    assert np.allclose(prepared.array[0], (raw["CT"] - raw["CT"].mean()) / raw["CT"].std(), atol=1e-4)
    assert np.allclose(prepared.array[1], (raw["PET"] - low) / (high - low), atol=1e-4)
    assert prepared.air == (0.0, 0.0)


def test_only_what_ct_and_pet_share_counts_for_the_statistics(nnunet_folder, own_models, study):
    model = add_foreign(nnunet_folder(normalization_schemes=["ZScoreNormalization", "NoNormalization"]))
    volumes = study((40, 16, 16), (4.0, 4.0, 4.0))
    volumes["PET"] = volumes["PET"][:, :, :20]
    raw = arrays(volumes)
    shared = raw["CT"][:20]
    prepared = prepare(volumes, model.card, 0.5)
    assert np.allclose(prepared.array[0], (shared - shared.mean()) / shared.std(), atol=1e-4)
    assert np.allclose(prepared.array[1], raw["PET"], atol=1e-5)


def test_a_ct_clip_above_air_does_not_hide_the_body(nnunet_folder, own_models):
    soft = {**CT, "percentile_00_5": -20.0}
    model = add_foreign(nnunet_folder(foreground_intensity_properties_per_channel={"0": soft, "1": PET}))
    ct = np.full((24, 64, 64), -1000.0)
    ct[:, 28:36, 28:36] = 40.0
    volumes = {"CT": image(ct, (4.0,) * 3), "PET": image(np.zeros_like(ct), (4.0,) * 3)}
    assert prepare(volumes, model.card, 0.5).grid.shape[1:] == (16, 16)


def copied(like, values):
    made = sitk.GetImageFromArray(values.astype(np.float32))
    made.CopyInformation(like)
    return made


def test_folds_are_averaged_by_probability_and_one_can_be_chosen(nnunet_folder, own_models, study):
    folder = nnunet_folder(folds=(0, 1, "all"))
    volumes = study((16, 16, 16), (4.0, 4.0, 4.0))
    raw = arrays(volumes)
    channels = [fingerprint(raw["CT"], CT), fingerprint(raw["PET"], PET)]
    both = add_foreign(folder)
    assert "fold_0 and fold_1)" in both.card.title
    assert_same_bytes(segmented(both, volumes), (softmax(folder, channels, 0)[1] + softmax(folder, channels, 1)[1]) / 2)
    for fold in ("1", "all"):
        one = add_foreign(folder, ForeignChoices(name=f"one-{fold}", folds=(fold,)))
        assert_same_bytes(segmented(one, volumes), softmax(folder, channels, fold)[1])


def test_several_labels_each_have_their_softmax_probability(nnunet_folder, own_models, study):
    labels = {"background": 0, "primary tumour": 1, "liver": 2, "ignore": 3}
    folder = nnunet_folder(dataset={"labels": labels})
    model = add_foreign(folder)
    assert [(label.name, label.terminology.type.meaning) for label in model.card.labels] == [
        ("primary tumour", "Neoplasm"),
        ("liver", "Tissue"),
    ]
    volumes = study((16, 16, 16), (4.0, 4.0, 4.0))
    raw = arrays(volumes)
    expected = softmax(folder, [fingerprint(raw["CT"], CT), fingerprint(raw["PET"], PET)], heads=3)[1:]
    assert_same_bytes(segmented(model, volumes), np.moveaxis(expected, 0, -1))


def test_channels_may_come_in_the_other_order_or_under_other_names(nnunet_folder, own_models, study):
    folder = nnunet_folder(dataset={"channel_names": {"0": "SUV", "1": "CT"}})
    volumes = study((16, 16, 16), (4.0, 4.0, 4.0))
    raw = arrays(volumes)
    model = add_foreign(folder)
    assert model.card.modalities == ("PET", "CT")
    assert_same_bytes(
        segmented(model, volumes), softmax(folder, [fingerprint(raw["PET"], CT), fingerprint(raw["CT"], PET)])[1]
    )
    facts = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**facts, "channel_names": {"0": "CT", "1": "CT"}}))
    with pytest.raises(ModelError, match="one CT and one PET") as caught:
        add_foreign(folder)
    assert "--channels CT PET" in caught.value.hint
    named = add_foreign(folder, ForeignChoices(name="named", channels=("CT", "PET")))
    assert named.card.modalities == ("CT", "PET")


def test_plans_of_before_2_5_mean_the_same_network(nnunet_folder, own_models, study):
    folder = nnunet_folder()
    plans = json.loads((folder / "plans.json").read_text())
    configuration = plans["configurations"]["3d_fullres"]
    described = configuration.pop("architecture")["arch_kwargs"]
    parent = {
        **configuration,
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 320,
        "n_conv_per_stage_encoder": described["n_conv_per_stage"],
        "n_conv_per_stage_decoder": described["n_conv_per_stage_decoder"],
        "pool_op_kernel_sizes": described["strides"],
        "conv_kernel_sizes": described["kernel_sizes"],
        "patch_size": [99, 99, 99],
    }
    child = {"inherits_from": "basis", "patch_size": [16, 16, 16]}
    modern = add_foreign(folder)
    (folder / "plans.json").write_text(json.dumps({**plans, "configurations": {"basis": parent, "3d_fullres": child}}))
    old = add_foreign(folder, ForeignChoices(name="old"))
    assert old.card.patch == (16, 16, 16)
    volumes = study((16, 16, 16), (4.0, 4.0, 4.0))
    assert np.array_equal(
        sitk.GetArrayFromImage(segmented(old, volumes).probability),
        sitk.GetArrayFromImage(segmented(modern, volumes).probability),
    )


def test_prefixes_of_parallel_and_compiled_training_are_taken_off(nnunet_folder, own_models):
    folder = nnunet_folder()
    path = folder / "fold_0" / "checkpoint_final.pth"
    whole = torch.load(path, weights_only=False)
    digest = add_foreign(folder).card.weights.sha256
    whole["network_weights"] = {f"module._orig_mod.{name}": w for name, w in whole["network_weights"].items()}
    torch.save(whole, path)
    assert add_foreign(folder, ForeignChoices(name="other")).card.weights.sha256 == digest


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


def test_a_folder_is_recognised_only_with_both_files(nnunet_folder, tmp_path):
    folder = nnunet_folder()
    assert foreign_kind(folder) == "nnunet"
    (folder / "model.json").write_text("{}")
    assert foreign_kind(folder) is None
    assert foreign_kind(tmp_path) is None
    assert foreign_kind(tmp_path / "missing") is None


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


def test_the_choices_for_foreign_models_are_refused_for_our_own(own_models, tmp_path, capsys):
    assert main(["models", "add", str(tmp_path), "--folds", "1"]) == exits.BAD_INPUT
    assert "holds no model made elsewhere" in capsys.readouterr().err


def test_the_worker_runs_it_like_any_other_model(nnunet_folder, own_models, study, tmp_path):
    folder = nnunet_folder()
    add_foreign(folder, ForeignChoices(name="toy-net"))
    volumes = study((16, 16, 16), (4.0, 4.0, 4.0))
    for name, volume in volumes.items():
        sitk.WriteImage(volume, str(tmp_path / f"{name}.nii.gz"))
    run = ["segment", "--ct", tmp_path / "CT.nii.gz", "--pet", tmp_path / "PET.nii.gz", "--model", "toy-net"]
    assert main([str(word) for word in [*run, "--output", tmp_path / "out", "--device", "cpu"]]) == 0
    raw = arrays(volumes)
    expected = softmax(folder, [fingerprint(raw["CT"], CT), fingerprint(raw["PET"], PET)])[1]
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "segmentation.nii.gz")))
    clear = np.abs(expected - 0.5) > 0.01
    assert np.array_equal(found[clear] > 0, expected[clear] > 0.5)
