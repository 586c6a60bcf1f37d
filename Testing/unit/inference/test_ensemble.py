"""The networks of an ensemble on one study: their mean, their windows, their memory, what they lack."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from petctfusion.errors import BadInputError, CancelledError
from petctfusion.inference import part, sliding_window
from petctfusion.inference.clicks import Click, refine_labels
from petctfusion.inference.model import LoadedEnsemble, LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.study import segment_study
from petctfusion.models import EnsembleCard, Member
from petctfusion.networks import build

from .conftest import HotPet, make_card


class Constant(nn.Module):
    """The same probability everywhere, given as 255ths."""

    divisor = 4

    def __init__(self, *byte_values: float) -> None:
        super().__init__()
        self.logits = [math.log(b / (255.0 - b)) for b in byte_values]
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.cat([torch.full_like(x[:, :1], logit) for logit in self.logits], dim=1)


def loaded(network: nn.Module, name: str = "fake", **changes) -> LoadedModel:
    return LoadedModel(make_card(name=name, **changes), network.eval(), "cpu")


def ensemble(*members: LoadedModel, weights: tuple[float, ...] | None = None, **changes) -> LoadedEnsemble:
    shared = {name: getattr(members[0].card, name) for name in ("title", "labels", "training", "licence", "not_for")}
    card = EnsembleCard(
        **{
            **shared,
            "name": "both",
            "version": "1.0",
            "modalities": tuple(dict.fromkeys(kind for m in members for kind in m.card.modalities)),
            "members": tuple(
                Member(m.card.name, m.card.version, m.card.sha256, w)
                for m, w in zip(members, weights or (1.0,) * len(members), strict=True)
            ),
            **changes,
        }
    )
    return LoadedEnsemble(card, members, "cpu")


def values(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@pytest.fixture
def real() -> LoadedModel:
    """A real network with random weights on a grid that is not the study's."""
    torch.manual_seed(5)
    network = build("anatomy_guided", widths=[2, 4], modalities=["CT", "PET"])
    return loaded(network, spacing_mm=(5.0, 4.0, 4.0), flips=("x",))


def test_one_member_twice_is_that_member_to_the_last_bit(real, study):
    alone = segment_study(study, real)
    for weights in ((1.0, 1.0), (3.0, 3.0)):
        twice = segment_study(study, ensemble(real, real, weights=weights))
        assert np.array_equal(values(twice.probability), values(alone.probability))
        assert np.array_equal(values(twice.labels), values(alone.labels))
    assert values(alone.probability).std() > 0


@pytest.mark.parametrize(
    ("given", "weights", "mean"),
    [
        ((51.0, 153.0), (1.0, 1.0), 102),
        ((51.0, 153.0), (3.0, 1.0), 76.5),
        ((30.0, 60.0, 120.0), (1.0, 1.0, 1.0), 70),
        # 100 and 101, had each been rounded on its own, would make 100.
        ((100.4, 101.4), (1.0, 1.0), 101),
    ],
)
def test_known_probabilities_have_their_weighted_mean_rounded_once(study, given, weights, mean):
    members = [loaded(Constant(value), f"m{i}", spacing_mm=(4.0 + i,) * 3) for i, value in enumerate(given)]
    result = segment_study(study, ensemble(*members, weights=weights))
    # Voxels of 6 mm do not fill 128 mm to the last: at the border that member has no say, as it has none alone.
    inside = values(result.probability)[1:-1, 1:-1, 1:-1]
    # 76.5 lies between two bytes: single precision decides which.
    assert set(np.unique(inside)) <= {math.floor(mean), math.ceil(mean)}


def test_each_label_has_its_own_mean(study):
    members = [loaded(Constant(10.0, 200.0), "a", labels=2), loaded(Constant(30.0, 240.0), "b", labels=2)]
    probability = values(segment_study(study, ensemble(*members)).probability)
    assert np.unique(probability.reshape(-1, 2), axis=0).tolist() == [[20, 220]]


class HotFirst(HotPet):
    """As `HotPet`, for a model whose first modality is the PET."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x[:, [1, 0]] if x.shape[1] == 2 else x[:, [0, 0]])


def test_members_may_differ_in_grid_window_and_order_of_modalities(study):
    other = loaded(HotFirst(), "b", modalities=("PET", "CT"), spacing_mm=(3.0, 6.0, 6.0), patch=(32, 8, 16))
    mixed = ensemble(loaded(HotPet(), "a"), other)
    labels = values(segment_study(study, mixed, SegmentOptions(grid="pet")).labels) == 1
    truth = values(study["PET"]) > 3
    assert 2 * (labels & truth).sum() / (labels.sum() + truth.sum()) > 0.9


def test_threshold_and_clean_up_are_those_of_the_ensemble(study):
    members = [loaded(HotPet(), "a", threshold=0.9), loaded(Constant(25.5), "b", threshold=0.9)]
    # The ball has (1 + 0.1) / 2, everything else about (0 + 0.1) / 2.
    volume_ml = (values(study["PET"]) > 3).sum() * 0.064
    for changes, found in [
        ({"threshold": 0.5}, True),
        ({"threshold": 0.6}, False),
        ({"threshold": 0.5, "smallest_component_ml": 2 * volume_ml}, False),
    ]:
        assert values(segment_study(study, ensemble(*members, **changes)).labels).any() == found
    assert values(segment_study(study, ensemble(*members), SegmentOptions(threshold=0.01)).labels).all()


def test_one_count_runs_over_the_windows_of_all_members(study):
    members = [loaded(HotPet(), "a"), loaded(HotPet(), "b", spacing_mm=(8.0,) * 3, flips=("x", "y"))]
    alone = []
    for member in members:
        seen = []
        segment_study(study, member, report=seen.append)
        alone.append(max(step.total for step in seen if step.stage == "segment"))
    seen = []
    segment_study(study, ensemble(*members), report=seen.append)
    assert list(dict.fromkeys(step.stage for step in seen)) == ["prepare", "segment", "restore"]
    windows = [step for step in seen if step.stage == "segment"]
    assert [step.done for step in windows] == list(range(1, sum(alone) + 1))
    assert {step.total for step in windows} == {sum(alone)}


def test_cancel_is_asked_between_the_windows_of_every_member(study):
    first, second = Constant(10.0), Constant(20.0)
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += second.calls == 2
        return second.calls == 2

    with pytest.raises(CancelledError):
        segment_study(study, ensemble(loaded(first, "a"), loaded(second, "b")), should_cancel=cancel)
    assert first.calls > 2
    assert (second.calls, asked) == (2, 1)


def test_only_the_member_that_runs_out_of_memory_gets_smaller_windows(study, monkeypatch):
    forward = sliding_window._forward

    def tight(volume, network, chunk, patch, *rest):
        if patch[0] > 8 and isinstance(network, Constant):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(volume, network, chunk, patch, *rest)

    monkeypatch.setattr(sliding_window, "_forward", tight)
    hot, constant = HotPet(), Constant(25.5)
    seen = []
    result = segment_study(study, ensemble(loaded(hot, "a"), loaded(constant, "b")), report=seen.append)
    assert {shape[2] for shape in hot.shapes} == {16}
    assert len(result.notes) == 1
    assert "8 x 8 x 8" in result.notes[0]
    done = [step.done for step in seen if step.stage == "segment" and not step.note]
    assert done == list(range(1, len(done) + 1))
    assert done[-1] == len(hot.shapes) + constant.calls == seen[-3].total


def test_members_rest_in_main_memory_and_visit_the_gpu_in_their_turn(study, monkeypatch):
    """The device is pretended: what is moved there stays here."""
    moves = []
    predict = part.predict_windows

    def here(array, network, patch, *, device, **rest):
        moves.append(("run", network.name, device))
        return predict(array, network, patch, device="cpu", **rest)

    monkeypatch.setattr(part, "predict_windows", here)
    monkeypatch.setattr(part, "free_cached_memory", lambda device: None)
    monkeypatch.setattr("petctfusion.inference.study.has_fast_half", lambda device: True)
    monkeypatch.setattr(nn.Module, "to", lambda self, device: moves.append(("to", self.name, device)) or self)
    members = [loaded(Constant(10.0), name) for name in ("a", "b")]
    for member in members:
        member.network.name = member.card.name
    resting = ensemble(*members)
    result = segment_study(study, LoadedEnsemble(resting.card, resting.members, "cuda:0"))
    visit = [("to", "cuda:0"), ("run", "cuda:0"), ("to", "cpu")]
    assert moves == [(what, name, device) for name in ("a", "b") for what, device in visit]
    assert result.device == "cuda:0"


def test_a_modality_that_one_member_lacks_is_told_before_the_first_one_runs(study):
    first = HotFirst()
    pet_only = {"modalities": ("PET",), "units": {"PET": "SUVbw"}, "clip": {"PET": (0.0, 25.0)}}
    both = ensemble(loaded(first, "a", **pet_only), loaded(HotPet(), "b"))
    with pytest.raises(BadInputError, match="b needs CT and PET; CT is missing"):
        segment_study({"PET": study["PET"]}, both, SegmentOptions(grid="pet"))
    assert first.shapes == []


def test_members_that_can_do_without_a_modality_say_so_each(study):
    members = [loaded(HotPet(), name) for name in ("a", "b")]
    for member in members:
        member.network.optional_modalities = ("CT",)
    whole = segment_study(study, ensemble(*members), SegmentOptions(grid="pet"))
    without = segment_study({"PET": study["PET"]}, ensemble(*members), SegmentOptions(grid="pet"))
    assert [note.split()[-3] for note in without.notes] == ["runs", "runs"]
    assert [name for name in ("a", "b") for note in without.notes if f": {name} runs" in note] == ["a", "b"]
    assert np.array_equal(values(whole.labels), values(without.labels))


def test_what_two_members_are_given_alike_is_prepared_once(study, monkeypatch):
    prepared = []

    def counted(*arguments):
        prepared.append(arguments[1].name)
        return prepare(*arguments)

    prepare = part.prepare
    monkeypatch.setattr(part, "prepare", counted)
    members = [loaded(HotPet(), "a"), loaded(HotPet(), "b"), loaded(HotPet(), "c", clip={"CT": (0, 1), "PET": (0, 9)})]
    segment_study(study, ensemble(*members))
    assert prepared == ["a", "c"]


def test_a_click_corrects_the_result_of_an_ensemble(study):
    # The mean in the ball is 0.55: under this threshold, and what a click there asks for.
    model = ensemble(loaded(HotPet(), "a"), loaded(Constant(25.5), "b"), threshold=0.6)
    result = segment_study(study, model)
    assert not values(result.labels).any()
    corrected = refine_labels(result.probability, result.labels, [Click((64.0, 64.0, 64.0), True)], 0.6)
    ball_ml = (values(study["PET"]) > 3).sum() * 0.064
    assert values(corrected).sum() * 0.008 == pytest.approx(ball_ml, rel=0.3)
