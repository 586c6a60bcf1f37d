from __future__ import annotations

import pytest
import torch

from petctfusion.errors import OutOfMemoryError
from petctfusion.inference import part as part_module
from petctfusion.inference import study as study_module
from petctfusion.inference.memory_ladder import Rung, climb, is_out_of_memory, rungs
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.study import segment_study

GPU = Rung("cuda:0", (64, 64, 64), 2, False)


def test_on_a_gpu_windows_shrink_then_precision_then_the_cpu_takes_over():
    steps = [(r.device, r.patch[0], r.batch, r.half) for r in rungs(GPU, (16, 16, 16))]
    assert steps == [
        ("cuda:0", 64, 2, False),
        ("cuda:0", 64, 1, False),
        ("cuda:0", 32, 1, False),
        ("cuda:0", 64, 2, True),
        ("cuda:0", 64, 1, True),
        ("cuda:0", 32, 1, True),
        ("cpu", 64, 2, False),
        ("cpu", 64, 1, False),
        ("cpu", 32, 1, False),
    ]


def test_a_gpu_without_half_precision_goes_to_the_cpu_at_once():
    assert not any(r.half for r in rungs(GPU, (16, 16, 16), gpu_has_half=False))
    assert [r.device for r in rungs(GPU, (16, 16, 16), gpu_has_half=False)].count("cpu") == 3


def test_each_axis_keeps_its_own_divisor():
    steps = list(rungs(Rung("cpu", (24, 256, 256), 1, False), (1, 32, 32)))
    assert [r.patch for r in steps] == [(24, 256, 256), (12, 128, 128), (6, 64, 64), (3, 64, 64), (2, 64, 64)]


def test_on_a_cpu_only_windows_shrink_and_keep_the_divisor():
    steps = list(rungs(Rung("cpu", (48, 96, 80), 1, False), (16, 16, 16)))
    assert [r.patch for r in steps] == [(48, 96, 80), (32, 48, 32), (32, 32, 32)]
    assert {r.device for r in steps} == {"cpu"}


def test_a_slice_stays_a_slice():
    assert [r.patch for r in rungs(Rung("cpu", (1, 128, 128), 1, False), (16, 16, 16))][-1] == (1, 32, 32)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8589934592 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_failed_allocations_are_recognised(error):
    assert is_out_of_memory(error)


def test_a_real_failed_allocation_is_recognised():
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyError("x")])
def test_other_errors_are_not_taken_for_it_and_pass_through(error):
    def attempt(rung):
        raise error

    with pytest.raises(type(error)):
        climb(rungs(GPU, (16, 16, 16)), attempt, lambda note: None)


def test_every_step_is_announced_with_what_is_tried():
    notes = []

    def attempt(rung):
        if rung.device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return rung

    assert climb(rungs(GPU, (16, 16, 16)), attempt, notes.append) == Rung("cpu", (64, 64, 64), 2, False)
    assert len(notes) == 6
    assert "32 x 32 x 32 voxels in half precision" in notes[4]
    assert "on the processor" in notes[5]


class Full(torch.nn.Module):
    """Raises for windows above `limit` voxels a side."""

    divisor = 4

    def __init__(self, inner: torch.nn.Module, limit: int) -> None:
        super().__init__()
        self.inner, self.limit = inner, limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if max(x.shape[2:]) > self.limit:
            raise torch.OutOfMemoryError("injected: out of memory")
        return self.inner(x)


def test_a_study_that_does_not_fit_is_done_with_smaller_windows_and_says_so(model, study, hot):
    seen = []
    tight = LoadedModel(model.card, Full(hot, 8), "cpu")
    result = segment_study(study, tight, SegmentOptions(), seen.append)
    assert len(result.notes) == 1
    assert "8 x 8 x 8" in result.notes[0]
    assert [step.note for step in seen if step.note] == list(result.notes)
    whole = segment_study(study, model, SegmentOptions())
    assert abs(float(_sum(result.labels)) - _sum(whole.labels)) == 0


def test_a_study_that_never_fits_ends_with_a_sentence_and_a_hint(model, study, hot):
    with pytest.raises(OutOfMemoryError, match="not enough memory") as caught:
        segment_study(study, LoadedModel(model.card, Full(hot, 4), "cpu"))
    assert caught.value.hint


def test_a_gpu_that_is_full_hands_over_to_the_cpu(model, study, monkeypatch):
    """The device is pretended: whatever goes to it runs out of memory, as does a real one that another job fills."""
    predict = part_module.predict_windows
    tried = []

    def crowded(array, network, patch, *, device, half, **rest):
        tried.append((device, patch[0], half))
        if device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return predict(array, network, patch, device=device, half=half, **rest)

    monkeypatch.setattr(part_module, "predict_windows", crowded)
    monkeypatch.setattr(study_module, "plan_device", lambda wanted: wanted)
    monkeypatch.setattr(study_module, "has_fast_half", lambda device: True)
    monkeypatch.setattr(part_module, "free_cached_memory", lambda device: None)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: self)
    result = segment_study(study, model, SegmentOptions(device="cuda:0"))
    assert tried == [
        ("cuda:0", 16, False),
        ("cuda:0", 8, False),
        ("cuda:0", 16, True),
        ("cuda:0", 8, True),
        ("cpu", 16, False),
    ]
    assert result.device == "cpu"
    assert len(result.notes) == 4


def _sum(labels) -> int:
    import SimpleITK as sitk

    return int(sitk.GetArrayViewFromImage(labels).sum())
