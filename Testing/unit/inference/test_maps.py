"""Attention maps of a study: the weighted mean over windows, on the network's grid or a coarser one that fits."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from petctfusion.inference import study as study_module
from petctfusion.inference.maps import MapSum
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.sliding_window import predict_windows
from petctfusion.inference.study import segment_study
from petctfusion.inference.uncertainty import entropy_image
from petctfusion.networks.blocks.probe import Probe
from petctfusion.volumes.geometry import Geometry

from .conftest import HotPet, make_card


class Attentive(HotPet):
    """Its one map is the PET it is shown, at half the resolution where `coarse`."""

    def __init__(self, coarse: bool = False) -> None:
        super().__init__()
        self.map = Probe("uptake")
        self.coarse = coarse

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pet = x[:, 1:2]
        self.map(nn.functional.avg_pool3d(pet, 2) if self.coarse else pet)
        return super().forward(x)


class Flat(nn.Module):
    """A network of images, with a map."""

    def __init__(self) -> None:
        super().__init__()
        self.map = Probe("sum")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.map(x.sum(1, keepdim=True))


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2, 11, 30, 21)).astype(np.float32)


@pytest.mark.parametrize(("step", "budget"), [(1, 1 << 20), (2, 8000), (3, 2300)])
def test_a_map_that_is_the_input_comes_back_as_the_input(values, step, budget):
    maps = MapSum(values.shape[1:], budget)
    predict_windows(values, Attentive().eval(), (16, 8, 8), air=(0.0, 0.0), attention=maps)
    grid = Geometry((21, 30, 11), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    found = maps.images(grid)["uptake"]
    assert maps.step == step
    kept = values[1, ::step, ::step, ::step]
    assert np.allclose(sitk.GetArrayFromImage(found), kept, atol=1e-5)
    assert 8 * kept.size <= budget
    assert found.GetSpacing() == (step, 2.0 * step, 3.0 * step)
    assert found.GetOrigin() == grid.origin


def test_mirrored_windows_are_not_watched_and_a_batch_gives_what_single_windows_give(values):
    found = []
    for batch, flips in ((1, ()), (3, ("z", "x"))):
        maps = MapSum(values.shape[1:])
        predict_windows(
            values, Attentive(coarse=True).eval(), (8, 8, 8), air=(0.0, 0.0), attention=maps, batch=batch, flips=flips
        )
        found.append(sitk.GetArrayFromImage(maps.images(Geometry.of(sitk.GetImageFromArray(values[0])))["uptake"]))
    assert np.allclose(*found, atol=1e-5)


def test_a_network_of_images_has_maps_too(values):
    maps = MapSum(values.shape[1:])
    predict_windows(values, Flat().eval(), (1, 8, 8), air=(0.0, 0.0), attention=maps)
    found = maps.images(Geometry.of(sitk.GetImageFromArray(values[0])))["sum"]
    assert np.allclose(sitk.GetArrayFromImage(found), values.sum(0), atol=1e-5)


def test_watching_changes_neither_the_result_nor_the_network(study):
    network = Attentive().eval()
    model = LoadedModel(make_card(), network, "cpu")
    plain, watched = segment_study(study, model), segment_study(study, model, attention=True)
    assert plain.attention == ()
    assert np.array_equal(*(sitk.GetArrayFromImage(r.probability) for r in (plain, watched)))
    (found,) = watched.attention
    assert (found.name, found.kind, found.model) == ("uptake", "attention", "fake 1.0")
    # In world space: the hottest place of the map lies in the ball, which is 20 mm large in the middle.
    array = sitk.GetArrayFromImage(found.image)
    z, y, x = np.argwhere(array > 7.5).mean(axis=0)
    middle = found.image.TransformContinuousIndexToPhysicalPoint((x, y, z))
    assert np.allclose(middle, 64.0, atol=1.0)
    assert not network.map.watching
    assert network.map.seen == []


def test_a_network_without_maps_is_said_and_an_ensemble_names_whose_they_are(study, model, monkeypatch):
    blind = segment_study(study, model, attention=True)
    assert blind.attention == ()
    assert blind.notes == ("The network of fake has no attention maps.",)

    class Both:
        card = model.card
        device = "cpu"
        parts = ((model, 0.5), (LoadedModel(make_card(name="seeing"), Attentive().eval(), "cpu"), 0.5))

    monkeypatch.setattr(study_module, "BUDGET_BYTES", 2 << 14)
    both = segment_study(study, Both(), SegmentOptions(), attention=True)
    assert [found.model for found in both.attention] == ["seeing 1.0"]
    # 32 x 32 x 32 voxels at 4 mm do not fit into half of 32 KB, 16 x 16 x 16 just do not either with their weights.
    assert both.attention[0].image.GetSpacing() == (12.0,) * 3
    assert "12 x 12 x 12 mm" in both.notes[-1]


def test_smaller_windows_after_memory_ran_out_start_their_maps_anew(study):
    class Hungry(Attentive):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[-1] > 8:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return super().forward(x)

    found = segment_study(study, LoadedModel(make_card(), Hungry().eval(), "cpu"), attention=True)
    assert "8 x 8 x 8" in found.notes[0]
    whole = segment_study(study, LoadedModel(make_card(), Attentive().eval(), "cpu"), attention=True)
    arrays = [sitk.GetArrayFromImage(result.attention[0].image) for result in (found, whole)]
    assert np.allclose(*arrays, atol=1e-4)


def test_the_uncertainty_of_several_labels_is_that_of_the_least_sure_one():
    probability = np.array([[[[0, 255], [255, 128], [128, 0]]]], np.uint8)
    image = sitk.GetImageFromArray(probability, isVector=True)
    assert sitk.GetArrayFromImage(entropy_image(image)).tolist() == [[[0, 255, 255]]]
