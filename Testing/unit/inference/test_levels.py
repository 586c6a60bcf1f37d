"""A threshold moved on prepared levels gives the mask that the worker would give, voxel by voxel."""

import numpy as np
import pytest
from scipy import ndimage

from petctfusion.inference.levels import CleanUp, ProbabilityLevels
from petctfusion.inference.postprocess import labels_from_probability

VOXEL_ML = 0.05


def field(seed, smooth=1.2, shape=(22, 26, 30)):
    """Bumps, islands and hollows of every level."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return np.clip((noise / noise.std() + 1) * 90, 0, 255).astype(np.uint8)


def dense(levels, threshold):
    mask = np.zeros(levels.shape, dtype=np.uint8)
    mask[tuple(levels.indices[:, levels.inside(threshold)])] = 1
    return mask


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(("smallest_ml", "share"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.4, 0.2)])
def test_every_threshold_gives_the_workers_mask(seed, holes, smallest_ml, share):
    probability = field(seed)
    levels = ProbabilityLevels(probability, 0.05, CleanUp(smallest_ml / VOXEL_ML, share, holes))
    for threshold in (0.05, 0.2, 0.35, 0.5, 0.5001, 0.7, 0.95):
        worker = labels_from_probability(probability, VOXEL_ML, threshold, smallest_ml, holes, (1,), share)
        assert np.array_equal(dense(levels, threshold), worker), threshold


def test_an_island_in_a_hollow_joins_it_where_the_shell_is_closed():
    probability = np.zeros((15, 15, 15), np.uint8)
    probability[2:13, 2:13, 2:13] = 200
    probability[3:12, 3:12, 3:12] = 0
    probability[7, 7, 7] = 100
    probability[2, 7, 7] = 60
    levels = ProbabilityLevels(probability, 0.05, CleanUp(smallest_voxels=5, fill_holes=True))
    for threshold in (0.1, 0.23, 0.24, 0.3, 0.5):
        worker = labels_from_probability(probability, 1.0, threshold, 5.0, True)
        assert np.array_equal(dense(levels, threshold), worker), threshold
    assert dense(levels, 0.1).sum() == 11**3


def test_nothing_above_the_lowest_threshold_is_an_empty_mask():
    levels = ProbabilityLevels(np.full((4, 5, 6), 3, np.uint8), 0.05, CleanUp(10.0, 1.0))
    assert levels.inside(0.05).shape == (0,)


def test_a_threshold_below_the_lowest_is_refused():
    levels = ProbabilityLevels(field(0), 0.2)
    with pytest.raises(ValueError, match="prepared from"):
        levels.inside(0.1)
