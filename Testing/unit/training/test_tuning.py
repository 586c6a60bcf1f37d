"""Scores of the tuning patients: without tumour, with MR, and what counts as marked."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest_blobs import blob_case

from petctfusion.training.tuning import score_cases


class Uptake(torch.nn.Module):
    """Marks what has more than 3 SUV in the last channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, -1:] - 3.0) * 20


def without_tumour(case):
    image = case.image.copy()
    image[1] = 0.5
    nothing = np.zeros_like(case.contour)
    return dataclasses.replace(case, image=image, contour=nothing, foreground=np.argwhere(nothing > 0.5))


def test_a_patient_without_tumour_is_right_when_nothing_is_marked_and_wrong_when_anything_is():
    clean = without_tumour(blob_case("clean", (9, 8, 12)))
    hot = dataclasses.replace(clean, image=clean.image + 10.0)
    score = score_cases(Uptake(), [clean, hot], (16, 16, 16), ("CT", "PET"), "cpu")
    assert [row[1:] for row in score.rows] == [(1.0, 1.0), (0.0, 0.0)]
    assert score.mean == 0.5


def test_a_patient_without_tumour_has_the_whole_volume_for_a_box():
    case = without_tumour(blob_case("clean", (9, 8, 12)))
    assert case.box.tolist() == [[-0.5] * 3, [19.5, 17.5, 21.5]]


def test_a_volume_smaller_than_the_window_is_padded_with_what_each_modality_has_for_air():
    seen = []

    class Corner(Uptake):
        def forward(self, x):
            seen.append(x[0, :, 0, 0, 0].tolist())
            return super().forward(x)

    case = blob_case("small", (5, 5, 5), shape=(10, 10, 10))
    image = np.concatenate([case.image, case.image[1:] + 7.0])
    three = dataclasses.replace(case, image=image)
    score_cases(Corner(), [three], (16, 16, 16), ("CT", "PET", "MR"), "cpu")
    assert seen[0] == [-1024.0, 0.0, 0.0]


def test_a_perfect_network_scores_one_and_leaves_its_mode():
    network = Uptake().train()
    score = score_cases(network, [blob_case("a", (9, 8, 12))], (16, 16, 16), ("CT", "PET"), "cpu")
    assert score.mean == pytest.approx(1.0, abs=0.01)
    assert network.training
