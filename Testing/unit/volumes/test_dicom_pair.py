"""Which CT and PET of a folder belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from petctfusion.errors import BadInputError
from petctfusion.volumes import read_ct, read_pet
from petctfusion.volumes.dicom_pair import find_pair


def retag(folder: Path, **tags: Any) -> Path:
    """Every file of the folder with other values; returns the folder."""
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        for name, value in tags.items():
            setattr(header, name, value)
        header.save_as(path)
    return folder


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)


def test_the_only_pair(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    ct_series.write(tmp_path / "CT")
    pet_series.write(tmp_path / "PET")
    pair = find_pair(tmp_path)
    assert pair.ct.parent.name == "CT"
    assert pair.pet.parent.name == "PET"
    assert pair.notes == ()
    # One file stands for its series wherever volumes are read.
    assert read_ct(pair.ct).GetSize() == read_ct(tmp_path / "CT").GetSize()
    assert read_pet(pair.pet).units.name == "SUVbw"


def test_of_several_the_one_in_the_same_frame_of_reference_is_taken_and_told(
    ct_series: Any, pet_series: Any, tmp_path: Path
) -> None:
    retag(ct_series.write(tmp_path / "other"), SeriesInstanceUID="1.2.3.1", FrameOfReferenceUID="1.9.1")
    retag(ct_series.write(tmp_path / "right"), SeriesInstanceUID="1.2.3.2", FrameOfReferenceUID="1.9.2")
    retag(pet_series.write(tmp_path / "pet"), FrameOfReferenceUID="1.9.2")
    pair = find_pair(tmp_path)
    assert pair.ct.parent.name == "right"
    assert len(pair.notes) == 1
    assert "2 CT series" in pair.notes[0]


def test_a_pet_with_attenuation_correction_comes_first(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    retag(ct_series.write(tmp_path / "ct"), FrameOfReferenceUID="1.9.1")
    retag(
        pet_series.write(tmp_path / "a"),
        SeriesInstanceUID="1.2.3.1",
        FrameOfReferenceUID="1.9.1",
        CorrectedImage=["DECY"],
    )
    retag(
        pet_series.write(tmp_path / "b"),
        SeriesInstanceUID="1.2.3.2",
        FrameOfReferenceUID="1.9.1",
        CorrectedImage=["DECY", "ATTN"],
    )
    assert uid_of(find_pair(tmp_path).pet) == "1.2.3.2"


def test_the_larger_ct_comes_first_and_a_single_slice_never(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    frame = "1.9.1"
    retag(pet_series.write(tmp_path / "pet"), FrameOfReferenceUID=frame)
    scout = retag(ct_series.write(tmp_path / "scout"), SeriesInstanceUID="1.2.3.1", FrameOfReferenceUID=frame)
    for path in sorted(scout.iterdir())[1:]:
        path.unlink()
    short = retag(ct_series.write(tmp_path / "short"), SeriesInstanceUID="1.2.3.2", FrameOfReferenceUID=frame)
    sorted(short.iterdir())[-1].unlink()
    retag(ct_series.write(tmp_path / "whole"), SeriesInstanceUID="1.2.3.3", FrameOfReferenceUID=frame)
    assert uid_of(find_pair(tmp_path).ct) == "1.2.3.3"


@pytest.mark.parametrize("present", ["ct", "pet"])
def test_what_is_missing_is_named(ct_series: Any, pet_series: Any, tmp_path: Path, present: str) -> None:
    (ct_series if present == "ct" else pet_series).write(tmp_path / present)
    with pytest.raises(BadInputError, match=f"holds no {'PET' if present == 'ct' else 'CT'} series but"):
        find_pair(tmp_path)


def test_a_folder_without_dicom(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no DICOM files"):
        find_pair(tmp_path)


def test_a_study_that_was_sent_to_the_browser_workbench(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="the browser workbench is not installed")
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    import zipfile

    from PETCTFusionSegLib.web.arrivals import readArrival
    from PETCTFusionSegLib.web.uploads import unpack

    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("README.txt", "not an image")
        for series, name in ((ct_series, "CT"), (pet_series, "PET")):
            for path in series.write(tmp_path / name).iterdir():
                # The same names in both folders.
                target.write(path, f"study/{name}/{path.name}")
    (tmp_path / "arrival").mkdir()
    found = readArrival(unpack([archive], tmp_path / "arrival", 1 << 24))
    assert [(one.role, one.unitsKnown) for one in found] == [("CT", False), ("PET", True)]
    assert found[0].image is not None
    assert found[0].image.GetSize() == read_ct(tmp_path / "CT").GetSize()
    assert found[1].image is not None
    assert found[1].image[0, 0, 0] == pytest.approx(read_pet(tmp_path / "PET").image[0, 0, 0])


@pytest.mark.parametrize("tumor", [True, False])
def test_a_structure_set_that_cannot_be_drawn_costs_itself_alone(
    ct_series: Any, pet_series: Any, structure_set: Any, tmp_path: Path, tumor: bool
) -> None:
    pytest.importorskip("aiohttp", reason="the browser workbench is not installed")
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from PETCTFusionSegLib.web.opening import readStudy
    from PETCTFusionSegLib.web.start import SessionStart

    square = np.array([[-8.0, -16.0], [-4.0, -16.0], [-4.0, -8.0], [-8.0, -8.0]])
    near = [np.column_stack([square, np.full(4, z)]) for z in (33.0, 36.0)]
    outlines = {"Couch": [contour + 900.0 for contour in near]} | ({"GTV": near} if tumor else {})
    ct = ct_series.write(tmp_path / "CT")
    pet_series.write(tmp_path / "PET")
    structure_set(tmp_path / "RS" / "rs.dcm", outlines, ct_series.uid)
    pair = find_pair(tmp_path)
    study = readStudy(SessionStart(tmp_path, ct=pair.ct, pet=pair.pet, dicom=tmp_path))
    assert study is not None
    assert pair.ct.parent == ct
    assert [one.name for one in study.references.found] == (["rs"] if tumor else [])
    (note,) = study.references.notes
    assert "Couch" in note
