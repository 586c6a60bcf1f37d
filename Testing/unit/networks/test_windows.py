"""Windows folded into the batch and back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from petctfusion.networks.blocks.windows import fold_windows, unfold_windows

extents = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=3)


@settings(deadline=None)
@given(extents=extents, batch=st.integers(1, 3), channels=st.integers(1, 3))
def test_unfolding_gives_back_every_voxel_exactly(extents, batch, channels):
    window = [extent for _, extent in extents]
    sizes = [count * extent for count, extent in extents]
    x = torch.randn(batch, channels, *sizes)
    assert torch.equal(unfold_windows(fold_windows(x, window), sizes), x)


def test_each_window_holds_its_own_box_and_nothing_else():
    x = torch.arange(2 * 3 * 4 * 8 * 6.0).view(2, 3, 4, 8, 6)
    windows = fold_windows(x, (2, 4, 3))
    assert windows.shape == (2 * 2 * 2 * 2, 3, 2, 4, 3)
    number = 0
    for study in range(2):
        for z in range(0, 4, 2):
            for y in range(0, 8, 4):
                for left in range(0, 6, 3):
                    box = x[study, :, z : z + 2, y : y + 4, left : left + 3]
                    assert torch.equal(windows[number], box)
                    number += 1


@pytest.mark.parametrize("sizes", [(4, 9, 6), (4, 8)])
def test_sizes_that_are_no_multiple_are_refused(sizes):
    with pytest.raises(ValueError, match="multiples of the window"):
        fold_windows(torch.zeros(1, 1, *sizes), (2, 4, 3))
    with pytest.raises(ValueError, match="multiples of the window"):
        unfold_windows(torch.zeros(4, 1, 2, 4, 3), sizes)
