"""Organ pseudo-labels: CT rules, the confidence filter, losses over sure voxels, the averaged teacher."""

import math

import pytest
import torch

from petctfusion.networks.anatomy_prompted.organ_teacher import (
    CT_TISSUES,
    IGNORED,
    consistency_loss,
    consistency_weight,
    ct_tissue_probabilities,
    make_teacher,
    organ_loss,
    pseudo_labels,
    update_teacher,
)
from petctfusion.networks.anatomy_prompted.organs import OrganStudent

AIR, LUNG, FAT, SOFT, BONE = range(5)


def body():
    """A round body in air: half fat, half soft tissue with a lung and a bone, and skin one voxel thin between."""
    y, x = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(24) - 11.5, indexing="ij")
    radius = (y.square() + x.square()).sqrt().expand(20, 24, 24)
    z, y, x = (c.expand(20, 24, 24) for c in (torch.arange(20).view(20, 1, 1) - 9.5, y, x))
    ct, truth = torch.full((20, 24, 24), -1000.0), torch.zeros(20, 24, 24, dtype=torch.long)
    for region, hu, label in (
        (radius <= 11, -700.0, IGNORED),
        (radius <= 10, 50.0, SOFT),
        ((radius <= 10) & (y < 0), -100.0, FAT),
        ((z < 0) & (y > 1) & (y < 8) & (x > -7) & (x < 0), -800.0, LUNG),
        ((z < 0) & (y > 1) & (y < 8) & (x > 2) & (x < 8), 600.0, BONE),
    ):
        ct[region], truth[region] = hu, label
    noise = torch.randn(ct.shape, generator=torch.Generator().manual_seed(0))
    return (ct + 12 * noise)[None, None], truth[None]


def test_ct_rules_are_right_where_they_are_sure_and_unsure_of_the_skin():
    ct, truth = body()
    probabilities = ct_tissue_probabilities(ct)
    assert probabilities.shape == (1, 1 + len(CT_TISSUES), 20, 24, 24)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 20, 24, 24))
    labels = pseudo_labels(probabilities)
    sure = labels != IGNORED
    assert (labels == truth)[sure].float().mean() > 0.995
    assert sure[truth == IGNORED].float().mean() < 0.02
    for label in range(5):  # most of every tissue is found
        assert sure[truth == label].float().mean() > 0.6


def test_ct_rules_by_hand():
    flat = [ct_tissue_probabilities(torch.full((1, 1, 3, 3), hu))[0, :, 1, 1] for hu in (-850.0, -30.0, 140.0)]
    assert flat[0][LUNG] > 0.999
    # -30 HU lies 20 HU from both fat and soft tissue: nobody knows. 0.5 x 0.75, and a fifth of the rest.
    assert flat[1][FAT] == pytest.approx(0.375 + 0.05, abs=1e-6)
    assert flat[1][SOFT] == pytest.approx(0.375 + 0.05, abs=1e-6)
    # 140 HU lies 40 HU above soft tissue and 60 below bone, and there is not enough bone around.
    weights = [math.exp(-((40 / 25) ** 2) / 2), math.exp(-((60 / 25) ** 2) / 2)]
    soft, bone = (w / sum(weights) for w in weights)
    agreed = [p * min(1, 1.5 * p) for p in (soft, bone)]
    spread = (1 - sum(agreed)) / 5
    assert flat[2][SOFT] == pytest.approx(agreed[0] + spread, rel=1e-4)
    assert flat[2][BONE] == pytest.approx(agreed[1] + spread, rel=1e-4)


def test_a_border_is_sure_and_a_shell_is_not():
    ct = torch.full((1, 1, 9, 9, 9), -1000.0)
    ct[..., 4:] = 50.0
    labels = pseudo_labels(ct_tissue_probabilities(ct))
    assert (labels[..., :4] == AIR).all()
    assert (labels[..., 4:] == SOFT).all()
    for thickness in (1, 2):
        ct[..., 4 : 4 + thickness] = -700.0
        labels = pseudo_labels(ct_tissue_probabilities(ct))
        assert (labels[..., 4 : 4 + thickness] == IGNORED).all()
        assert (labels[..., 4 + thickness :] == SOFT).all()


def test_labels_at_or_below_the_confidence_are_ignored():
    p = torch.tensor([[[0.95, 0.5, 0.06], [0.05, 0.5, 0.94]]])
    assert pseudo_labels(p, 0.9).tolist() == [[0, IGNORED, 1]]
    assert pseudo_labels(p, 0.945).tolist() == [[0, IGNORED, IGNORED]]


def test_the_organ_loss_by_hand():
    logits = torch.tensor([[[2.0, -1.0, 0.5], [0.0, 1.0, 9.0], [1.0, 0.0, 0.0]]], dtype=torch.float64)
    labels = torch.tensor([[0, 1, IGNORED]])
    p = torch.softmax(logits, 1)[0]
    entropy = -(math.log(p[0, 0]) + math.log(p[1, 1])) / 2
    dice = [(2 * p[k, k] + 1) / (p[k, 0] + p[k, 1] + 1 + 1) for k in (0, 1)]  # class 2 is not in the labels
    wanted = entropy + 1 - sum(dice) / 2
    assert organ_loss(logits, labels).item() == pytest.approx(float(wanted), rel=1e-6)


def test_ignored_voxels_do_not_teach():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    labels = torch.randint(0, 3, (1, 4, 4))
    labels[:, :2] = IGNORED
    organ_loss(logits, labels).backward()
    assert not logits.grad[:, :, :2].any()
    assert logits.grad[:, :, 2:].abs().min() > 0
    assert organ_loss(torch.randn(1, 3, 4, 4), torch.full((1, 4, 4), IGNORED)) == 0


def test_the_student_learns_the_teachers_tissues():
    torch.manual_seed(0)
    ct, truth = body()
    ct, truth = ct[0].movedim(0, 1)[4:12], truth[0, 4:12]  # slices as a batch
    labels = pseudo_labels(ct_tissue_probabilities(ct))
    student = OrganStudent(2, 1, len(CT_TISSUES), (8, 16))
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = organ_loss(student(ct / 500), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        found = student(ct / 500).argmax(1)
    assert losses[-1] < 0.3 * losses[0]
    assert (found == truth)[truth != IGNORED].float().mean() > 0.9


def test_the_teacher_is_a_moving_average():
    student = OrganStudent(2, 1, 2, (4, 8))
    teacher = make_teacher(student)
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.training
    before = [p.clone() for p in teacher.parameters()]
    with torch.no_grad():
        for p in student.parameters():
            p.add_(1)
    for _ in range(3):
        update_teacher(teacher, student, decay=0.9)
    for old, new in zip(before, teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 1 - 0.9**3)
    update_teacher(teacher, student, decay=0)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True))


def test_a_teacher_of_another_kind_and_a_wrong_decay_are_refused():
    with pytest.raises(ValueError, match="same parameters"):
        update_teacher(OrganStudent(2, 1, 3, (4, 8)), OrganStudent(2, 1, 2, (4, 8)))
    student = OrganStudent(2, 1, 2, (4, 8))
    with pytest.raises(ValueError, match="decay"):
        update_teacher(make_teacher(student), student, decay=1.5)


def test_consistency_pulls_the_student_alone_and_ramps_up():
    ours, theirs = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(2))
    loss = consistency_loss(ours, theirs)
    assert loss.item() == pytest.approx((ours.softmax(1) - theirs.softmax(1)).square().mean().item())
    loss.backward()
    assert theirs.grad is None
    assert ours.grad.any()
    weights = [consistency_weight(epoch) for epoch in (0, 10, 20, 40, 90)]
    assert weights[0] == pytest.approx(math.exp(-5))
    assert weights == sorted(weights)
    assert weights[-2:] == [1, 1]
