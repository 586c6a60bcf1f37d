"""The device probe: the CPU really computes, and every combination of GPU, torch and driver gets its own advice."""

from __future__ import annotations

import pytest
import torch

from petctfusion.inference import devices, probe
from petctfusion.inference.devices import DeviceInfo

CU121 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU128 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize("capability", [(5, 0), (6, 1), (8, 6), (8, 9), (9, 0)])
def test_binary_code_runs_on_the_same_major_version(capability):
    assert probe.architecture_problem(capability, CU121, "2.5.1") is None


def test_a_gpu_newer_than_torch_gets_a_newer_torch():
    sentence, hint = probe.architecture_problem((12, 0), CU121, "2.5.1")
    assert "12.0 is newer than torch 2.5.1" in sentence
    assert "5.0 to 9.0" in sentence
    assert "newer torch through the PyTorch extension" in hint


def test_portable_code_runs_on_every_newer_gpu():
    assert probe.architecture_problem((13, 1), CU128, "2.8.0") is None


def test_a_gpu_older_than_torch_gets_an_older_backend_and_a_very_old_one_the_cpu():
    sentence, hint = probe.architecture_problem((6, 1), CU128, "2.8.0")
    assert "6.1 is older than torch 2.8.0" in sentence
    assert "cu126" in hint
    assert "use the CPU" in probe.architecture_problem((3, 5), CU121, "2.5.1")[1]


def test_letters_in_an_architecture_are_understood_and_rocm_is_not_judged():
    assert probe.architecture_problem((9, 0), ["sm_90a"], "2.8.0") is None
    assert probe.architecture_problem((9, 0), ["gfx90a", "gfx1100"], "2.8.0") is None


@pytest.mark.parametrize(
    ("cuda", "has_driver", "error", "said", "advice"),
    [
        (None, True, "", "build for the CPU alone", "Install torch with CUDA"),
        (None, False, "", "no NVIDIA driver was found", ""),
        ("12.1", False, "Found no NVIDIA driver on your system. Please check", "No NVIDIA driver", "nvidia.com"),
        ("12.8", True, "The NVIDIA driver on your system is too old (found version 11040).", "too old", "Update"),
        ("12.8", True, "CUDA unknown error\nmore", "CUDA unknown error", "nvidia-smi"),
        ("12.8", True, "", "it found no device", "nvidia-smi"),
    ],
)
def test_why_there_is_no_gpu(cuda, has_driver, error, said, advice):
    sentence, hint = probe.missing_gpu_reason(cuda, "2.9.0", has_driver, error)
    assert said in sentence
    assert advice in hint
    assert "\n" not in sentence + hint


def test_the_cpu_here_computes():
    verdict = probe.probe_devices()[0]
    assert (verdict.id, verdict.usable, verdict.hint) == ("cpu", True, "")
    assert "cores" in verdict.sentence
    assert "trial convolution" in verdict.sentence


def test_the_trial_convolution_has_one_right_answer(monkeypatch):
    assert devices.convolution_problem("cpu", 16, 4) is None
    true = torch.nn.functional.conv3d
    monkeypatch.setattr(torch.nn.functional, "conv3d", lambda x, weight: true(x, weight) * 1.001)
    assert "trial convolution gave" in devices.convolution_problem("cpu", 16, 4)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that torch lists, with the capability and the trial that a test gives it."""

    def pretend(capability, problem=None):
        listed = (DeviceInfo("cpu", "x", None, 2**34), DeviceInfo("cuda:1", "Some GPU", 6 * 2**30, 8 * 2**30))
        monkeypatch.setattr(probe, "list_devices", lambda: listed)
        monkeypatch.setattr(probe, "has_fast_half", lambda device: True)
        monkeypatch.setattr(probe, "convolution_problem", lambda device, *size: problem if "cuda" in device else None)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: {1: capability}[index])
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU121)
        return probe.probe_devices()[1]

    return pretend


def test_a_usable_gpu_says_its_free_memory(gpu):
    verdict = gpu((8, 6))
    assert verdict.usable
    assert verdict.sentence.startswith("Some GPU (cuda:1): ready. 6.0 of 8.0 GB free, compute capability 8.6")


def test_a_gpu_without_kernels_is_not_tried(gpu):
    verdict = gpu((12, 0), problem="CUDA error: no kernel image is available")
    assert not verdict.usable
    assert "newer than torch" in verdict.sentence
    assert verdict.hint


def test_a_full_gpu_says_so(gpu):
    verdict = gpu((8, 6), problem="CUDA out of memory. Tried to allocate 2.00 MiB")
    assert not verdict.usable
    assert "CUDA out of memory" in verdict.sentence
    assert "Close what else uses the GPU" in verdict.hint
