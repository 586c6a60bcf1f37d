from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from petctfusion.errors import CancelledError
from petctfusion.inference.sliding_window import predict_windows
from petctfusion.inference.windows import count_windows, importance, padding, window_starts

AIR = (-1024.0, 0.0)
sizes = st.tuples(*[st.integers(8, 40)] * 3)


@given(sizes, st.floats(0.0, 0.9))
def test_windows_cover_every_voxel_overlap_enough_and_stay_inside(shape, overlap):
    patch = (8, 8, 8)
    starts = window_starts(shape, patch, overlap)
    for axis in range(3):
        firsts = sorted({start[axis] for start in starts})
        assert firsts[0] == 0
        assert firsts[-1] == shape[axis] - 8
        # Evenly spread positions are rounded to voxels.
        assert all(b - a <= 8 * (1 - overlap) + 1 for a, b in itertools.pairwise(firsts))
    assert len(starts) == count_windows(shape, patch, overlap)


def test_no_window_more_than_needed():
    assert count_windows((64, 64, 64), (64, 64, 64), 0.5) == 1
    assert count_windows((65, 64, 64), (64, 64, 64), 0.5) == 2
    assert count_windows((96, 64, 20), (64, 64, 64), 0.5) == 2
    assert count_windows((128, 128, 128), (64, 64, 64), 0.5) == 27


def test_the_middle_of_a_window_counts_most_and_nothing_counts_nothing():
    weight = importance((8, 16, 5))
    assert weight.shape == (8, 16, 5)
    assert weight.min() > 0
    assert np.unravel_index(weight.argmax(), weight.shape)[2] == 2
    assert np.allclose(weight, weight[::-1, ::-1, ::-1])


@pytest.mark.parametrize("shape", [(16, 16, 16), (7, 20, 33), (40, 16, 18), (1, 1, 1)])
def test_a_network_that_looks_at_single_voxels_gives_the_same_everywhere(hot, shape):
    array = np.random.default_rng(0).uniform(0, 6, (2, *shape)).astype(np.float32)
    probability = predict_windows(array, hot, (16, 16, 16), air=AIR)
    expected = 1 / (1 + np.exp(-4.0 * (array[1] - 3.0)))
    assert probability.shape == (1, *shape)
    assert probability.dtype == np.float32
    assert np.allclose(probability[0], expected, atol=1e-5)
    assert {s[2:] for s in hot.shapes} == {(16, 16, 16)}


def test_a_small_volume_is_padded_on_both_sides_with_the_air_of_each_modality():
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return x[:, :1] * 0

    predict_windows(np.full((2, 4, 8, 8), 5.0, np.float32), Spy(), (8, 8, 8), air=AIR)
    assert padding((4, 8, 8), (8, 8, 8)) == [(2, 2), (0, 0), (0, 0)]
    ct, pet = seen[0][0]
    assert (ct[:2] == -1024).all()
    assert (ct[-2:] == -1024).all()
    assert (ct[2:6] == 5).all()
    assert (pet[:2] == 0).all()
    assert (pet[2:6] == 5).all()


class Lopsided(torch.nn.Module):
    """Looks at the voxel before it along x, and along z: mirroring changes what it sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.roll(x[:, 1:2], (1, 1), dims=(2, 4)) - 3


def test_flips_average_all_combinations_mirrored_back():
    array = np.random.default_rng(0).uniform(0, 6, (2, 8, 8, 8)).astype(np.float32)
    mean = predict_windows(array, Lopsided(), (8, 8, 8), air=AIR, flips=("x", "z"))[0]

    def sigmoid(v):
        return 1 / (1 + np.exp(3 - v))

    rolled = [np.roll(array[1], (z, x), axis=(0, 2)) for z in (1, -1) for x in (1, -1)]
    assert np.allclose(mean, np.mean([sigmoid(r) for r in rolled], axis=0), atol=1e-5)


def test_a_batch_of_windows_gives_what_single_windows_give(hot):
    array = np.random.default_rng(0).uniform(0, 6, (2, 20, 33, 17)).astype(np.float32)
    one = predict_windows(array, Lopsided(), (16, 16, 16), air=AIR, flips=("y",))
    three = predict_windows(array, Lopsided(), (16, 16, 16), air=AIR, flips=("y",), batch=3)
    assert np.allclose(one, three, atol=1e-6)


def test_a_network_of_images_sees_slices():
    class Flat(torch.nn.Module):
        def forward(self, x):
            assert x.shape[1:] == (2, 16, 16)
            return 4.0 * (x[:, 1:2] - 3.0)

    array = np.random.default_rng(0).uniform(0, 6, (2, 5, 20, 16)).astype(np.float32)
    probability = predict_windows(array, Flat(), (1, 16, 16), air=AIR, batch=4)
    assert np.allclose(probability[0], 1 / (1 + np.exp(-4.0 * (array[1] - 3.0))), atol=1e-5)


def test_progress_counts_every_window_and_its_mirrored_copies(hot):
    seen = []
    array = np.zeros((2, 24, 16, 16), np.float32)
    predict_windows(array, hot, (16, 16, 16), air=AIR, flips=("x",), report=lambda *step: seen.append(step))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_cancel_stops_before_the_next_window(hot):
    array = np.zeros((2, 64, 16, 16), np.float32)
    with pytest.raises(CancelledError):
        predict_windows(array, hot, (16, 16, 16), air=AIR, should_cancel=lambda: len(hot.shapes) == 2)
    assert len(hot.shapes) == 2
