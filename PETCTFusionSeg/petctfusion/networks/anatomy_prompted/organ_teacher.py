"""Organ pseudo-labels: a CT-rule teacher, the confidence filter, and an averaged teacher for consistency.

Huang et al. name a teacher-student paradigm without details. Here the teacher is anything that gives probabilities
(TotalSegmentator labels as 0 and 1, a trained network, or the CT rules below); the student learns its confident voxels
and agrees with the moving average of itself (Tarvainen and Valpola: Mean teachers, arXiv 1703.01780).
"""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import nn

IGNORED = -1
"""The pseudo-label of a voxel that the teacher is not sure of."""

CT_TISSUES = ("lung", "fat", "soft tissue", "bone")
"""What the CT rules tell apart besides air, which is the background: the argument `organs` for this teacher."""

# Intervals of HU: air, lung, fat, soft tissue, bone. What lies between two (partial volume, contrast medium) is unsure.
_INTERVALS = ((-math.inf, -960.0), (-920.0, -550.0), (-150.0, -50.0), (-10.0, 100.0), (200.0, math.inf))
# Voxels an axis that must agree, as above: on a grid of 4 mm the skin is up to two voxels of "lung" thick.
_NEIGHBOURHOODS = (3, 5, 3, 3, 3)
_POOL = {2: nn.functional.avg_pool2d, 3: nn.functional.avg_pool3d}

Network = TypeVar("Network", bound=nn.Module)


def ct_tissue_probabilities(ct: torch.Tensor, noise_hu: float = 25.0) -> torch.Tensor:
    """CT `(B, 1, *spatial)` in HU to probabilities `(B, 5, *spatial)` of air and `CT_TISSUES`, float32.

    A voxel d HU outside a tissue's interval has the weight exp(-(d / noise)^2 / 2). Then the neighbours are asked:
    where fewer than on a flat border are of the voxel's tissue, the missing share of its probability is spread over
    all. The skin, a shell that partial volume gives the HU of lung, is thus unsure; a thick mattress is called lung.
    """
    hu = ct.float()
    limits = hu.new_tensor(_INTERVALS)
    shape = (1, -1) + (1,) * (hu.ndim - 2)
    low, high = limits[:, 0].view(shape), limits[:, 1].view(shape)
    outside = torch.relu(low - hu) + torch.relu(hu - high)
    own = torch.softmax(-0.5 * (outside / noise_hu).square(), dim=1)
    agreed = [p * _agreement(p, n) for p, n in zip(own.chunk(len(_INTERVALS), dim=1), _NEIGHBOURHOODS, strict=True)]
    sure = torch.cat(agreed, dim=1)
    return sure + (1 - sure.sum(dim=1, keepdim=True)) / len(_INTERVALS)


def _agreement(p: torch.Tensor, voxels: int) -> torch.Tensor:
    """Mean of the cube of `voxels` an axis around each, relative to a voxel on a flat border, at most 1."""
    around = nn.functional.pad(p, (voxels // 2,) * 2 * (p.ndim - 2), mode="replicate")
    border = (voxels // 2 + 1) / voxels
    return (_POOL[p.ndim - 2](around, voxels, stride=1) / border).clamp(max=1)


def pseudo_labels(probabilities: torch.Tensor, confidence: float = 0.9) -> torch.Tensor:
    """`(B, K, *spatial)` to the class of each voxel `(B, *spatial)`, or `IGNORED` where none is above `confidence`."""
    best, label = probabilities.max(dim=1)
    return torch.where(best > confidence, label, torch.full_like(label, IGNORED))


def organ_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of `(B, K, *spatial)` against `(B, *spatial)`, over the voxels not `IGNORED`.

    The Dice is the mean over the classes that the labels contain. Labels that are all ignored give 0.
    """
    sure = labels != IGNORED
    target = labels.clamp(min=0)
    log_p = torch.log_softmax(logits.float(), dim=1)
    entropy = -log_p.gather(1, target.unsqueeze(1)).squeeze(1)
    entropy = (entropy * sure).sum() / sure.sum().clamp(min=1)
    one_hot = nn.functional.one_hot(target, logits.shape[1]).movedim(-1, 1) * sure.unsqueeze(1)
    p = log_p.exp() * sure.unsqueeze(1)
    axes = (0, *range(2, p.ndim))
    overlap, sizes = (p * one_hot).sum(axes), p.sum(axes) + one_hot.sum(axes)
    there = one_hot.sum(axes) > 0
    dice = (2 * overlap + 1) / (sizes + 1)
    return entropy + ((1 - dice) * there).sum() / there.sum().clamp(min=1)


def consistency_loss(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the two softmax outputs `(B, K, *spatial)`; the teacher gets no gradient."""
    taught = torch.softmax(teacher_logits.detach().float(), dim=1)
    return (torch.softmax(student_logits.float(), dim=1) - taught).square().mean()


def consistency_weight(epoch: float, ramp_epochs: float = 40.0) -> float:
    """Weight in (0, 1] of the consistency loss: exp(-5 (1 - t)^2), t = epoch / ramp_epochs up to 1 (Mean teachers)."""
    return math.exp(-5 * (1 - min(1.0, max(0.0, epoch / ramp_epochs))) ** 2)


def make_teacher(student: Network) -> Network:
    """A frozen copy of the student, in evaluation mode, to be followed by `update_teacher`."""
    return copy.deepcopy(student).eval().requires_grad_(False)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, decay: float = 0.999) -> None:
    """theta_T <- decay theta_T + (1 - decay) theta_S, in place; buffers are copied.

    Raises `ValueError` when the two differ in structure or decay is not in [0, 1].
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must lie in [0, 1], got {decay}")
    taught, learned = dict(teacher.named_parameters()), dict(student.named_parameters())
    if {n: p.shape for n, p in taught.items()} != {n: p.shape for n, p in learned.items()}:
        raise ValueError("teacher and student must have the same parameters; make the teacher with make_teacher")
    for name, parameter in taught.items():
        parameter.lerp_(learned[name].detach(), 1 - decay)
    for kept, new in zip(teacher.buffers(), student.buffers(), strict=True):
        kept.copy_(new)
