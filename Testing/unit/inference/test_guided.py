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
from petctfusion.inference.prepare import local_volumes, prepare, prepare_window
from petctfusion.inference.study import segment_study
from petctfusion.models import ClickGuidance
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_image

from .conftest import make_card

MIDDLE = 64.0  # of the study and its ball, on every axis


class Obedient(nn.Module):
    """Marks where SUV exceeds 3; with guidance the mask it is given, more near foreground, less near background."""

    divisor = 4
    takes_clicks = True

    def __init__(self, trust: float) -> None:
        super().__init__()
        self.trust, self.inputs = trust, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x[0].numpy().copy())
        if x.shape[1] == 2:
            return x[:, 1:2] - 3.0
        return 4 * x[:, 4:5] - 2 + self.trust * (x[:, 2:3] - x[:, 3:4])


def guided_model(trust: float = 4.0, **changes) -> LoadedModel:
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


def test_a_window_has_its_click_in_the_middle_even_beyond_the_grid():
    grid = Geometry((40, 40, 20), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    window = window_around(grid, (16, 16, 16), (2.0, 80.0, 40.0))
    assert window.size == (16, 16, 16)
    assert window.origin == (-28.0, 48.0, 8.0)


def test_the_network_is_given_the_window_the_clicks_and_the_mask(study, first):
    model, click = guided_model(), at(20.0, 0.0, 0.0, False)
    whole = prepare(study, model.card, 0.5)
    prepared = prepare_window(study, model.card, {}, [click], first.labels)
    assert prepared.array.shape == (5, 16, 16, 16)
    x, y, z = np.rint(whole.grid.indices(np.array([prepared.grid.origin]))[0]).astype(int)
    here = tuple(slice(max(0, -at), min(16, n - at)) for at, n in zip((z, y, x), whole.grid.shape, strict=True))
    there = tuple(slice(at + part.start, at + part.stop) for at, part in zip((z, y, x), here, strict=True))
    assert np.allclose(prepared.array[(slice(0, 2), *here)], whole.array[(slice(None), *there)], atol=0.1)
    assert prepared.array[3, 8, 8, 8] == pytest.approx(prepared.array[3].max())
    assert not prepared.array[2].any()
    marked = grid_share(first.labels, prepared.grid) >= 0.5
    assert np.array_equal(prepared.array[4] > 0, marked)
    assert 0 < marked.sum() < marked.size
    sent = local_volumes(study, model.card, click.point)
    assert sent["CT"].GetNumberOfPixels() < study["CT"].GetNumberOfPixels()
    from_sent = prepare_window(sent, model.card, {}, [click], first.labels)
    assert np.allclose(from_sent.grid.corners(), prepared.grid.corners(), atol=4.0)


def grid_share(labels: sitk.Image, grid: Geometry) -> np.ndarray:
    return sitk.GetArrayFromImage(resample_image(labels, grid, 0.0))


@pytest.mark.parametrize("foreground", [True, False])
def test_nothing_beyond_reach_changes_and_the_clicked_voxel_has_its_wish(study, first, foreground):
    model = guided_model()
    click = at(-31.0, 3.0, 1.0, True) if foreground else at(11.0, 1.0, 1.0, False)
    (before,) = arrays(first.labels)
    answer = refine_guided(study, model, first.labels, [click])
    (after,) = arrays(answer.labels)
    x, y, z = np.rint(Geometry.of(first.labels).indices(np.array([click.point]))[0]).astype(int)
    assert after[z, y, x] == foreground
    changed = np.argwhere(after != before)
    assert len(changed) > 20
    assert (after[tuple(changed.T)] == foreground).all()
    assert (np.linalg.norm((changed - (z, y, x)) * 2.0, axis=1) <= REACH_MM).all()
    assert [shown.shape for shown in model.network.inputs] == [(5, 16, 16, 16)]
    assert answer.seconds < 5.0


def test_cut_volumes_give_nearly_the_answer_of_whole_ones(study, first):
    model, click = guided_model(), at(12.0, 0.0, 0.0, False)
    whole = refine_guided(study, model, first.labels, [click])
    local = refine_guided(local_volumes(study, model.card, click.point), model, first.labels, [click])
    a, b, before = arrays(whole.labels, local.labels, first.labels)
    assert (a != before).sum() > 500
    # The network's voxels of 4 mm lie elsewhere in a volume that was cut.
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.94


def test_a_network_that_does_not_listen_changes_the_clicked_voxels_alone(study, first):
    model = guided_model(trust=0.0)
    clicks = [at(12.0, 0.0, 0.0, False), at(-31.0, 1.0, 1.0, True)]
    answer = refine_guided(study, model, first.labels, clicks[:1])
    answer = refine_guided(study, model, answer.labels, clicks)
    before, after = arrays(first.labels, answer.labels)
    assert (after != before).sum() == 2


def test_earlier_clicks_keep_their_wish_and_drawings_elsewhere_stay(study, first):
    labels = sitk.GetArrayFromImage(first.labels)
    labels[5:9, 5:9, 5:9], labels[32, 32, 50] = 1, 2
    clicks = [at(23.0, 1.0, 1.0, False), at(25.0, 1.0, 1.0, True)]
    grid = Geometry.of(first.labels)
    kept, added = (tuple(np.rint(grid.indices(np.array([click.point]))[0]).astype(int)[::-1]) for click in clicks)
    labels[kept] = 0
    answer = sitk.GetArrayFromImage(refine_guided(study, guided_model(), grid.image(labels), clicks).labels)
    assert (answer[5:9, 5:9, 5:9] == 1).all()
    assert answer[32, 32, 50] == 2
    assert (answer[kept], answer[added]) == (0, 1)


def test_an_earlier_click_that_was_undone_is_forgotten(study, first):
    clicks = [at(0.0, 0.0, 0.0, False), at(-31.0, 1.0, 1.0, True)]
    model = guided_model()
    answer = sitk.GetArrayFromImage(refine_guided(study, model, first.labels, clicks).labels)
    foreground, background = model.network.inputs[-1][2:4]
    assert foreground.max() > 0.9
    assert not background.any()
    assert answer[tuple(np.rint(Geometry.of(first.labels).indices(np.array([clicks[0].point]))[0]).astype(int)[::-1])]


def test_only_what_the_click_was_made_for_changes_and_other_labels_stay():
    grid = Geometry((20, 20, 20), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    inside, labels = np.zeros(grid.shape, bool), np.zeros(grid.shape, np.uint8)
    inside[2:5, 2:5, 2:5], inside[17:20, 17:20, 17:20] = True, True
    labels[2, 2, 2], labels[6, 6, 6] = 2, 3
    after = labels_after_click(inside, labels, grid, [Click((12.0, 12.0, 12.0), True)], 3)
    wanted = np.zeros(grid.shape, np.uint8)
    wanted[2:5, 2:5, 2:5], wanted[2, 2, 2], wanted[6, 6, 6] = 3, 2, 3
    assert np.array_equal(after, wanted)
    after = labels_after_click(inside, after, grid, [Click((24.0, 24.0, 24.0), False)], 3)
    wanted[6, 6, 6] = 0
    assert np.array_equal(after, wanted)


def test_what_cannot_be_answered_is_said(study, first, model):
    click = at(0.0, 0.0, 0.0, True)
    for clicks, sentence in (([], "no click"), ([at(500.0, 0.0, 0.0, True)], "outside")):
        with pytest.raises(BadInputError, match=sentence):
            refine_guided(study, guided_model(), first.labels, clicks)
    with pytest.raises(BadInputError, match="takes no clicks"):
        refine_guided(study, model, first.labels, [click])
    with pytest.raises(CancelledError):
        refine_guided(study, guided_model(), first.labels, [click], should_cancel=lambda: True)
