"""A small result folder in nnU-Net v2's layout, with random weights of the real architecture package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

sys.path.insert(0, str(Path(__file__).parent))

from nnunet_layout import CT, PET, checkpoint, image, network_of, settings


@pytest.fixture
def nnunet_folder(tmp_path: Path) -> Callable[..., Path]:
    """`nnunet_folder(architecture, dims, ...)` writes a folder as a training of nnU-Net 2.8 leaves it."""

    def make(
        architecture: str = "PlainConvUNet",
        dims: int = 3,
        folds: tuple[Any, ...] = (0,),
        mirror: tuple[int, ...] | None = None,
        dataset: dict[str, Any] | None = None,
        broken: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Path:
        name = {2: "2d", 3: "3d_fullres"}[dims]
        folder = tmp_path / "Dataset900_Toy" / f"nnUNetTrainer__nnUNetPlans__{name}"
        folder.mkdir(parents=True)
        facts = {
            "channel_names": {"0": "CT", "1": "PET"},
            "labels": {"background": 0, "tumour": 1},
            "licence": "CC BY 4.0",
            "file_ending": ".nii.gz",
            **(dataset or {}),
        }
        strides = changes.pop("strides", [[1] * dims, [2] * dims])
        heads = len([label for label in facts["labels"] if label != "ignore"])
        arch_kwargs = settings(architecture, dims, strides)
        configuration = {
            "preprocessor_name": "DefaultPreprocessor",
            "patch_size": [16] * dims,
            "spacing": [4.0] * dims,
            "normalization_schemes": ["CTNormalization", "CTNormalization"],
            "use_mask_for_norm": [False, False],
            "architecture": {
                "network_class_name": f"dynamic_network_architectures.architectures.unet.{architecture}",
                "arch_kwargs": arch_kwargs,
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
        }
        plans = {
            "dataset_name": "Dataset900_Toy",
            "transpose_forward": [0, 1, 2],
            "original_median_spacing_after_transp": [4.0, 4.0, 4.0],
            "foreground_intensity_properties_per_channel": {"0": CT, "1": PET},
        }
        configuration.update(broken or {})
        for key, value in changes.items():
            (plans if key in plans else configuration)[key] = value
        plans["configurations"] = {name: configuration}
        (folder / "dataset.json").write_text(json.dumps(facts))
        (folder / "plans.json").write_text(json.dumps(plans))
        for seed, fold in enumerate(folds):
            (folder / f"fold_{fold}").mkdir()
            state = network_of(architecture, arch_kwargs, heads, seed).state_dict()
            torch.save(checkpoint(state, name, mirror), folder / f"fold_{fold}" / "checkpoint_final.pth")
        return folder

    return make


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's models."""
    folder = tmp_path / "own"
    monkeypatch.setenv("PETCTFUSION_MODELS", str(folder))
    return folder


@pytest.fixture
def study() -> Callable[..., dict[str, sitk.Image]]:
    """`study(shape, spacing_mm)`: noise in HU and SUV on one grid, some of it outside every clip."""

    def make(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> dict[str, sitk.Image]:
        noise = np.random.default_rng(3)
        return {
            "CT": image(noise.normal(50.0, 300.0, shape), spacing_mm),
            "PET": image(noise.gamma(2.0, 2.0, shape), spacing_mm),
        }

    return make
