"""Everything that can be wrong with the input: one sentence, a hint, an exit code, and no file left behind."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

BAD_INPUT, MODEL, DEVICE, OUTPUT = 3, 4, 5, 7


def write(image: sitk.Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def moved(source: Path, target: Path, shift_mm: float) -> Path:
    image = sitk.ReadImage(str(source))
    image.SetOrigin([value + shift_mm for value in image.GetOrigin()])
    return write(image, target)


def with_value(source: Path, target: Path, value: float) -> Path:
    image = sitk.Cast(sitk.ReadImage(str(source)), sitk.sitkFloat32)
    image[3, 4, 5] = value
    return write(image, target)


def with_header_float(source: Path, target: Path, offset: int, value: float) -> Path:
    """A NIfTI with one float of its header replaced (pixdim[1] lies at byte 80)."""
    data = bytearray(gzip.decompress(source.read_bytes()))
    data[offset : offset + 4] = np.float32(value).tobytes()
    target.write_bytes(gzip.compress(bytes(data)))
    return target


def test_ct_and_pet_exchanged(cli, study, output, refused):
    answer = cli(*study.arguments(output, ct=study.pet, pet=study.ct))
    refused(answer, BAD_INPUT, "swapped", "exchange")
    assert not output.parent.exists()


def test_missing_file(process, study, output, tmp_path, refused):
    answer = process(*study.arguments(output, ct=tmp_path / "nowhere.nii.gz"))
    refused(answer, BAD_INPUT, "nowhere.nii.gz does not exist", "check the path")
    assert not output.parent.exists()


def test_truncated_nifti(cli, study, output, tmp_path, refused):
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(study.ct.read_bytes()[: study.ct.stat().st_size // 2])
    answer = cli(*study.arguments(output, ct=cut))
    refused(answer, BAD_INPUT, "cut.nii.gz", "truncated")
    assert not output.parent.exists()


def test_pet_of_another_patient(cli, study, output, tmp_path, refused):
    pet = moved(study.pet, tmp_path / "elsewhere.nii.gz", 2000.0)
    answer = cli(*study.arguments(output, pet=pet))
    refused(answer, BAD_INPUT, "do not overlap", "another patient")
    assert not output.parent.exists()


def test_pet_in_counts_without_unit_tags(cli, study, output, tmp_path, refused):
    pet = sitk.ReadImage(str(study.pet)) * 4000.0
    answer = cli(*study.arguments(output, pet=write(pet, tmp_path / "counts.nii.gz")))
    refused(answer, BAD_INPUT, "implausible as SUV")
    assert not output.parent.exists()


def test_bqml_without_the_tags_to_convert_it(cli, study, output, refused):
    answer = cli(*study.arguments(output, pet_units="bqml"))
    refused(answer, BAD_INPUT, "weight", "DICOM")
    assert not output.parent.exists()


def test_pet_whose_tags_name_other_units(cli, study, output, tmp_path, refused):
    pet = sitk.ReadImage(str(study.pet))
    pet.SetMetaData("MeasurementUnits", "CNTS")
    answer = cli(*study.arguments(output, pet=write(pet, tmp_path / "counts.nrrd")))
    refused(answer, BAD_INPUT, "CNTS", "not in SUV")
    assert not output.parent.exists()


def test_2d_image(cli, study, output, tmp_path, refused):
    flat = write(sitk.ReadImage(str(study.ct))[:, :, 5], tmp_path / "flat.nii.gz")
    answer = cli(*study.arguments(output, ct=flat))
    refused(answer, BAD_INPUT, "2-D")
    assert not output.parent.exists()


def test_0_byte_dicom(cli, study, output, tmp_path, refused):
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "IM0001.dcm").touch()
    answer = cli(*study.arguments(output, ct=folder))
    refused(answer, BAD_INPUT, "IM0001.dcm is empty", "export")
    assert not output.parent.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("volume", ["ct", "pet"])
def test_value_that_is_no_number(cli, study, output, tmp_path, volume, value, refused):
    broken = with_value(getattr(study, volume), tmp_path / "broken.nii.gz", value)
    answer = cli(*study.arguments(output, **{volume: broken}))
    refused(answer, BAD_INPUT, "not a number")
    assert not output.parent.exists()


@pytest.mark.parametrize("spacing", [0.0, -2.0])
def test_spacing_that_is_not_positive(cli, study, output, tmp_path, spacing, refused):
    broken = with_header_float(study.ct, tmp_path / "broken.nii.gz", 80, spacing)
    answer = cli(*study.arguments(output, ct=broken))
    refused(answer, BAD_INPUT, "spacing")
    assert not output.parent.exists()


def test_reference_beside_the_ct(cli, study, output, tmp_path, refused):
    reference = moved(study.reference, tmp_path / "elsewhere.nii.gz", 2000.0)
    answer = cli(*study.arguments(output, reference=reference))
    refused(answer, BAD_INPUT, "reference", "does not overlap the CT")
    assert not output.parent.exists()


def test_model_with_a_wrong_checksum(process, study, output, tmp_path, tiny_model, refused):
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_model, damaged)
    weights = damaged / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    answer = process(*study.arguments(output, model=damaged), "--json")
    refused(answer, MODEL, "checksum is wrong", "install it again")
    assert answer.json["error"]["kind"] == "model"
    assert not output.parent.exists()


def test_model_that_does_not_exist(cli, study, output, refused):
    answer = cli(*study.arguments(output, model="no-such-model"))
    refused(answer, MODEL, "no-such-model", "known models")
    assert not output.parent.exists()


def test_device_that_does_not_exist(process, study, output, tiny_model, refused):
    answer = process(*study.arguments(output, device="cuda:77", model=tiny_model))
    refused(answer, DEVICE, "cuda:77")
    assert not output.parent.exists()


def test_output_below_a_file(cli, study, tmp_path, refused):
    (tmp_path / "file").write_text("a file")
    answer = cli(*study.arguments(tmp_path / "file" / "results"))
    refused(answer, OUTPUT, "could not be written")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_output_that_is_a_file(cli, study, tmp_path, refused):
    (tmp_path / "file").write_text("a file")
    answer = cli(*study.arguments(tmp_path / "file"))
    refused(answer, OUTPUT, "could not be written")
    assert (tmp_path / "file").read_text() == "a file"


@pytest.fixture
def mounted(tmp_path):
    """Mounts a small tmpfs with the given options; skips where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = []

    def mount(options: str) -> Path:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )
        if made.returncode != 0:
            pytest.skip("only root may mount a small or read-only disk")
        done.append(folder)
        return folder

    yield mount
    for disk in done:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
def test_read_only_disk(cli, study, mounted, refused):
    disk = mounted("size=1m,ro")
    answer = cli(*study.arguments(disk / "results"))
    refused(answer, OUTPUT, "no permission", "another folder")
    assert list(disk.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_write_permission(cli, study, tmp_path, refused):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    answer = cli(*study.arguments(folder / "results"))
    refused(answer, OUTPUT, "no permission", "another folder")


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
def test_disk_that_is_full_from_the_start(cli, study, mounted, refused):
    disk = mounted("size=64k")
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as stream:
        for _ in range(100):
            stream.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0
    answer = cli(*study.arguments(disk / "results"))
    refused(answer, OUTPUT, "disk is full")
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_disk_that_fills_up_while_the_results_are_written(process, study, output, tiny_model, refused):
    """A limit on the size of files stands for the full disk: 4 kB, less than the results of a random network need."""
    code = (
        "import resource, signal, sys\n"
        "from petctfusion.cli import main, segment_run\n"
        "real = segment_run._in_worker\n"
        "def then_full(*arguments):\n"
        "    answer = real(*arguments)\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "    return answer\n"
        "segment_run._in_worker = then_full\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    answer = process(*study.arguments(output, model=tiny_model), "--probability", "--json", start=["-c", code])
    refused(answer, OUTPUT, "disk is full", "free some space")
    assert answer.json["error"]["kind"] == "output"
    assert not output.parent.exists()


def buffered_environment() -> dict[str, str]:
    """A user's environment: stdout is buffered, and fails only when it is flushed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("options", [["models", "list"], ["models", "list", "--json"]])
def test_stdout_on_a_full_disk_is_not_success(options):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "petctfusion.cli", *options]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffered_environment()
        )
    assert done.returncode == OUTPUT, done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_of_an_earlier_run_survive_a_refusal(cli, study, output, refused):
    output.mkdir(parents=True)
    (output / "segmentation.nii.gz").write_text("the earlier result")
    answer = cli(*study.arguments(output, ct=study.pet, pet=study.ct))
    refused(answer, BAD_INPUT, "swapped")
    assert [path.name for path in output.iterdir()] == ["segmentation.nii.gz"]
    assert (output / "segmentation.nii.gz").read_text() == "the earlier result"


def test_traceback_goes_to_the_log(cli, study, output, user_folders):
    from petctfusion.cli.failures import log_file

    cli(*study.arguments(output, ct=study.pet, pet=study.ct))
    assert log_file().is_relative_to(user_folders) or sys.platform == "darwin"
    assert "BadInputError" in log_file().read_text()
