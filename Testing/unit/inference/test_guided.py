"""Click guidance at inference: blobs in mm, one window, nothing changed beyond reach, the clicked voxel as wished."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from petctfusion.errors import BadInputError, CancelledError
from petctfusion.inference.clicks import REACH_MM, Click, labels_after_click
from petctfusion.inference.guidance import click_channels, window_around
from petctfusion.inference.guided import refine_guided
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.prepare import local_volumes, prepare
from petctfusion.inference.study import segment_study
from petctfusion.models import ClickGuidance
from petctfusion.volumes.geometry import Geometry

from .conftest import make_card, volume

MIDDLE = 64.0  # of the study and its ball, on every axis


class Obedient(nn.Module):
    """Marks where SUV exceeds 3, more near foreground clicks and less near background clicks."""

    divisor = 4
    takes_clicks = True

    def __init__(self, trust: float = 8.0) -> None:
        super().__init__()
        self.trust, self.shapes = trust, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape[1:]))
        logit = x[:, 1:2] - 3.0
        return logit if x.shape[1] == 2 else logit + self.trust * (x[:, 2:3] - x[:, 3:4])


def guided_model(trust: float = 8.0, **changes) -> LoadedModel:
    card = make_card(clicks=ClickGuidance(12.0), **changes)
    return LoadedModel(card, Obedient(trust).eval(), "cpu")


def at(x: float, y: float, z: float, foreground: bool) -> Click:
    """A click so many mm from the middle of the ball."""
    return Click((MIDDLE + x, MIDDLE + y, MIDDLE + z), foreground)


@pytest.fixture
def first(study):
    """What the network says before any click."""
    return segment_study(study, guided_model())


def arrays(*images: sitk.Image) -> list[np.ndarray]:
    return [sitk.GetArrayFromImage(image) for image in images]


def test_channels_hold_the_distance_to_the_nearest_click_in_mm():
    grid = Geometry((10, 8, 6), (2.0, 3.0, 5.0), (-4.0, 1.0, 7.0), (0, 1, 0, 1, 0, 0, 0, 0, 1))
    points = grid.points(np.array([[2.0, 3.0, 4.0], [8.0, 3.0, 1.0]]))
    clicks = [Click(tuple(point), True) for point in points.tolist()]
    foreground, background = click_channels(grid, clicks, 6.0)
    index = np.argwhere(np.ones(grid.shape))[:, ::-1].astype(float)
    distance = np.linalg.norm(grid.points(index)[:, None] - points[None], axis=2).min(axis=1)
    assert np.allclose(foreground.ravel(), np.exp(-(distance**2) / (2 * 6.0**2)), atol=1e-6)
    assert not background.any()


def test_without_clicks_the_network_is_given_two_channels(study):
    model = guided_model()
    segment_study(study, model)
    assert {shape[0] for shape in model.network.shapes} == {2}
    segment_study(study, model, clicks=[at(0.0, 0.0, 0.0, True)])
    assert model.network.shapes[-1][0] == 4


def test_a_window_stays_within_the_grid():
    grid = Geometry((40, 40, 20), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    window = window_around(grid, (16, 16, 16), (2.0, 80.0, 500.0))
    assert window.size == (16, 16, 16)
    assert window.origin == (0.0, 48.0, 16.0)
    assert window_around(grid, (32, 32, 32), (80.0, 80.0, 40.0)).size == (32, 32, 20)


def test_one_window_is_computed_and_equals_that_of_the_whole_grid(study):
    model, click = guided_model(), at(20.0, 0.0, 0.0, False)
    whole = prepare(study, model.card, 0.5, clicks=[click])
    local = prepare(study, model.card, 0.5, clicks=[click], is_local=True)
    assert local.array.shape == (4, 16, 16, 16)
    x, y, z = np.rint(whole.grid.indices(np.array([local.grid.origin]))[0]).astype(int)
    assert np.allclose(local.array, whole.array[:, z : z + 16, y : y + 16, x : x + 16], atol=0.1)
    sent = local_volumes(study, model.card, click.point)
    assert sent["CT"].GetNumberOfPixels() < study["CT"].GetNumberOfPixels()
    from_sent = prepare(sent, model.card, 0.5, clicks=[click], is_local=True)
    assert np.allclose(from_sent.grid.corners(), local.grid.corners(), atol=4.0)


@pytest.mark.parametrize("foreground", [True, False])
def test_nothing_beyond_reach_changes_and_the_clicked_voxel_has_its_wish(study, first, foreground):
    model = guided_model()
    click = at(-31.0, 3.0, 1.0, True) if foreground else at(11.0, 1.0, 1.0, False)
    before, share_before = arrays(first.labels, first.probability)
    answer = refine_guided(study, model, first.probability, first.labels, [click], 0.5)
    after, share_after = arrays(answer.labels, answer.probability)
    grid = Geometry.of(first.labels)
    x, y, z = np.rint(grid.indices(np.array([click.point]))[0]).astype(int)
    assert after[z, y, x] == foreground
    changed = np.argwhere(after != before)
    assert len(changed) > 20
    assert (after[tuple(changed.T)] == foreground).all()
    assert (np.linalg.norm((changed - (z, y, x)) * 2.0, axis=1) <= REACH_MM).all()
    moved = np.argwhere(share_after != share_before)
    assert (np.abs(moved - (z, y, x)) * 2.0 <= REACH_MM).all()
    assert {shape[1:] for shape in model.network.shapes} == {(16, 16, 16)}
    assert len(model.network.shapes) == 1
    assert answer.seconds < 5.0


def test_cut_volumes_give_nearly_the_answer_of_whole_ones(study, first):
    model, click = guided_model(), at(12.0, 0.0, 0.0, False)
    whole = refine_guided(study, model, first.probability, first.labels, [click], 0.5)
    sent = local_volumes(study, model.card, click.point)
    local = refine_guided(sent, model, first.probability, first.labels, [click], 0.5)
    a, b, before = arrays(whole.labels, local.labels, first.labels)
    assert (a != before).sum() > 500
    # The network's voxels of 4 mm lie elsewhere in a volume that was cut: the ball has a border 2 mm off, no more.
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.94


def test_a_network_that_does_not_listen_changes_the_clicked_voxels_alone(study, first):
    model = guided_model(trust=0.0)
    clicks = [at(12.0, 0.0, 0.0, False), at(-31.0, 1.0, 1.0, True)]
    answer = refine_guided(study, model, first.probability, first.labels, clicks[:1], 0.5)
    answer = refine_guided(study, model, answer.probability, answer.labels, clicks, 0.5)
    before, after = arrays(first.labels, answer.labels)
    assert (after != before).sum() == 2


def test_earlier_clicks_keep_their_wish_and_drawings_elsewhere_stay(study, first):
    labels = sitk.GetArrayFromImage(first.labels)
    labels[5:9, 5:9, 5:9], labels[32, 32, 50] = 1, 2
    drawn = Geometry.of(first.labels).image(labels)
    clicks = [at(23.0, 1.0, 1.0, False), at(25.0, 1.0, 1.0, True)]
    answer = sitk.GetArrayFromImage(refine_guided(study, guided_model(), first.probability, drawn, clicks, 0.5).labels)
    assert (answer[5:9, 5:9, 5:9] == 1).all()
    assert answer[32, 32, 50] == 2
    grid = Geometry.of(first.labels)
    for click in clicks:
        x, y, z = np.rint(grid.indices(np.array([click.point]))[0]).astype(int)
        assert answer[z, y, x] == click.foreground


def test_only_what_is_connected_to_the_click_changes():
    grid = Geometry((20, 20, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    share, labels = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
    share[2:5, 2:5, 2:5], share[10:13, 10:13, 10:13] = 200, 200
    after = labels_after_click(share, labels, grid, [Click((6.0, 6.0, 6.0), True)], 0.5, 3)
    assert np.array_equal(after == 3, np.pad(np.ones((3, 3, 3), bool), ((2, 15),) * 3))
    assert not labels.any()


def test_what_cannot_be_answered_is_said(study, first, model):
    images, click = (first.probability, first.labels), at(0.0, 0.0, 0.0, True)
    for clicks, sentence in (([], "no click"), ([at(500.0, 0.0, 0.0, True)], "outside")):
        with pytest.raises(BadInputError, match=sentence):
            refine_guided(study, guided_model(), *images, clicks, 0.5)
    with pytest.raises(BadInputError, match="takes no clicks"):
        refine_guided(study, model, *images, [click], 0.5)
    other = volume(np.zeros((4, 4, 4)), 2.0, 0.0)
    with pytest.raises(BadInputError, match="one grid"):
        refine_guided(study, guided_model(), sitk.Cast(other, sitk.sitkUInt8), first.labels, [click], 0.5)
    with pytest.raises(BadInputError, match="around"):
        segment_study(study, guided_model(), local=Geometry.of(first.labels))
    with pytest.raises(CancelledError):
        refine_guided(study, guided_model(), *images, [click], 0.5, should_cancel=lambda: True)
