"""Cohorts of whole bodies around organ maps, split by person."""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.phantom import cohort as cohort_module
from petctfusion.phantom.cohort import CohortSettings, make_cohort, plan_cohort, split_of_maps
from petctfusion.phantom.cohort_making import Cohort
from petctfusion.phantom.organ_names import ORGAN_NAMES
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients
from petctfusion.volumes.geometry import Geometry

_COARSE = CohortSettings(count=4, seed=5, negatives=0.5, spacing_mm=9.0, fine_mm=9.0)
_IMAGES = ("CT.nii.gz", "PET.nii.gz", "LESIONS.nii.gz", "ORGANS.nii.gz")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory, box_map: Callable[..., sitk.Image]) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    for number in range(3):
        sitk.WriteImage(box_map(number), str(folder / f"person_{number}.nii.gz"))
    return folder


@pytest.fixture(scope="module")
def made(maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(maps, tmp_path_factory.mktemp("cohort"), _COARSE)


def _named(count: int) -> list[Path]:
    return [Path(f"organs_{number:02d}.nii.gz") for number in range(1, count + 1)]


def test_thirty_two_maps_are_split_evenly_and_by_person() -> None:
    members = plan_cohort(_named(32), CohortSettings(86))
    persons = {split: {one.person for one in members if one.split == split} for split in ("train", "tune", "test")}
    assert {split: len(names) for split, names in persons.items()} == {"train": 22, "tune": 4, "test": 6}
    assert not persons["train"] & persons["test"]
    assert not persons["train"] & persons["tune"]
    assert not persons["tune"] & persons["test"]
    counts = {split: sum(one.split == split for one in members) for split in persons}
    assert counts == {"train": 66, "tune": 8, "test": 12}
    negative = {split: sum(one.split == split and one.negative for one in members) for split in persons}
    assert negative == {"train": 16, "tune": 2, "test": 3}
    assert len({one.name for one in members}) == len({one.seed for one in members}) == 86


@pytest.mark.parametrize("count", [3, 4, 7, 16, 100])
def test_every_part_of_the_split_has_a_map(count: int) -> None:
    assert set(split_of_maps(_named(count)).values()) == {"train", "tune", "test"}


def test_a_larger_cohort_keeps_its_members() -> None:
    small, large = (plan_cohort(_named(8), CohortSettings(count, seed=3)) for count in (9, 20))
    assert large[:9] == small


def test_what_cannot_be_planned_is_said() -> None:
    with pytest.raises(BadInputError, match="cannot be split"):
        plan_cohort(_named(2), CohortSettings(10))
    with pytest.raises(BadInputError, match="too few"):
        plan_cohort(_named(12), CohortSettings(11))
    with pytest.raises(BadInputError, match="negatives"):
        CohortSettings(10, negatives=1.5)


def test_the_table_is_read_as_a_data_set(made: Cohort) -> None:
    patients = find_patients("csv", made.table)
    assert [one.problem for one in patients] == [""] * 4
    assert {one.split for one in patients} == {"train", "tune", "test"}
    negative = {f"{one.member.person}/{one.member.number:02d}": one.member.negative for one in made.made}
    assert sorted(negative.values()) == [False, False, False, True]
    for patient in patients:
        volumes, contour = read_patient(patient, ("CT", "PET"))
        assert bool(sitk.GetArrayViewFromImage(contour).any()) is not negative[patient.name]
        assert sitk.GetArrayViewFromImage(volumes["PET"]).max() > 2.5, "the bladder is hot"


def test_truth_and_organs_lie_beside_the_images(made: Cohort) -> None:
    for one in made.made:
        folder = made.table.parent / one.member.name
        truth = json.loads((folder / "phantom.json").read_text())
        assert truth["simulated"] is True
        assert truth["split"] == one.member.split
        assert bool(truth["lesions"]) is not one.member.negative
        images = {name: sitk.ReadImage(str(folder / name)) for name in _IMAGES}
        assert Geometry.of(images["ORGANS.nii.gz"]).same_grid(Geometry.of(images["CT.nii.gz"]))
        found = {ORGAN_NAMES[number] for number in np.unique(sitk.GetArrayFromImage(images["ORGANS.nii.gz"])) if number}
        assert {"liver", "lungs", "bladder", "heart", "bone", "muscle"} <= found


def test_equal_settings_give_equal_voxels_and_another_seed_other_ones(made: Cohort, maps: Path, tmp_path: Path) -> None:
    again = make_cohort(maps, tmp_path / "again", _COARSE)
    other = make_cohort(maps, tmp_path / "other", replace(_COARSE, seed=6))
    assert again.table.read_text() == made.table.read_text() == other.table.read_text()
    for one in made.made:
        for name in _IMAGES:
            first, second, third = (
                sitk.GetArrayFromImage(sitk.ReadImage(str(which.table.parent / one.member.name / name)))
                for which in (made, again, other)
            )
            assert np.array_equal(first, second), name
            assert name != "PET.nii.gz" or first.shape != third.shape or not np.array_equal(first, third)


def test_a_killed_run_leaves_no_half_phantom_and_is_continued(
    maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, written = tmp_path / "cohort", []
    real = cohort_module.write_volume

    def killed(image: sitk.Image, path: Path) -> Path:
        written.append(path)
        if len(written) == 6:
            raise KeyboardInterrupt
        return real(image, path)

    settings = replace(_COARSE, count=3)
    monkeypatch.setattr(cohort_module, "write_volume", killed)
    with pytest.raises(KeyboardInterrupt):
        make_cohort(maps, folder, settings)
    assert not (folder / "cohort.csv").exists()
    complete = [path for path in folder.iterdir() if path.is_dir()]
    assert len(complete) == 1
    assert len(list(complete[0].iterdir())) == 5
    monkeypatch.setattr(cohort_module, "write_volume", real)
    # As a run that was ended by force left it two hours ago.
    left = folder / ".unfinished-0"
    left.mkdir()
    (left / "CT.nii.gz").write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    resumed = make_cohort(maps, folder, settings)
    assert [one.reused for one in resumed.made].count(True) == 1
    assert len(resumed.made) == 3
    assert not list(folder.glob(".unfinished-*"))
    assert "1 of them were there before, 0 could not be made" in resumed.lines[-1]


def test_rubbish_maps_are_named_and_left_out(maps: Path, tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    shutil.copytree(maps, folder)
    (folder / "person_3.nii.gz").write_text("no image")
    sitk.WriteImage(sitk.Image([8, 8, 8], sitk.sitkUInt8), str(folder / "person_4.nii.gz"))
    cohort = make_cohort(folder, tmp_path / "cohort", replace(_COARSE, count=5))
    messages = {one.member.person: str(one) for one in cohort.skipped}
    assert set(messages) == {"person_3", "person_4"}
    assert "no lungs" in messages["person_4"]
    with cohort.table.open() as stream:
        assert {row["patient"] for row in csv.DictReader(stream)} == {"person_0", "person_1", "person_2"}


def test_copies_of_a_map_and_folders_of_another_cohort_are_refused(maps: Path, made: Cohort, tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    shutil.copytree(maps, folder)
    shutil.copy(folder / "person_0.nii.gz", folder / "person_9.nii.gz")
    with pytest.raises(BadInputError, match=r"person_9.nii.gz is a copy of person_0.nii.gz"):
        make_cohort(folder, tmp_path / "cohort", _COARSE)
    with pytest.raises(BadInputError, match="another seed"):
        make_cohort(maps, made.table.parent, replace(_COARSE, seed=6))
    with pytest.raises(BadInputError, match="holds no organ map"):
        make_cohort(tmp_path, tmp_path / "cohort", _COARSE)


def test_the_command_says_what_a_cohort_lacks(
    maps: Path, made: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = ["phantom", "--output", str(tmp_path / "cohort"), "--cohort", "4"]
    assert main(cohort) == 2
    assert "Add --maps DIR" in capsys.readouterr().err
    assert main([*cohort, "--maps", str(maps), "--view", "thigh"]) == 2
    assert main([*cohort, "--maps", str(maps), "--jobs", "0"]) == 2
    assert not (tmp_path / "cohort").exists()
    own = ["phantom", "--output", str(made.table.parent), "--cohort", "4", "--seed", "5", "--negatives", "0.5"]
    capsys.readouterr()
    # The command makes voxels of 4 mm, the cohort that is there has 9.
    assert main([*own, "--maps", str(maps)]) != 0
    assert "another spacing_mm and another fine_mm" in capsys.readouterr().err
