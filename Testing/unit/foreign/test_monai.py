"""A MONAI bundle becomes a model whose answer is that of MONAI's own transforms and network."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_layout import image

from petctfusion.cli import main
from petctfusion.errors import ModelError
from petctfusion.inference.foreign import add_foreign
from petctfusion.inference.model import load_model
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.prepare import prepare
from petctfusion.inference.study import segment_study
from petctfusion.models import verify
from petctfusion.models.foreign import ForeignChoices, foreign_kind
from petctfusion.networks import build

SPACING_XYZ = [3.0, 4.0, 5.0]
WINDOW_XYZ = [24, 16, 8]
KEYS = ["ct", "pet"]
METADATA: dict[str, Any] = {
    "version": "0.2.1",
    "name": "Toy PET/CT",
    "license": "CC BY 4.0",
    "data_source": "a phantom",
    "network_data_format": {
        "inputs": {"image": {"num_channels": 2, "channel_def": {"0": "CT", "1": "PET"}}},
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "lesion"}}},
    },
}
INFERENCE: dict[str, Any] = {
    "imports": ["$import os"],
    "device": "$torch.device('cpu')",
    "pixdim": SPACING_XYZ,
    "network_def": {
        "_target_": "SegResNet",
        "spatial_dims": 3,
        "in_channels": 2,
        "out_channels": 2,
        "init_filters": 8,
        "blocks_down": [1, 1],
        "blocks_up": [1],
    },
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": KEYS},
            {"_target_": "EnsureChannelFirstd", "keys": KEYS},
            {"_target_": "Orientationd", "keys": KEYS, "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": KEYS, "pixdim": "@pixdim", "mode": "bilinear"},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "ct",
                "a_min": -200,
                "a_max": 300,
                "b_min": -1,
                "b_max": 2,
                "clip": True,
            },
            {"_target_": "NormalizeIntensityd", "keys": "pet"},
            {"_target_": "ConcatItemsd", "keys": KEYS, "name": "image"},
            {"_target_": "CropForegroundd", "keys": "image", "_disabled_": True},
        ],
    },
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": WINDOW_XYZ, "overlap": 0.5, "sw_batch_size": 4},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing"},
            {"_target_": "SaveImaged", "keys": "pred"},
        ],
    },
}


@pytest.fixture
def bundle(tmp_path):
    """`bundle(change)` writes a bundle; `change(metadata, inference)` edits its files before."""

    def make(change=None, weights=None) -> Path:
        metadata, inference = copy.deepcopy(METADATA), copy.deepcopy(INFERENCE)
        if change is not None:
            change(metadata, inference)
        folder = tmp_path / "bundle"
        (folder / "configs").mkdir(parents=True)
        (folder / "models").mkdir()
        (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
        (folder / "configs" / "inference.json").write_text(json.dumps(inference))
        torch.save(weights or network(inference).state_dict(), folder / "models" / "model.pt")
        return folder

    return make


def network(inference):
    from monai.networks import nets

    described = dict(inference["network_def"])
    torch.manual_seed(1)
    built = getattr(nets, described.pop("_target_").rpartition(".")[2])(**described).eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return built


def by_monai(inference, state, paths):
    """Probabilities (C, z, y, x) on the LPS grid, by the bundle's own transforms and network."""
    from monai import transforms

    steps = [dict(step) for step in inference["preprocessing"]["transforms"] if not step.get("_disabled_")]
    for step in steps:
        if step.get("pixdim") == "@pixdim":
            step["pixdim"] = inference["pixdim"]
    ready = transforms.Compose([getattr(transforms, step.pop("_target_"))(**step) for step in steps])(paths)
    net = network(inference)
    net.load_state_dict(state)
    with torch.no_grad():
        scores = net(ready["image"][None].as_tensor())[0]
    is_softmax = inference["postprocessing"]["transforms"][0].get("softmax")
    shares = scores.softmax(dim=0)[1:] if is_softmax else scores.sigmoid()
    from monai.data import MetaTensor

    lps = transforms.Orientation(axcodes="LPS")(MetaTensor(shares, affine=ready["image"].affine))
    return lps.numpy().transpose(0, 3, 2, 1)


def written(study, folder, direction=None):
    paths = {}
    for name, volume in study.items():
        if direction is not None:
            volume.SetDirection(direction)
        paths[name.lower()] = str(folder / f"{name}.nii.gz")
        sitk.WriteImage(volume, paths[name.lower()])
    return paths


@pytest.mark.parametrize("direction", [None, (-1, 0, 0, 0, -1, 0, 0, 0, 1), (1, 0, 0, 0, 1, 0, 0, 0, -1)])
@pytest.mark.parametrize("axcodes", ["RAS", "LPS"])
def test_one_window_is_answered_as_by_monai(bundle, own_models, study, tmp_path, direction, axcodes):
    def change(metadata, inference):
        inference["preprocessing"]["transforms"][2]["axcodes"] = axcodes

    folder = bundle(change)
    volumes = study((8, 16, 24), (5.0, 4.0, 3.0))
    paths = written(volumes, tmp_path, direction)
    inference = json.loads((folder / "configs" / "inference.json").read_text())
    expected = by_monai(inference, torch.load(folder / "models" / "model.pt"), paths)[0]
    model = add_foreign(folder)
    result = segment_study(volumes, load_model(model.folder, "cpu"), SegmentOptions(device="cpu"))
    found = sitk.GetArrayFromImage(sitk.DICOMOrient(result.probability, "LPS")).astype(int)
    assert expected.max() - expected.min() > 0.2
    assert np.abs(found - np.rint(255 * expected)).max() <= 1


def test_the_card_says_what_the_bundle_says(bundle, own_models):
    model = add_foreign(bundle())
    card = verify(model.folder)
    assert model.reference == "monai-Toy-PET-CT@0.2.1"
    assert (card.spacing_mm, card.patch, card.orientation) == ((5.0, 4.0, 3.0), (8, 16, 24), "LPS")
    assert (card.licence, card.overlap, card.flips) == ("CC BY 4.0", 0.5, ())
    assert card.clip["CT"] == (-200.0, 300.0)
    assert [(label.value, label.name) for label in card.labels] == [(1, "lesion")]
    assert load_model(model.folder, "cpu").divisor == card.patch


def test_sigmoid_heads_and_a_network_by_its_whole_path(bundle, own_models, study, tmp_path):
    def change(metadata, inference):
        inference["network_def"] = {
            "_target_": "monai.networks.nets.UNet",
            "spatial_dims": 3,
            "in_channels": 2,
            "out_channels": 2,
            "channels": [4, 8],
            "strides": [2],
        }
        inference["postprocessing"]["transforms"][0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
        metadata["network_data_format"]["outputs"]["pred"]["channel_def"] = {"0": "primary tumour", "1": "node"}

    folder = bundle(change)
    weights = torch.load(folder / "models" / "model.pt")
    torch.save({"model": weights, "epoch": 3}, folder / "models" / "model.pt")
    model = add_foreign(folder)
    assert [label.name for label in model.card.labels] == ["primary tumour", "node"]
    volumes = study((8, 16, 24), (5.0, 4.0, 3.0))
    inference = json.loads((folder / "configs" / "inference.json").read_text())
    expected = by_monai(inference, weights, written(volumes, tmp_path))
    result = segment_study(volumes, load_model(model.folder, "cpu"), SegmentOptions(device="cpu"))
    found = np.moveaxis(sitk.GetArrayFromImage(result.probability).astype(int), -1, 0)
    assert np.abs(found - np.rint(255 * expected)).max() <= 1


def test_both_channels_in_one_key_are_scaled_each_by_itself(bundle, own_models, study):
    def change(metadata, inference):
        inference["preprocessing"]["transforms"][4:7] = [
            {"_target_": "ScaleIntensityd", "keys": "image", "channel_wise": True}
        ]

    model = add_foreign(bundle(change))
    volumes = study((8, 16, 24), (5.0, 4.0, 3.0))
    prepared = prepare(volumes, model.card, 0.5)
    assert [(channel.min(), channel.max()) for channel in prepared.array] == [(0.0, 1.0)] * 2


def step(index, **values):
    def change(metadata, inference):
        inference["preprocessing"]["transforms"][index].update(values)

    return change


def entry(name, value):
    def change(metadata, inference):
        inference[name] = value

    return change


def channels(where, which, names):
    def change(metadata, inference):
        metadata["network_data_format"][where][which]["channel_def"] = names

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (entry("network_def", {"_target_": "scripts.my.Net", "in_channels": 2}), "scripts.my.Net"),
        (entry("network_def", "$scripts.net()"), "network_def"),
        (entry("network_def", {**INFERENCE["network_def"], "act": "$os.system('x')"}), "would have to be run"),
        (entry("network_def", {**INFERENCE["network_def"], "norm": {"_target_": "x.Y"}}), "x.Y"),
        (entry("network_def", {**INFERENCE["network_def"], "_target_": "Generator"}), "Generator"),
        (entry("network_def", {**INFERENCE["network_def"], "in_channels": 1}), "2 channels"),
        (entry("network_def", {**INFERENCE["network_def"], "out_channels": 3}), "3 outputs"),
        (entry("network_def", {**INFERENCE["network_def"], "colour": 3}), "colour"),
        (entry("network_def", {**INFERENCE["network_def"], "init_filters": 16}), "do not fit"),
        (entry("inferer", {"_target_": "SimpleInferer"}), "SimpleInferer"),
        (entry("inferer", {"_target_": "SlidingWindowInferer", "roi_size": [8, 8]}), "roi_size"),
        (entry("postprocessing", {"_target_": "Compose", "transforms": []}), "softmax or sigmoid"),
        (entry("pixdim", "@pixdim"), "refers to itself"),
        (step(2, axcodes="PIR"), "orientation"),
        (step(3, _disabled_=True), "spacing"),
        (step(4, a_max=-500), "a_min"),
        (step(5, nonzero=True), "NormalizeIntensityd"),
        (step(5, keys="ct"), "CT twice"),
        (step(5, keys=KEYS), "CT twice"),
        (step(7, _disabled_=False), "CropForegroundd"),
        (step(1, _target_="scripts.Own"), "scripts.Own"),
        (channels("inputs", "image", {"0": "CT"}), "one CT and one PET"),
        (channels("outputs", "pred", {"0": "lesion", "1": "organ"}), "background"),
    ],
)
def test_other_bundles_are_refused_in_one_sentence(bundle, own_models, change, words):
    folder = bundle(change, weights=network(INFERENCE).state_dict())
    with pytest.raises(ModelError) as caught:
        add_foreign(folder)
    assert words in caught.value.message
    assert caught.value.hint
    assert list(own_models.iterdir()) == []


def scripted(folder, inference=INFERENCE):
    """The bundle's network traced to model.ts."""
    net = network(inference)
    net.load_state_dict(torch.load(folder / "models" / "model.pt"))
    torch.jit.trace(net, torch.zeros(1, 2, *WINDOW_XYZ)).save(folder / "models" / "model.ts")


def test_a_torchscript_program_answers_as_the_network_it_was_made_of(bundle, own_models, study, tmp_path):
    folder = bundle()
    volumes = study((8, 16, 24), (5.0, 4.0, 3.0))
    weights = torch.load(folder / "models" / "model.pt")
    expected = by_monai(INFERENCE, weights, written(volumes, tmp_path))[0]
    scripted(folder)
    (folder / "models" / "model.pt").unlink()
    inference = {**INFERENCE, "network_def": "$scripts.net()"}
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    model = add_foreign(folder)
    assert verify(model.folder).weights.dtype == "uint8"
    assert any("TorchScript" in limit for limit in model.card.not_for)
    assert sorted(path.name for path in model.folder.iterdir()) == ["model.json", "weights.safetensors"]
    for _ in range(2):
        result = segment_study(volumes, load_model(model.folder, "cpu"), SegmentOptions(device="cpu"))
        found = sitk.GetArrayFromImage(result.probability).astype(int)
        assert np.abs(found - np.rint(255 * expected)).max() <= 1


def test_weights_go_before_the_program_where_their_network_is_known(bundle, own_models):
    folder = bundle()
    scripted(folder)
    assert add_foreign(folder).card.weights.dtype == "float32"
    inference = {**INFERENCE, "network_def": "$scripts.net()"}
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    assert add_foreign(folder, ForeignChoices(name="other")).card.weights.dtype == "uint8"


def test_a_program_that_is_none_or_has_other_outputs_is_refused(bundle, own_models):
    folder = bundle(channels("outputs", "pred", {"0": "background", "1": "lesion", "2": "organ"}))
    scripted(folder)
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(ModelError, match="has 2 outputs, its metadata names 3"):
        add_foreign(folder)
    for content in (b"rubbish", b""):
        (folder / "models" / "model.ts").write_bytes(content)
        with pytest.raises(ModelError, match="does not run"):
            add_foreign(folder)
    (folder / "models" / "model.ts").unlink()
    with pytest.raises(ModelError, match=r"neither models/model\.pt nor"):
        add_foreign(folder)
    assert list(own_models.iterdir()) == []


def test_folds_belong_to_nnunet_only(bundle, own_models):
    with pytest.raises(ModelError, match="no folds"):
        add_foreign(bundle(), ForeignChoices(folds=("0",)))


def test_the_command_adds_a_bundle_and_says_its_licence(bundle, own_models, capsys):
    folder = bundle()
    assert foreign_kind(folder) == "monai"
    assert main(["models", "add", str(folder), "--name", "toy"]) == 0
    assert "Licence: CC BY 4.0" in capsys.readouterr().out
    assert main(["models", "verify", "toy"]) == 0


@pytest.mark.parametrize(
    "arguments", [{"network": "os"}, {"head": "tanh"}, {"orientation": "PIR"}, {"divisor": (1, 2)}, {}]
)
def test_the_network_refuses_nonsense(arguments):
    with pytest.raises(ValueError):
        build("monai_bundle", **arguments)


def test_neither_door_is_opened_for_a_model_of_our_own():
    code = (
        "import sys\nfrom petctfusion.inference.model import load_model\nfrom petctfusion.models import default_model\n"
        "import petctfusion.inference.foreign\nload_model(default_model().folder, 'cpu')\n"
        "sys.exit(str({'monai', 'dynamic_network_architectures'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_volumes_of_a_bundle_keep_their_values_when_they_are_turned(bundle, own_models):
    # Sagittal slices: the first axis of the file runs to the feet, not to the left.
    model = add_foreign(bundle())
    noise = np.random.default_rng(0).normal(0.0, 50.0, (24, 8, 16))
    volumes = {name: image(noise, (3.0, 5.0, 4.0)) for name in ("CT", "PET")}
    for volume in volumes.values():
        volume.SetDirection((0, 0, 1, 1, 0, 0, 0, -1, 0))
    prepared = prepare(volumes, model.card, 0.5)
    assert prepared.array.shape[1:] == (8, 16, 24)
    assert np.allclose(prepared.grid.direction, np.eye(3).ravel())
