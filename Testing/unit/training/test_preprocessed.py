"""The cache of prepared cases: same numbers as without it, found by content, checked, whole or not there."""

import errno
import os
import shutil
from pathlib import Path

import dataset_miniatures as mini
import numpy as np
import pytest

from petctfusion.cli.progress import ProgressDisplay
from petctfusion.errors import BadInputError, OutputError
from petctfusion.training import case_cache, preprocessed
from petctfusion.training.case_cache import PreparationSettings
from petctfusion.training.cases import make_case
from petctfusion.training.datasets.patient import Contour, Patient
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients
from petctfusion.training.preprocessed import prepare

SETTINGS = PreparationSettings((4.0, 4.0, 4.0), {"CT": (-1024.0, 3071.0), "PET": (0.0, 60.0)})


@pytest.fixture
def patients(tmp_path) -> list[Patient]:
    return find_patients("nnunet", mini.nnunet(tmp_path / "data"))


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def made(monkeypatch):
    """Names of the patients that were read and resampled."""
    names = []
    whole = preprocessed.make_case
    monkeypatch.setattr(preprocessed, "make_case", lambda name, *rest: names.append(name) or whole(name, *rest))
    return names


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*/*"))


def test_cases_are_the_same_to_the_last_bit_as_without_a_cache(patients, cache):
    for case, patient in zip(prepare(patients, SETTINGS, cache).cases(), patients, strict=True):
        volumes, contour = read_patient(patient, ("CT", "PET"))
        direct = make_case(patient.name, volumes, contour, SETTINGS.spacing_mm, SETTINGS.clip)
        assert (case.name, case.spacing_zyx) == (direct.name, direct.spacing_zyx)
        for part in ("image", "contour", "foreground"):
            stored, wanted = getattr(case, part), getattr(direct, part)
            assert stored.dtype == wanted.dtype
            assert np.array_equal(stored, wanted)


def test_the_second_time_nothing_is_read_again(patients, cache, made):
    first = prepare(patients, SETTINGS, cache)
    assert made == ["case_1", "case_2", "case_3"]
    second = prepare(patients, SETTINGS, cache)
    assert len(made) == 3
    assert [one.reused for one in (*first.prepared, *second.prepared)] == [False] * 3 + [True] * 3
    assert second.lines == ["3 prepared (3 from the cache, 0 without tumour), 0 skipped"]


def test_a_data_set_that_was_moved_is_found_by_its_content(patients, cache, made, tmp_path):
    prepare(patients, SETTINGS, cache)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    prepare(find_patients("nnunet", tmp_path / "elsewhere"), SETTINGS, cache)
    assert len(made) == 3


def test_other_content_of_the_same_size_and_time_makes_the_case_anew(patients, cache, made):
    prepare(patients, SETTINGS, cache)
    labels = patients[1].contour.path
    before = labels.stat()
    array = mini.array(mini.phantom(2).reference)
    array[:, :, : array.shape[2] // 2] = 0
    mini.write_volume(mini.Geometry.of(mini.phantom(2).reference).image(array), labels)
    os.utime(labels, ns=(before.st_atime_ns, before.st_mtime_ns))
    case = prepare(patients, SETTINGS, cache).cases([patients[1]])[0]
    assert made[3:] == ["case_2"]
    assert 0 < case.contour.sum() < 0.9 * mini.array(mini.phantom(2).reference).sum() * 36 / 64


@pytest.mark.parametrize(
    "other",
    [
        PreparationSettings((4.0, 4.0, 5.0), SETTINGS.clip),
        PreparationSettings(SETTINGS.spacing_mm, {**SETTINGS.clip, "PET": (0.0, 5.0)}),
        PreparationSettings(SETTINGS.spacing_mm, dict(reversed(SETTINGS.clip.items()))),
    ],
)
def test_other_settings_make_other_cases_beside(patients, cache, other):
    prepare(patients, SETTINGS, cache)
    case = prepare(patients, other, cache).cases()[0]
    assert len(entries(cache)) == 6
    volumes, contour = read_patient(patients[0], other.modalities)
    direct = make_case("case_1", volumes, contour, other.spacing_mm, other.clip)
    assert np.array_equal(case.image, direct.image)


def test_another_label_is_another_case(patients, cache):
    one = patients[0]
    second = Patient(one.name, one.identity, one.volumes, Contour(one.contour.path, (1,)))
    whole = Patient(one.name, one.identity, one.volumes, Contour(one.contour.path))
    assert case_cache.case_key(second, SETTINGS) != case_cache.case_key(whole, SETTINGS)


def test_a_header_with_its_voxels_in_another_file_is_known_by_those_too(tmp_path):
    path = tmp_path / "ct.mhd"
    mini.sitk.WriteImage(mini.phantom(1).ct, str(path))
    one = Patient("a", "a", {"CT": path, "PET": path}, Contour(path))
    before = case_cache.case_key(one, SETTINGS)
    raw = bytearray((tmp_path / "ct.raw").read_bytes())
    raw[100] ^= 1
    (tmp_path / "ct.raw").write_bytes(raw)
    assert case_cache.case_key(one, SETTINGS) != before


def test_a_series_given_by_one_file_is_known_by_all_its_files(tmp_path):
    mini.dicom_series(mini.phantom(1).ct, "CT", tmp_path / "s", "a")
    path = tmp_path / "s" / "CT000.dcm"
    one = Patient("a", "a", {"CT": path, "PET": tmp_path / "s"}, Contour(path))
    before = case_cache.case_key(one, SETTINGS)
    assert case_cache.case_key(one, SETTINGS) == before
    flip(tmp_path / "s" / "CT005.dcm")
    after = case_cache.case_key(one, SETTINGS)
    assert after != before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 64
    path.write_bytes(content)


DAMAGES = {
    "a flipped bit": lambda folder: flip(folder / "image.npy"),
    "a flipped bit in the contour": lambda folder: flip(folder / "contour.npy"),
    "a cut file": lambda folder: os.truncate(folder / "image.npy", 300),
    "an empty file": lambda folder: (folder / "contour.npy").write_bytes(b""),
    "a file that is gone": lambda folder: (folder / "image.npy").unlink(),
    "a card that is gone": lambda folder: (folder / "case.json").unlink(),
    "a card of rubbish": lambda folder: (folder / "case.json").write_text('{"sha256": 3'),
    "a card of another kind": lambda folder: (folder / "case.json").write_text("[]"),
    "a pickle": lambda folder: np.save(folder / "image.npy", np.array([{}], dtype=object), allow_pickle=True),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_case_is_made_again(patients, cache, made, damage):
    first = prepare(patients, SETTINGS, cache)
    sound = first.cases()[1]
    DAMAGES[damage](first.prepared[1].folder)
    again = prepare(patients, SETTINGS, cache)
    assert made[3:] == ["case_2"]
    assert [one.reused for one in again.prepared] == [True, False, True]
    assert np.array_equal(again.cases()[1].image, sound.image)
    assert len(entries(cache)) == 3


def test_a_case_that_is_damaged_between_preparing_and_training(patients, cache, made):
    ready = prepare(patients, SETTINGS, cache)
    sound = ready.cases()[0]
    flip(ready.prepared[0].folder / "image.npy")
    assert np.array_equal(ready.cases()[0].image, sound.image)
    assert made[3:] == ["case_1"]
    flip(ready.prepared[0].folder / "image.npy")
    patients[0].volumes["CT"].unlink()
    with pytest.raises(BadInputError, match="case_1 was lost"):
        ready.cases()


def test_corrupt_patients_are_named_counted_and_the_rest_goes_on(patients, cache):
    content = patients[0].volumes["PET"].read_bytes()
    patients[0].volumes["PET"].write_bytes(content[: len(content) // 2])
    patients[2].contour.path.unlink()
    ready = prepare(patients, SETTINGS, cache)
    assert [one.patient.name for one in ready.prepared] == ["case_2"]
    counts, first, second = ready.lines
    assert counts == "1 prepared (0 from the cache, 0 without tumour), 2 skipped"
    assert first.startswith("skipped case_1: ")
    assert "_0001.nii.gz" in first
    assert second.startswith("skipped case_3: ")
    assert [case.name for case in ready.cases(patients)] == ["case_2"]


def test_a_problem_of_the_data_set_is_a_reason_to_skip(tmp_path, cache):
    folder = mini.nnunet(tmp_path / "data")
    (folder / "labelsTr" / "case_2.nii.gz").unlink()
    ready = prepare(find_patients("nnunet", folder), SETTINGS, cache)
    assert [str(one) for one in ready.skipped] == ["case_2: It has no contour. Complete imagesTr and labelsTr."]


def test_nobody_left_is_an_error_that_names_the_first_reason(patients, cache):
    wants_mr = PreparationSettings(SETTINGS.spacing_mm, {"CT": (-1024.0, 3071.0), "MR": (0.0, 1.0)})
    with pytest.raises(BadInputError, match=r"None of 3 patients can be used\. case_1: It has no MR"):
        prepare(patients, wants_mr, cache)


def test_a_copy_under_another_name_is_skipped(patients, cache, tmp_path):
    for path in [*(tmp_path / "data").rglob("case_1*")]:
        shutil.copy(path, path.with_name(path.name.replace("case_1", "case_9")))
    ready = prepare(find_patients("nnunet", tmp_path / "data"), SETTINGS, cache)
    assert [str(one) for one in ready.skipped] == [
        "case_9: Its files are a copy of those of case_1. Keep one of the two."
    ]
    assert len(ready.prepared) == 3


def test_a_study_without_tumour_is_kept_and_counted(patients, cache):
    reference = mini.phantom(2).reference
    mini.write_volume(mini.Geometry.of(reference).empty(), patients[1].contour.path)
    ready = prepare(patients, SETTINGS, cache)
    assert [one.empty for one in ready.prepared] == [False, True, False]
    assert ready.cases()[1].foreground.shape == (0, 3)


def test_pictures_can_be_prepared_on_their_own_grid(tmp_path, cache):
    patients = find_patients("pclt20k", mini.pclt20k(tmp_path / "data"))
    grey = PreparationSettings((1.0, 1.0, 1.0), {"CT": (0.0, 255.0), "PET": (0.0, 255.0)})
    case = prepare(patients, grey, cache).cases()[0]
    ct, pet, mask = mini.middle_slice(1)
    assert np.array_equal(case.image, np.stack([ct, pet])[:, None].astype(np.float32))
    assert np.array_equal(case.contour, (mask[None] > 0).astype(np.float32))


def test_processes_give_the_same_as_one_with_the_progress_of_all(patients, cache, tmp_path):
    patients[1].volumes["PET"].write_bytes(b"rubbish")
    steps = []
    alone = prepare(patients, SETTINGS, tmp_path / "other")
    ready = prepare(patients, SETTINGS, cache, jobs=2, report=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert ready.lines == alone.lines
    for one, other in zip(ready.cases(), alone.cases(), strict=True):
        assert one.name == other.name
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.contour, other.contour)


def test_the_report_feeds_a_progress_bar(patients, cache, capsys):
    with ProgressDisplay() as display:
        prepare(patients, SETTINGS, cache, report=lambda done, total: display.update(done, total, "prepare"))
    assert "preparing 100 %" in capsys.readouterr().err


def test_memory_mapped_cases_are_equal_and_leave_the_cache_alone(patients, cache, made):
    ready = prepare(patients, SETTINGS, cache)
    mapped, loaded = ready.cases(memory_map=True)[0], ready.cases()[0]
    assert isinstance(mapped.image, np.memmap)
    assert np.array_equal(mapped.image, loaded.image)
    mapped.image[:] = 0
    prepare(patients, SETTINGS, cache)
    assert len(made) == 3


def test_a_full_disk_stops_everything_and_leaves_nothing_half_written(patients, cache, monkeypatch):
    prepare(patients[:1], SETTINGS, cache)
    whole = np.save

    def full(stream, array):
        whole(stream, array[..., :1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(case_cache.np, "save", full)
    with pytest.raises(OutputError, match="the disk is full"):
        prepare(patients, SETTINGS, cache)
    assert len(entries(cache)) == 1
    monkeypatch.undo()
    assert [one.reused for one in prepare(patients, SETTINGS, cache).prepared] == [True, False, False]


def test_what_a_killed_process_left_is_removed_when_it_is_old(patients, cache):
    for name, age in (("new", 0.0), ("old", 7200.0)):
        folder = cache / "ab" / f".unfinished-{name}"
        folder.mkdir(parents=True)
        (folder / "image.npy").write_bytes(b"half")
        then = folder.stat().st_mtime - age
        os.utime(folder, (then, then))
    prepare(patients[:1], SETTINGS, cache)
    assert [path.name for path in (cache / "ab").iterdir()] == [".unfinished-new"]


def test_a_cache_that_is_a_file_is_told(patients, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        prepare(patients, SETTINGS, tmp_path / "file")
