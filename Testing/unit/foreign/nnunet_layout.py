"""nnU-Net v2's files, as its own package writes them, and images to try them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from dynamic_network_architectures.architectures import unet
from torch import nn

CT = {"mean": 30.0, "std": 200.0, "percentile_00_5": -300.0, "percentile_99_5": 400.0}
PET = {"mean": 4.0, "std": 2.5, "percentile_00_5": 0.5, "percentile_99_5": 9.0}


def settings(architecture: str, dims: int, strides: list[Any]) -> dict[str, Any]:
    """`arch_kwargs` as plans.json holds them."""
    stages = len(strides)
    per_stage = "n_conv_per_stage" if architecture == "PlainConvUNet" else "n_blocks_per_stage"
    return {
        "n_stages": stages,
        "features_per_stage": [4 * 2**stage for stage in range(stages)],
        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": [[3] * dims] * stages,
        "strides": strides,
        per_stage: [1] * stages,
        "n_conv_per_stage_decoder": [1] * (stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def network_of(architecture: str, arch_kwargs: dict[str, Any], heads: int, seed: int) -> nn.Module:
    """The network as the package itself builds it, with weights large enough to tell voxels apart."""
    conv, norm = arch_kwargs["conv_op"].rpartition(".")[2], arch_kwargs["norm_op"].rpartition(".")[2]
    torch.manual_seed(seed)
    classes = {"conv_op": getattr(nn, conv), "norm_op": getattr(nn, norm), "nonlin": nn.LeakyReLU}
    built: nn.Module = getattr(unet, architecture)(
        input_channels=2, num_classes=heads, deep_supervision=True, **{**arch_kwargs, **classes}
    )
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.8)
    return built.eval()


def checkpoint(state: dict[str, torch.Tensor], configuration: str, mirror: tuple[int, ...] | None) -> dict[str, Any]:
    """What nnU-Net 2.8 saves, with NumPy's numbers where it has them."""
    return {
        "network_weights": state,
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"train_losses": [np.float32(0.5)], "ema_fg_dice": [np.float64(0.1)], "epoch_end_timestamps": [1.0]},
        "_best_ema": np.float64(0.1),
        "current_epoch": 1,
        "init_args": {"configuration": configuration, "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": mirror,
    }


def image(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """An image of (z, y, x) values; `spacing_mm` is (z, y, x)."""
    made = sitk.GetImageFromArray(array.astype(np.float32))
    made.SetSpacing(spacing_mm[::-1])
    return made


def arrays(study: dict[str, sitk.Image]) -> dict[str, np.ndarray]:
    """The values of every image of a study."""
    return {name: sitk.GetArrayFromImage(volume).astype(np.float64) for name, volume in study.items()}
