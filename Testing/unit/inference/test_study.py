from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import save_file

from petctfusion.errors import BadInputError, CancelledError, DeviceError, ModelError
from petctfusion.inference import devices, load_model
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.prepare import body_box, prepare
from petctfusion.inference.study import segment_study
from petctfusion.inference.windows import count_windows
from petctfusion.models import Weights, write_card
from petctfusion.networks import build
from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.volumes.geometry import Geometry

from .conftest import HotPet, make_card, volume


def test_a_hot_ball_comes_back_with_its_volume_on_the_ct_grid(model, study):
    result = segment_study(study, model)
    assert Geometry.of(result.labels) == Geometry.of(study["CT"])
    assert Geometry.of(result.probability) == Geometry.of(study["CT"])
    assert result.labels.GetPixelID() == result.probability.GetPixelID() == sitk.sitkUInt8
    ball = float((sitk.GetArrayViewFromImage(study["PET"]) > 3).sum()) * 0.064
    found = sitk.GetArrayFromImage(result.labels)
    assert float(found.sum()) * 0.008 == pytest.approx(ball, rel=0.05)
    assert np.allclose(np.argwhere(found).mean(axis=0), 31.5, atol=0.1)
    assert result.device == "cpu"
    assert result.notes == ()


def test_the_result_lies_on_the_pet_grid_when_asked(model, study):
    result = segment_study(study, model, SegmentOptions(grid="pet"))
    assert Geometry.of(result.labels) == Geometry.of(study["PET"])
    assert np.array_equal(sitk.GetArrayFromImage(result.labels) == 1, sitk.GetArrayFromImage(study["PET"]) > 3)


def test_outside_the_common_field_of_view_nothing_is_found(study):
    everywhere = LoadedModel(make_card(), HotPet(-5.0).eval(), "cpu")
    study["PET"] = study["PET"][:, :, 8:]
    labels = sitk.GetArrayFromImage(segment_study(study, everywhere).labels)
    assert labels[:16].sum() == 0
    assert labels[16:].all()


def test_a_flipped_and_oblique_ct_gets_its_result_on_its_own_grid(model, study):
    upright = segment_study(study, model).labels
    ct = sitk.Flip(study["CT"], [True, False, True])
    labels = segment_study({**study, "CT": ct}, model).labels
    assert labels.GetDirection() == ct.GetDirection()
    back = sitk.Resample(labels, upright, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(upright))


def test_a_threshold_of_the_user_goes_before_that_of_the_card(study):
    soft = LoadedModel(make_card(threshold=0.9), HotPet(1.25).eval(), "cpu")
    background = segment_study(study, soft, SegmentOptions(threshold=0.2)).labels
    assert sitk.GetArrayViewFromImage(background).all()
    assert not sitk.GetArrayFromImage(segment_study(study, soft).labels).all()


def test_two_labels_come_as_one_label_map_and_a_probability_of_two_components(study):
    two = LoadedModel(make_card(labels=2), HotPet(3.0, 0.0).eval(), "cpu")
    result = segment_study(study, two)
    assert result.probability.GetNumberOfComponentsPerPixel() == 2
    assert set(np.unique(sitk.GetArrayViewFromImage(result.labels))) == {1, 2}


def test_stages_are_told_in_their_order_and_cancel_is_asked(model, study):
    seen = []
    segment_study(study, model, report=seen.append)
    assert list(dict.fromkeys(step.stage for step in seen)) == ["prepare", "segment", "restore"]
    with pytest.raises(CancelledError):
        segment_study(study, model, should_cancel=lambda: True)


def test_a_missing_modality_is_named(model, study):
    with pytest.raises(BadInputError, match="PET is missing"):
        segment_study({"CT": study["CT"]}, model)


def test_a_network_that_can_do_without_a_modality_gets_its_mean_and_says_so(hot, study):
    hot.optional_modalities = ("CT",)
    seen = []
    hot.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 0].unique()))
    whole = segment_study(study, LoadedModel(make_card(), hot, "cpu"), SegmentOptions(grid="pet"))
    seen.clear()
    without = segment_study({"PET": study["PET"]}, LoadedModel(make_card(), hot, "cpu"), SegmentOptions(grid="pet"))
    assert all(values.tolist() == pytest.approx([absent_value("CT")]) for values in seen)
    assert any("no CT" in note for note in without.notes)
    labels = [sitk.GetArrayViewFromImage(result.labels) for result in (whole, without)]
    assert labels[1].any()
    assert np.array_equal(*labels)


def test_nothing_at_all_is_refused(hot, study):
    hot.optional_modalities = ("CT", "PET")
    with pytest.raises(BadInputError, match="CT"):
        segment_study({}, LoadedModel(make_card(), hot, "cpu"))


@pytest.mark.parametrize(
    "values", [{"grid": "mr"}, {"threshold": 2}, {"flips": ["w"]}, {"overlap": 1.0}, {"colour": 1}, {"flips": "x"}, 3]
)
def test_options_outside_their_range_are_refused_with_a_hint(values):
    with pytest.raises(BadInputError) as caught:
        SegmentOptions.from_json(values)
    assert caught.value.hint


def test_options_survive_the_way_to_the_worker():
    options = SegmentOptions("cuda:1", "pet", 0.4, ("x", "z"), 0.25, "half")
    assert SegmentOptions.from_json(options.to_json()) == options


def test_values_are_clipped_and_the_spacing_is_that_of_the_card(study):
    study["CT"] = study["CT"] + 5000
    prepared = prepare(study, make_card(), 0.5)
    assert prepared.grid.spacing_zyx == (4.0, 4.0, 4.0)
    assert prepared.array.shape == (2, 32, 32, 32)
    assert prepared.array[0].max() == 1000
    assert prepared.air == (-1000.0, 0.0)


def test_a_whole_body_is_cut_to_the_body_without_the_table_and_keeps_every_uptake():
    ct = np.full((60, 100, 100), -1000.0)
    ct[:, 30:70, 25:75] = 30.0
    ct[:, 90:91, :] = 200.0
    pet = np.zeros_like(ct)
    grid = Geometry((100, 100, 60), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    box = body_box({"CT": ct.astype(np.float32), "PET": pet.astype(np.float32)}, grid)
    assert box == (slice(0, 60), slice(26, 74), slice(21, 79))
    pet[10, 85, 50] = 5.0
    assert body_box({"CT": ct.astype(np.float32), "PET": pet.astype(np.float32)}, grid)[1].stop == 90
    volumes = {"CT": volume(ct, 4.0, 0.0), "PET": volume(pet, 4.0, 0.0)}
    prepared = prepare(volumes, make_card(), 0.5)
    assert count_windows(prepared.grid.shape, (16, 16, 16), 0.5) < count_windows((60, 100, 100), (16, 16, 16), 0.5)
    result = segment_study(volumes, LoadedModel(make_card(), HotPet().eval(), "cpu"))
    assert np.argwhere(sitk.GetArrayViewFromImage(result.labels)).tolist() == [[10, 85, 50]]


def test_a_study_of_one_window_is_left_whole(study):
    ct = sitk.GetArrayFromImage(study["CT"])
    ct[:, :, :40] = -1000
    study["CT"] = volume(ct, 2.0, 1.0)
    assert prepare(study, make_card(patch=(32, 32, 32)), 0.5).array.shape == (2, 32, 32, 32)


def test_an_unknown_device_is_refused_and_the_known_ones_are_named():
    with pytest.raises(DeviceError) as caught:
        devices.plan_device("cuda:99")
    assert "cpu" in caught.value.hint
    with pytest.raises(DeviceError):
        devices.plan_device("abacus")


def test_a_listed_gpu_that_does_not_compute_is_not_taken(monkeypatch):
    broken = devices.DeviceInfo("cuda:0", "Old card", 1 << 30, 1 << 30)
    monkeypatch.setattr(devices, "_gpu_count", lambda: 1)
    monkeypatch.setattr(devices, "_gpu", lambda index: broken)
    monkeypatch.setattr(devices, "convolution_problem", lambda device: "no kernel image is available")
    assert devices.plan_device("auto") == "cpu"
    with pytest.raises(DeviceError, match="no kernel image"):
        devices.plan_device("cuda")


def test_the_cpu_is_listed_with_its_memory_and_passes_its_trial():
    cpu = devices.list_devices()[0]
    assert cpu.id == "cpu"
    assert cpu.total_bytes > (1 << 28)
    assert devices.convolution_problem("cpu") is None


ARGUMENTS = {"widths": [2, 4], "modalities": ["CT", "PET"]}


@pytest.fixture
def folder(tmp_path):
    """`folder(state=None, **changes)`: a model folder with the given weights."""

    def make(state=None, **changes) -> Path:
        torch.manual_seed(0)
        weights = tmp_path / "weights.safetensors"
        save_file(state or {k: v.half() for k, v in build("anatomy_guided", **ARGUMENTS).state_dict().items()}, weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        values = {"arguments": ARGUMENTS, "weights": Weights(weights.name, digest, "float16", weights.stat().st_size)}
        write_card(make_card(**{**values, **changes}), tmp_path)
        return tmp_path

    return make


def test_half_precision_weights_load_as_single_precision_and_run(folder, study):
    model = load_model(folder(), "cpu")
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert not model.network.training
    assert model.divisor == (2, 2, 2)
    assert sitk.GetArrayFromImage(segment_study(study, model).probability).std() > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"state": {"other": torch.ones(1)}},
        {"arguments": {"widths": [2, 4, 8], "modalities": ["CT", "PET"]}},
        {"arguments": {"fusion": "cold"}},
        {"arguments": {"warp": 9}},
        {"network": "unheard_of"},
    ],
)
def test_a_model_that_does_not_fit_its_card_is_refused_in_one_sentence(folder, changes):
    with pytest.raises(ModelError) as caught:
        load_model(folder(**changes), "cpu")
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_weights_with_another_checksum_are_refused(folder):
    weights = folder() / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError):
        load_model(weights.parent, "cpu")


def test_the_client_side_of_inference_imports_no_torch():
    code = (
        "import sys, petctfusion.inference, petctfusion.inference.postprocess, petctfusion.inference.options, "
        "petctfusion.inference.clicks, petctfusion.inference.memory_ladder, petctfusion.worker.client, "
        "petctfusion.worker.session; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
