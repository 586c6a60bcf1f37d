"""The class of a lesion comes from the window around it, mirrored as the card says."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from petctfusion.errors import BadInputError
from petctfusion.inference.lesion_class import classify_lesion
from petctfusion.inference.model import LoadedModel
from petctfusion.volumes.geometry import Geometry

from .conftest import HotPet, make_card


class Looks(HotPet):
    """Class 1 as far as the PET in the middle of its window is hot; keeps the windows."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = []

    def forward_with_class(self, x):
        self.windows.append(x)
        middle = x[:, 1, 7:9, 7:9, 7:9].mean(dim=(1, 2, 3))
        return self(x), torch.stack([torch.zeros_like(middle), middle - 4.0], dim=1)


def lesion_at(study, index):
    mask = np.zeros((64, 64, 64), np.uint8)
    z, y, x = index
    mask[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3] = 1
    return Geometry.of(study["CT"]).image(mask)


def test_a_hot_and_a_cold_place_have_their_classes(study):
    model = LoadedModel(make_card(), Looks().eval(), "cpu")
    hot, cold = (classify_lesion(study, model, lesion_at(study, (n, n, n))) for n in (32, 8))
    assert hot[1] > 0.95 > 0.2 > cold[1]
    assert hot.sum() == pytest.approx(1.0)


def test_mirrored_windows_are_averaged_and_air_surrounds_the_volume(study):
    network = Looks().eval()
    classify_lesion(study, LoadedModel(make_card(flips=("y", "x")), network, "cpu"), lesion_at(study, (2, 32, 32)))
    first, *others = network.windows
    assert len(others) == 3
    assert torch.equal(others[-1], torch.flip(first, (3, 4)))
    # Seven of the sixteen slices lie before the first one.
    assert first.shape == (1, 2, 16, 16, 16)
    assert bool((first[0, 0, :7] == -1000.0).all())
    assert bool((first[0, 0, 8:] == 40.0).all())


def test_without_classifier_or_lesion_one_sentence(study, model):
    lesion = lesion_at(study, (32, 32, 32))
    with pytest.raises(BadInputError, match="has no classifier"):
        classify_lesion(study, model, lesion)
    with pytest.raises(BadInputError, match="no lesion"):
        classify_lesion(study, LoadedModel(make_card(), Looks().eval(), "cpu"), sitk.Image(lesion) * 0)
