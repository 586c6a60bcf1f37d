"""nnU-Net v2's checkpoints become a card with safetensors; no pickle is run.

What differs from nnU-Net's own inference: volumes are resampled linearly (Gaussian against aliasing) instead of by
third-order splines; the clip follows the resampling; probabilities of windows, mirrored copies and folds are averaged
instead of their logits; numbers of the study (z-score) are those of the PET's own voxels, where nnU-Net's user may have
interpolated it to the CT before (on sarcoma patients its standard deviation is then 2 % smaller); a network of slices
sees them at the training's median distance; and a label needs at least the card's threshold, also where it is only the
largest of several. In one window at the plan's spacing nothing differs (Testing/unit/models/test_foreign_real_nnunet).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from petctfusion.errors import ModelError
from petctfusion.inference.checkpoints import load_checkpoint
from petctfusion.inference.foreign_weights import save_weights
from petctfusion.inference.options import AXES
from petctfusion.models import ModelCard, write_card
from petctfusion.models.foreign import ForeignChoices
from petctfusion.models.nnunet_folder import NnUNetFolder, read_nnunet_folder
from petctfusion.networks import build

# Organ heads beside the lesion heads, which inference leaves out: forward(x, organ=False) in
# github.com/MIC-DKFZ/autopet-3-submission, nnunetv2/architecture/ResidualEncoderUNetOrgan.py.
_UNUSED = "decoder.organ_seg_layers."


def convert_nnunet(source: Path, target: Path, choices: ForeignChoices) -> ModelCard:
    """Write the model of a result folder into `target` and return its card. Raises `ModelError`, `OSError`."""
    folder = read_nnunet_folder(source, choices)
    try:
        network = build("nnunet", **folder.arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The network of {source / 'plans.json'} cannot be built: {error}.",
            "Choose a model that was trained with one of nnU-Net's own planners.",
        ) from error
    flips: tuple[str, ...] = ()
    for index, path in enumerate(folder.checkpoints):
        checkpoint = load_checkpoint(path)
        _load_fold(network, index, checkpoint, path)
        if index == 0:
            flips = _flips(checkpoint, folder, path)
    own_weights: Callable[[], dict[str, torch.Tensor]] = network.own_weights  # type: ignore[assignment]
    card = folder.card(save_weights(own_weights(), target), flips)
    write_card(card, target)
    return card


def _load_fold(network: nn.Module, index: int, checkpoint: dict[str, Any], path: Path) -> None:
    weights = checkpoint.get("network_weights")
    if not isinstance(weights, dict) or not all(isinstance(w, torch.Tensor) for w in weights.values()):
        raise ModelError(f"The file {path} is not a checkpoint of nnU-Net v2.", "Copy the folder again.")
    # Training in parallel or compiled puts a prefix before every name.
    names = {name: str(name).removeprefix("module.").removeprefix("_orig_mod.") for name in weights}
    plain = {names[name]: value for name, value in weights.items() if not names[name].startswith(_UNUSED)}
    try:
        network.get_submodule(f"folds.{index}").load_state_dict(plain)
    except RuntimeError as error:
        raise ModelError(
            f"The weights of {path} do not fit the network of plans.json: {str(error).splitlines()[-1].strip()}",
            "Its trainer may have changed the network; only nnU-Net's own networks are supported.",
        ) from error


def _flips(checkpoint: dict[str, Any], folder: NnUNetFolder, path: Path) -> tuple[str, ...]:
    """The axes of (z, y, x) along which the network was trained mirrored."""
    axes = checkpoint.get("inference_allowed_mirroring_axes") or ()
    first = 1 if folder.plans.is_flat else 0
    try:
        turned = {folder.plans.transpose[first + int(axis)] for axis in axes}
    except (TypeError, ValueError, IndexError) as error:
        raise ModelError(f"The mirroring axes in {path} are not understood: {error}.", "Copy it again.") from error
    return tuple(name for axis, name in enumerate(AXES) if axis in turned)
