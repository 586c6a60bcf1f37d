"""A live comparison is, after every edit, equal to a full recomputation to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from petctfusion.errors import BadInputError
from petctfusion.metrics import LiveComparison, compare_masks

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 2.04, 2.04), (3.27, 0.977, 0.977), (5.0, 1.0, 1.0), (0.9, 2.1, 4.07)]
UNIT = st.floats(0, 1, exclude_max=True)


def ball(shape, spacing, centre_mm, radius_mm):
    """The box of a ball on a grid, cut to it, and the voxels of the ball in that box."""
    low = [max(int((c - radius_mm) / s), 0) for c, s in zip(centre_mm, spacing, strict=True)]
    high = [min(int((c + radius_mm) / s) + 2, n) for c, s, n in zip(centre_mm, spacing, shape, strict=True)]
    box = tuple(slice(min(a, b), b) for a, b in zip(low, high, strict=True))
    axes = np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij", sparse=True)
    square = sum((axis * step - c) ** 2 for axis, step, c in zip(axes, spacing, centre_mm, strict=True))
    return box, square <= radius_mm**2


def assert_same(live, full):
    """Every number, and what they are computed from, bit for bit."""
    for name in ("dice", "jaccard", "hd95_mm", "hd_mm", "assd_mm", "nsd", "volume_ml", "centre_distance_mm"):
        assert getattr(live, name) == getattr(full, name), name
    for name in ("a", "b", "both"):
        assert np.array_equal(getattr(live.overlap, name), getattr(full.overlap, name))
    assert np.array_equal(live.slices.dice, full.slices.dice, equal_nan=True)
    for one, two in ((live.voxel, full.voxel), (live.surfel, full.surfel)):
        if one is None and two is None:
            continue
        for mine, theirs in ((one.a_to_b, two.a_to_b), (one.b_to_a, two.b_to_a)):
            assert np.array_equal(mine.squares_mm2, theirs.squares_mm2)
            assert np.array_equal(mine.amounts, theirs.amounts)
        assert one.mean_mm() == two.mean_mm()
        assert one.pooled_mm(95) == two.pooled_mm(95)
        assert one.directed_mm(50) == two.directed_mm(50)
        assert one.nsd(2.0) == two.nsd(2.0)


class Editing(RuleBasedStateMachine):
    """Paints, erases, undoes, moves lesions and replaces everything on one grid."""

    sizes = st.tuples(st.integers(3, 40), st.integers(3, 40), st.integers(3, 40))
    radii = st.floats(0.6, 16)
    checked = 0

    @initialize(shape=sizes, spacing=st.sampled_from(SPACINGS), surfels=st.booleans(), seed=st.integers(0, 2**16))
    def begin(self, shape, spacing, surfels, seed):
        self.start(shape, spacing, surfels, np.random.default_rng(seed))

    def start(self, shape, spacing, surfels, random, lesions=None):
        self.shape, self.spacing, self.surfels = shape, spacing, surfels
        self.reference, self.mask = np.zeros(shape, bool), np.zeros(shape, bool)
        self.extent = [n * s for n, s in zip(shape, spacing, strict=True)]
        for _ in range(int(random.integers(0, 4)) if lesions is None else lesions):
            centre, radius = random.uniform(0, 1, 3) * self.extent, random.uniform(1, 20)
            box, inside = ball(shape, spacing, centre, radius)
            self.reference[box] |= inside
            if random.random() < 0.8:
                box, inside = ball(shape, spacing, centre + random.normal(0, 2, 3), radius * random.uniform(0.8, 1.2))
                self.mask[box] |= inside
        self.live = LiveComparison(self.reference, spacing, surfels=surfels)
        self.live.replace(self.mask)
        self.history = []

    def stroke(self, place, radius, paint):
        box, inside = ball(self.shape, self.spacing, [p * e for p, e in zip(place, self.extent, strict=True)], radius)
        self.history.append((box, self.mask[box].copy()))
        values = self.mask[box] | inside if paint else self.mask[box] & ~inside
        self.mask[box] = values
        self.live.update(box, values)

    @rule(place=st.tuples(UNIT, UNIT, UNIT), radius=radii)
    def paint(self, place, radius):
        self.stroke(place, radius, True)

    @rule(place=st.tuples(UNIT, UNIT, UNIT), radius=radii)
    def erase(self, place, radius):
        self.stroke(place, radius, False)

    @rule(which=UNIT, radius=radii, paint=st.booleans())
    def stroke_on_the_contour(self, which, radius, paint):
        places = np.argwhere(self.mask | self.reference)
        if len(places):
            self.stroke(
                [p / n for p, n in zip(places[int(which * len(places))], self.shape, strict=True)], radius, paint
            )

    @rule()
    def undo(self):
        if self.history:
            box, values = self.history.pop()
            self.mask[box] = values
            self.live.update(box, values)

    @rule(step=st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3)))
    def move_everything(self, step):
        whole = tuple(slice(0, n) for n in self.shape)
        self.history.append((whole, self.mask.copy()))
        self.mask = np.roll(self.mask, step, (0, 1, 2))
        self.live.update(whole, self.mask)

    @rule(fill=st.booleans())
    def replace_everything(self, fill):
        self.history.append((tuple(slice(0, n) for n in self.shape), self.mask.copy()))
        self.mask = np.full(self.shape, fill)
        self.live.replace(self.mask)

    @invariant()
    def equal_to_full_recomputation(self):
        if not hasattr(self, "live"):
            return
        assert np.array_equal(self.live.prediction, self.mask)
        full = compare_masks(self.mask, self.reference, self.spacing, surfels=self.surfels)
        assert_same(self.live.agreement(), full)
        type(self).checked += 1


class EditingWholeBody(Editing):
    """The same on a whole-body pair with ten lesions, far apart."""

    @initialize(surfels=st.booleans(), seed=st.integers(0, 2**16))
    def begin(self, surfels, seed):
        self.start((326, 400, 400), (3.0, 2.04, 2.04), surfels, np.random.default_rng(seed), lesions=10)

    @rule()
    def replace_everything(self):
        self.history.append((tuple(slice(0, n) for n in self.shape), self.mask.copy()))
        self.mask = np.zeros(self.shape, bool)
        self.live.replace(self.mask)


def run(machine, number, examples, steps):
    kind = seed(number)(type(f"{machine.__name__}{number}", (machine,), {"checked": 0}))
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None, suppress_health_check=quiet
        ),
    )
    return kind.checked


@pytest.mark.parametrize("number", range(5))
def test_every_edit_is_exact(number, record_property):
    checked = run(Editing, number, 14, 40)
    record_property("checked_steps", checked)
    print(f"seed {number}: {checked} checked steps")
    assert checked >= 400


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_every_edit_is_exact_on_a_whole_body(number):
    checked = run(EditingWholeBody, number, 2, 20)
    print(f"seed {number}: {checked} checked whole-body steps")
    assert checked >= 20


def test_a_stroke_on_a_whole_body_pair_is_exact():
    machine = EditingWholeBody()
    machine.start((326, 400, 400), (3.0, 2.04, 2.04), True, np.random.default_rng(7), lesions=6)
    for which, radius, paint in ((0.1, 9.0, True), (0.7, 12.0, False), (0.9, 4.0, True)):
        machine.stroke_on_the_contour(which, radius, paint)
        machine.equal_to_full_recomputation()


def small():
    reference = np.zeros((8, 10, 12), bool)
    reference[2:5, 3:7, 4:9] = True
    return LiveComparison(reference, (3.0, 1.0, 2.0))


def test_the_worst_place_is_the_farthest_surface_voxel():
    live = small()
    assert live.worst() is None
    live.update((slice(2, 5), slice(3, 7), slice(4, 9)), np.ones((3, 4, 5), bool))
    worst = live.worst()
    assert worst.distance_mm == 0
    live.update((slice(7, 8), slice(9, 10), slice(11, 12)), np.ones((1, 1, 1), bool))
    worst = live.worst()
    assert (worst.index_zyx, worst.on) == ((7, 9, 11), "prediction")
    assert worst.distance_mm == pytest.approx(math.sqrt(9.0**2 + 3.0**2 + 6.0**2), abs=1e-9)
    assert worst.worst_slice == 7


def test_a_missed_lesion_is_the_worst_place_of_the_reference():
    reference = np.zeros((6, 8, 30), bool)
    reference[2:4, 2:4, 2:4] = reference[2:4, 2:4, 27:29] = True
    live = LiveComparison(reference, (1.0, 1.0, 1.0))
    live.update((slice(2, 4), slice(2, 4), slice(2, 4)), np.ones((2, 2, 2), bool))
    worst = live.worst()
    assert worst.on == "reference"
    assert worst.index_zyx[2] == 28
    assert worst.distance_mm == pytest.approx(25, abs=1e-9)


def test_revisions_count_changes_only():
    live = small()
    before = live.revision
    live.update((slice(0, 2), slice(0, 2), slice(0, 2)), np.zeros((2, 2, 2), bool))
    assert live.revision == before
    live.update((slice(0, 2), slice(0, 2), slice(0, 2)), np.ones((2, 2, 2), bool))
    assert live.revision == before + 1


def test_the_prediction_cannot_be_written_past_the_comparison():
    live = small()
    with pytest.raises(ValueError, match="read-only"):
        live.prediction[0, 0, 0] = True


def test_the_mask_given_is_copied():
    live = small()
    mask = np.zeros((8, 10, 12), bool)
    live.replace(mask)
    mask[:] = True
    assert not live.prediction.any()


@pytest.mark.parametrize(
    ("box", "values"),
    [
        ((slice(0, 9), slice(0, 1), slice(0, 1)), np.ones((9, 1, 1))),
        ((slice(-1, 1), slice(0, 1), slice(0, 1)), np.ones((2, 1, 1))),
        ((slice(0, 2), slice(0, 1), slice(0, 1)), np.ones((1, 1, 1))),
        ((slice(0, 4, 2), slice(0, 1), slice(0, 1)), np.ones((2, 1, 1))),
        ((slice(0, 1), slice(0, 1)), np.ones((1, 1))),
    ],
)
def test_a_box_that_does_not_fit_is_refused_and_nothing_changes(box, values):
    live = small()
    live.update((slice(2, 4), slice(2, 4), slice(2, 4)), np.ones((2, 2, 2), bool))
    before = live.agreement()
    with pytest.raises(BadInputError, match="box"):
        live.update(box, values)
    assert_same(live.agreement(), before)


def test_a_prediction_of_another_shape_is_refused():
    with pytest.raises(BadInputError, match="shape"):
        small().replace(np.zeros((8, 10, 11), bool))


def test_a_flat_reference_is_refused():
    with pytest.raises(BadInputError, match="3-D"):
        LiveComparison(np.zeros((8, 10), bool), (1.0, 1.0))
