"""Losses against sums written out voxel by voxel, and the gradients that training needs."""

import math

import numpy as np
import pytest
import torch

from petctfusion.errors import BadInputError
from petctfusion.networks.blocks.softmax_head import foreground_logits
from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.losses import (
    cross_entropy_loss,
    deep_supervision_loss,
    dice_and_cross_entropy,
    focal_tversky_loss,
    segmentation_loss,
    soft_dice_loss,
)
from petctfusion.training.settings import read_table


@pytest.fixture
def pair():
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, (2, 3, 3, 4, 5)).astype(np.float32)
    target = rng.uniform(0, 1, logits.shape).astype(np.float32)
    target[1, 2] = 0
    return torch.from_numpy(logits), torch.from_numpy(target)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def voxels(logits, target):
    """(probability, share) of every voxel, per sample and label."""
    for sample, truth in zip(logits.tolist(), target.tolist(), strict=True):
        for label, label_truth in zip(sample, truth, strict=True):
            flat, flat_truth = np.ravel(label).tolist(), np.ravel(label_truth).tolist()
            yield [(sigmoid(x), t) for x, t in zip(flat, flat_truth, strict=True)]


def test_soft_dice_is_the_sum_over_voxels(pair):
    losses = []
    for rows in voxels(*pair):
        overlap, both = 1.0, 1.0
        for p, t in rows:
            overlap += 2 * p * t
            both += p + t
        losses.append(1 - overlap / both)
    assert float(soft_dice_loss(*pair)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_cross_entropy_is_the_sum_over_voxels(pair):
    losses = [-t * math.log(p) - (1 - t) * math.log(1 - p) for rows in voxels(*pair) for p, t in rows]
    assert float(cross_entropy_loss(*pair)) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(dice_and_cross_entropy(*pair)) == pytest.approx(
        float(soft_dice_loss(*pair) + cross_entropy_loss(*pair))
    )


@pytest.mark.parametrize(("a", "b", "gamma"), [(0.7, 0.3, 4 / 3), (0.5, 0.5, 1.0), (0.2, 0.8, 3.0)])
def test_focal_tversky_is_the_sum_over_voxels(pair, a, b, gamma):
    losses = []
    for rows in voxels(*pair):
        both = missed = wrong = 0.0
        for p, t in rows:
            both += p * t
            missed += (1 - p) * t
            wrong += p * (1 - t)
        index = (both + 1) / (both + a * missed + b * wrong + 1)
        losses.append((1 - index) ** (1 / gamma))
    assert float(focal_tversky_loss(*pair, a, b, gamma)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_tversky_with_equal_halves_and_no_focus_is_dice(pair):
    # (both + 1) / (both + half of the mistakes + 1) = (2 both + 2) / (sum p + sum t + 2).
    p, t = torch.sigmoid(pair[0]).flatten(2), pair[1].flatten(2)
    dice = 1 - (2 * (p * t).sum(-1) + 2) / (p.sum(-1) + t.sum(-1) + 2)
    assert float(focal_tversky_loss(*pair, 0.5, 0.5, 1.0)) == pytest.approx(float(dice.mean()), rel=1e-5)


def test_focal_tversky_weighs_what_is_missed_more_than_what_is_too_much():
    target = torch.zeros(1, 1, 8, 8, 8)
    target[..., 2:6, 2:6, 2:6] = 1
    missed, too_much = target.clone(), target.clone()
    missed[..., 2, 2:6, 2:6] = 0
    too_much[..., 1, 2:6, 2:6] = 1
    by_missing, by_excess = (float(focal_tversky_loss((m - 0.5) * 60, target)) for m in (missed, too_much))
    assert by_missing > 1.5 * by_excess


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_perfect_patch_has_finite_gradients(share):
    target = torch.full((1, 1, 4, 4, 4), share)
    logits = ((target - 0.5) * 200).requires_grad_()
    loss = segmentation_loss(logits, target, LossSettings(focal_tversky=1.0))
    loss.backward()
    assert float(loss.detach()) < 1e-3
    assert torch.isfinite(logits.grad).all()


def test_gradients_agree_with_finite_differences(pair):
    logits, target = (x[:1, :1, :2, :2, :2].double() for x in pair)

    def loss(x):  # in double precision: the losses themselves round to single
        p, t = torch.sigmoid(x).flatten(2), target.flatten(2)
        both, missed, wrong = (p * t).sum(), ((1 - p) * t).sum(), (p * (1 - t)).sum()
        return (1 - (both + 1) / (both + 0.7 * missed + 0.3 * wrong + 1)) ** 0.75

    expected = torch.zeros_like(logits)
    for i in range(logits.numel()):
        step = torch.zeros_like(logits).flatten()
        step[i] = 1e-5
        step = step.view_as(logits)
        expected.view(-1)[i] = (loss(logits + step) - loss(logits - step)) / 2e-5
    ours = logits.float().requires_grad_()
    focal_tversky_loss(ours, target.float()).backward()
    torch.testing.assert_close(ours.grad.double(), expected, rtol=1e-3, atol=1e-6)


def test_settings_weigh_the_parts(pair):
    settings = LossSettings(dice=0.5, cross_entropy=0.25, focal_tversky=2.0, focal_gamma=2.0)
    expected = (
        0.5 * soft_dice_loss(*pair)
        + 0.25 * cross_entropy_loss(*pair)
        + 2.0 * focal_tversky_loss(*pair, focal_gamma=2.0)
    )
    assert float(segmentation_loss(*pair, settings)) == pytest.approx(float(expected), rel=1e-6)
    only = LossSettings(dice=0.0, cross_entropy=0.0, focal_tversky=1.0)
    assert torch.equal(segmentation_loss(*pair, only), focal_tversky_loss(*pair))
    assert torch.equal(segmentation_loss(*pair), dice_and_cross_entropy(*pair))


def test_for_one_label_it_is_the_cross_entropy_of_a_softmax_head():
    scores = torch.randn(2, 2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    truth = (torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(2)) > 0.7).long()
    softmax = torch.nn.functional.cross_entropy(scores, truth)
    assert float(cross_entropy_loss(foreground_logits(scores), truth[:, None].float())) == pytest.approx(
        float(softmax), rel=1e-5
    )


@pytest.mark.parametrize("weights", [None, (5 / 15, 4 / 15, 6 / 15), (2.0, 1.0, 0.0)])
def test_levels_are_weighed_and_their_targets_are_block_means(weights):
    rng = np.random.default_rng(1)
    target = rng.uniform(0, 1, (2, 1, 4, 8, 8)).astype(np.float32)
    shapes = [(4, 8, 8), (4, 4, 4), (2, 2, 2)]
    levels = [torch.from_numpy(rng.normal(0, 2, (2, 1, *shape)).astype(np.float32)) for shape in shapes]
    used = weights or (1, 0.5, 0.25)
    expected = 0.0
    for weight, shape, logits in zip(used, shapes, levels, strict=True):
        blocks = target.reshape(2, 1, shape[0], 4 // shape[0], shape[1], 8 // shape[1], shape[2], 8 // shape[2]).mean(
            axis=(3, 5, 7)
        )
        expected += weight * float(dice_and_cross_entropy(logits, torch.from_numpy(blocks)))
    found = deep_supervision_loss(levels, torch.from_numpy(target), level_weights=weights)
    assert float(found) == pytest.approx(expected / sum(used), rel=1e-5)


def test_levels_in_two_dimensions_and_a_wrong_number_of_weights():
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4] = 1
    levels = [(target - 0.5) * 60, (target[..., ::2, ::2] - 0.5) * 60]
    assert float(deep_supervision_loss(levels, target)) < 1e-3
    with pytest.raises(ValueError):
        deep_supervision_loss(levels, target, level_weights=(1.0,))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"focal_tverski": 1.0}, "Did you mean 'focal_tversky'"),
        ({"dice": 0, "cross_entropy": 0}, "no part left"),
        ({"dice": -1}, "dice = -1.0 must be 0 or more"),
        ({"focal_gamma": 0.5}, "must be 1 or more"),
    ],
)
def test_a_wrong_loss_is_refused_by_name(values, sentence):
    with pytest.raises(BadInputError, match=sentence):
        read_table(LossSettings, values, "Table [loss]")


def test_patches_without_tumour_may_be_left_out_of_dice():
    logits, target = torch.randn(2, 1, 6, 6, 6), torch.zeros(2, 1, 6, 6, 6)
    target[0, 0, 2:4, 2:4, 2:4] = 1
    first = soft_dice_loss(logits[:1], target[:1])
    torch.testing.assert_close(soft_dice_loss(logits, target, without_tumour=False), first / 2)
    assert soft_dice_loss(logits[1:], target[1:], without_tumour=False) == 0
    settings = LossSettings(cross_entropy=0, dice_without_tumour=False)
    torch.testing.assert_close(segmentation_loss(logits, target, settings), first / 2)
