from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import OutputError
from petctfusion.volumes import Geometry, read_ct, read_volume, write_volume
from petctfusion.volumes.notes import PATIENT_KEY, add_note, value_of


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.seg.nrrd", "a.mha"])
def test_what_is_written_reads_back_bit_equal(reference: sitk.Image, tmp_path: Path, name: str) -> None:
    path = write_volume(reference, tmp_path / name)
    assert path.is_absolute()
    image = read_volume(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(reference))
    assert Geometry.of(image).same_grid(Geometry.of(reference))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_missing_folders_are_made_and_an_old_file_is_replaced(reference: sitk.Image, tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.nii.gz"
    write_volume(reference * 0, path)
    write_volume(reference, path)
    assert sitk.GetArrayFromImage(read_volume(path)).any()
    assert len(list(path.parent.iterdir())) == 1


def test_an_unknown_file_type_is_refused(reference: sitk.Image, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.png has a file type"):
        write_volume(reference, tmp_path / "a.png")


def test_what_was_read_about_the_patient_is_not_written(ct: sitk.Image, tmp_path: Path) -> None:
    add_note(ct, "a remark")
    ct.SetMetaData(PATIENT_KEY, "Jane Doe")
    path = write_volume(ct, tmp_path / "a.mha")
    assert b"Jane" not in path.read_bytes()[:4000]
    assert value_of(read_ct(path), PATIENT_KEY) == ""
    assert value_of(ct, PATIENT_KEY) == "Jane Doe"


def test_a_folder_that_is_a_file_gets_one_sentence(reference: sitk.Image, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_volume(reference, tmp_path / "file" / "a.nii.gz")
    assert "could not be written" in caught.value.message
    assert caught.value.hint


def test_a_folder_without_permission_gets_one_sentence(
    reference: sitk.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, whom no permission stops, so the refusal is injected."""
    opened = Path.open

    def refuse(self: Path, mode: str = "r", *rest: object) -> object:
        if "x" in mode:
            raise PermissionError(13, "Permission denied")
        return opened(self, mode, *rest)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match="no permission to write in"):
        write_volume(reference, tmp_path / "a.nii.gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_a_full_disk_leaves_no_file_and_keeps_the_old_one(tmp_path: Path, name: str) -> None:
    """A limit on file sizes makes every write beyond 100 kB fail, as on a full disk."""
    script = f"""
    import resource, signal, numpy as np, SimpleITK as sitk
    from petctfusion.errors import OutputError
    from petctfusion.volumes import write_volume
    write_volume(sitk.Image([4, 4, 4], sitk.sitkUInt8), {str(tmp_path / name)!r})
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (64, 64, 64)).astype(np.uint8))
    try:
        write_volume(image, {str(tmp_path / name)!r})
    except OutputError as error:
        print(error.message)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().endswith("could not be written: the disk is full.")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert read_volume(tmp_path / name).GetSize() == (4, 4, 4)
