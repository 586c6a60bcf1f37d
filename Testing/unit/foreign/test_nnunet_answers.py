"""A model made of an nnU-Net v2 result folder answers as the network it was saved from."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_layout import CT, PET, arrays, network_of

from petctfusion.cli import main
from petctfusion.errors import ModelError
from petctfusion.inference.foreign import add_foreign
from petctfusion.inference.model import load_model
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.study import segment_study
from petctfusion.models.foreign import ForeignChoices


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
