"""Random damage: every file is either read or refused in one sentence, and never ends in another exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import read_ct, read_pet, read_volume

ROUNDS = 60


def damaged(data: bytes, generator: np.random.Generator, head: int) -> bytes:
    """Up to four bytes of the first `head` changed, and in a third of the cases a piece cut out."""
    result = bytearray(data)
    for place in generator.integers(0, min(head, len(data)), generator.integers(1, 5)):
        result[place] = generator.integers(0, 256)
    if generator.random() < 1 / 3:
        start = int(generator.integers(0, len(result)))
        del result[start : start + int(generator.integers(1, 200))]
    return bytes(result)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_damaged_file_is_read_or_refused(
    pet: sitk.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, compressed: bool
) -> None:
    path = tmp_path / f"pet{suffix}"
    sitk.WriteImage(pet[:6, :6, :6], str(path), compressed)
    data = path.read_bytes()
    generator = np.random.default_rng(len(suffix) + compressed)
    refusals = []
    for _ in range(ROUNDS):
        path.write_bytes(damaged(data, generator, 400))
        try:
            image = read_volume(path)
        except BadInputError as error:
            refusals.append(error.message)
        else:
            assert image.GetDimension() == 3
            assert min(image.GetSpacing()) > 0
    assert len(refusals) > ROUNDS // 6
    assert not [r for r in refusals if "\n" in r]
    assert capfd.readouterr() == ("", "")


def test_a_damaged_dicom_file_is_read_or_refused(
    ct_series: Any, pet_series: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(11)
    refusals = []
    for series, read in ((ct_series, read_ct), (pet_series, read_pet)):
        folder = series.write(tmp_path / series.modality)
        path = folder / "0002.dcm"
        data = path.read_bytes()
        for _ in range(ROUNDS):
            path.write_bytes(damaged(data, generator, len(data)))
            try:
                read(folder)
            except BadInputError as error:
                refusals.append(error.message)
    assert len(refusals) > ROUNDS // 6
    assert not [r for r in refusals if "\n" in r]
    assert capfd.readouterr() == ("", "")
