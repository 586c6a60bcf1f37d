from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.metrics.components import components_of_labels, find_components, label_lesions, overlaps
from petctfusion.metrics.runs import runs_of

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
CONNECTIVITY = st.sampled_from((6, 18, 26))


def blobs(shape, seed, level=1.0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2) > level * 0.12


def voxel_sets(components):
    return [{tuple(map(int, i)) for i in components.index(k)} for k in range(components.count)]


@settings(max_examples=150, deadline=None)
@given(MASKS, CONNECTIVITY)
def test_components_are_those_of_a_flood_fill_with_their_sizes_boxes_and_centres(oracles, mask, connectivity):
    ours = find_components(mask, connectivity)
    theirs = oracles.flood_components(mask, connectivity)
    sets = voxel_sets(ours)
    # Largest first; among equals the one whose first voxel comes first.
    assert sets == sorted(theirs, key=lambda c: (-len(c), min(c)))
    assert ours.ids == tuple(range(1, len(theirs) + 1))
    assert ours.sizes.tolist() == [len(c) for c in sets]
    for k, voxels in enumerate(sets):
        index = np.array(sorted(voxels))
        assert ours.boxes[k] == tuple(map(slice, index.min(axis=0), index.max(axis=0) + 1))
        assert ours.centres[k] == pytest.approx([math.fsum(axis) / len(voxels) for axis in index.T], rel=1e-14)
        drawn = ours.drawn([k], ours.boxes[k])
        assert {tuple(i) for i in np.argwhere(drawn) + index.min(axis=0)} == voxels
    labels, count = label_lesions(mask, connectivity)
    assert count == len(sets)
    assert all({tuple(i) for i in np.argwhere(labels == k + 1)} == c for k, c in enumerate(sets))
    assert np.array_equal(labels > 0, mask)


@pytest.mark.parametrize("shape", [(7, 9, 11), (16, 5, 8), (3, 40, 33), (1, 1, 64), (30, 1, 1)])
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_larger_masks_agree_with_scipy_whatever_lies_at_the_border(shape, connectivity):
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    for seed in range(6):
        mask = np.random.default_rng(seed).random(shape) < (0.15, 0.3, 0.5, 0.7, 0.9, 1.1)[seed]
        theirs, count = ndimage.label(mask, structure=structure)
        labels, ours = label_lesions(mask, connectivity)
        assert ours == count
        assert len({*zip(labels.ravel().tolist(), theirs.ravel().tolist(), strict=True)}) == count + (not mask.all())


@pytest.mark.parametrize(
    "same",
    [
        lambda m: m.astype(np.uint8) * 200,
        lambda m: m.astype(np.int16) * -3,
        lambda m: m.astype(np.float32) * 0.25,
        lambda m: np.asfortranarray(m),
        lambda m: np.pad(m, 1)[1:-1, 1:-1, 1:-1],
        lambda m: np.ascontiguousarray(m[:, :, ::-1])[:, :, ::-1],
        lambda m: m.astype(">i4"),
    ],
)
def test_a_mask_is_the_same_in_any_type_and_memory_order(same):
    mask = blobs((9, 13, 17), 3)
    assert find_components(mask).count > 1
    assert np.array_equal(label_lesions(same(mask))[0], label_lesions(mask)[0])


def test_runs_longer_than_a_block_are_joined_again(monkeypatch):
    mask = blobs((11, 14, 21), 5, level=-0.5)
    whole = runs_of(mask)
    monkeypatch.setattr("petctfusion.metrics.runs._BLOCK", 3)
    parts = runs_of(mask)
    assert np.array_equal(parts.first, whole.first)
    assert np.array_equal(parts.stop, whole.stop)
    assert np.array_equal(whole.voxels(), np.flatnonzero(mask))
    assert np.all(whole.first // 21 == (whole.stop - 1) // 21)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_overlaps_count_the_shared_voxels_of_every_pair(oracles, data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    a, b = (find_components(data.draw(hnp.arrays(bool, shape)), 6) for _ in range(2))
    expected = {(i, j): len(p & r) for i, p in enumerate(voxel_sets(a)) for j, r in enumerate(voxel_sets(b)) if p & r}
    found = list(zip(*(side.tolist() for side in overlaps(a, b)), strict=True))
    assert found == [(i, j, n) for (i, j), n in sorted(expected.items())]


def test_lesions_that_come_with_ids_keep_them():
    labels = np.zeros((4, 5, 6), np.int16)
    labels[0, 0, 0], labels[1, 1, 1:4], labels[1, 1, 4:6] = 7, 3, 12
    found = components_of_labels(labels)
    assert found.ids == (3, 7, 12)
    assert found.sizes.tolist() == [3, 1, 2]
    assert np.array_equal(found.labels(), labels)


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 3)), CONNECTIVITY
)
def test_an_id_in_two_places_is_refused_and_only_then(oracles, labels, connectivity):
    parts = {int(i): len(oracles.flood_components(labels == i, connectivity)) for i in np.unique(labels[labels > 0])}
    if max(parts.values(), default=0) > 1:
        with pytest.raises(BadInputError, match=f"Lesion id {min(i for i, n in parts.items() if n > 1)}"):
            components_of_labels(labels, connectivity)
    else:
        found = components_of_labels(labels, connectivity)
        assert found.ids == tuple(parts)
        assert np.array_equal(found.labels(), labels)


def test_an_empty_mask_and_an_empty_array_have_no_components():
    for shape in ((3, 4, 5), (0, 4, 5), (3, 4, 0)):
        found = find_components(np.zeros(shape, bool))
        assert (found.count, found.boxes, found.centres.shape, found.sizes.size) == (0, [], (0, 3), 0)
        assert not found.labels().any()
        assert [side.size for side in overlaps(found, found)] == [0, 0, 0]


def test_rubbish_is_refused_in_one_sentence():
    with pytest.raises(BadInputError, match="no 8-connectivity"):
        find_components(np.ones((2, 2, 2)), 8)
    with pytest.raises(BadInputError, match="2 dimensions"):
        find_components(np.ones((2, 2)))
    with pytest.raises(BadInputError, match="NaN"):
        find_components(np.full((2, 2, 2), np.nan))
    with pytest.raises(BadInputError, match="whole numbers"):
        components_of_labels(np.ones((2, 2, 2)))
    with pytest.raises(BadInputError, match="not on one grid"):
        overlaps(find_components(np.ones((2, 2, 2))), find_components(np.ones((2, 2, 3))))
