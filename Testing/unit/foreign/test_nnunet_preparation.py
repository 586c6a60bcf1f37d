"""Intensities are scaled over the whole study where CT and PET both are, and a clip of the CT hides no body."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from nnunet_layout import CT, PET, arrays, image

from petctfusion.inference.foreign import add_foreign
from petctfusion.inference.prepare import prepare


def test_statistics_of_a_case_are_those_of_the_whole_study_not_of_a_window(nnunet_folder, own_models, study):
    folder = nnunet_folder(
        normalization_schemes=["ZScoreNormalization", "RescaleTo01Normalization"], patch_size=[16, 16, 16]
    )
    model = add_foreign(folder)
    volumes = study((40, 16, 16), (4.0, 4.0, 4.0))
    raw = arrays(volumes)
    raw["PET"][30:] *= 5  # the ends differ, so windows of their own would too
    raw["CT"][30:] += 2000
    volumes = {name: copied(volumes[name], values) for name, values in raw.items()}
    prepared = prepare(volumes, model.card, 0.5)
    low, high = raw["PET"].min(), raw["PET"].max()
    assert prepared.array.shape == (2, 40, 16, 16)
    assert np.allclose(prepared.array[0], (raw["CT"] - raw["CT"].mean()) / raw["CT"].std(), atol=1e-4)
    assert np.allclose(prepared.array[1], (raw["PET"] - low) / (high - low), atol=1e-4)
    assert prepared.air == (0.0, 0.0)


def test_only_what_ct_and_pet_share_counts_for_the_statistics(nnunet_folder, own_models, study):
    model = add_foreign(nnunet_folder(normalization_schemes=["ZScoreNormalization", "NoNormalization"]))
    volumes = study((40, 16, 16), (4.0, 4.0, 4.0))
    volumes["PET"] = volumes["PET"][:, :, :20]
    raw = arrays(volumes)
    shared = raw["CT"][:20]
    prepared = prepare(volumes, model.card, 0.5)
    assert np.allclose(prepared.array[0], (shared - shared.mean()) / shared.std(), atol=1e-4)
    assert np.allclose(prepared.array[1], raw["PET"], atol=1e-5)


def test_a_ct_clip_above_air_does_not_hide_the_body(nnunet_folder, own_models):
    soft = {**CT, "percentile_00_5": -20.0}
    model = add_foreign(nnunet_folder(foreground_intensity_properties_per_channel={"0": soft, "1": PET}))
    ct = np.full((24, 64, 64), -1000.0)
    ct[:, 28:36, 28:36] = 40.0
    volumes = {"CT": image(ct, (4.0,) * 3), "PET": image(np.zeros_like(ct), (4.0,) * 3)}
    assert prepare(volumes, model.card, 0.5).grid.shape[1:] == (16, 16)


def copied(like, values):
    made = sitk.GetImageFromArray(values.astype(np.float32))
    made.CopyInformation(like)
    return made
