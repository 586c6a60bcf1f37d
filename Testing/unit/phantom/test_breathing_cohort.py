"""Cohorts of breathing chests: what they hold, their split, a real chest as base, rubbish input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.phantom.breathing_cohort import (
    BreathingMember,
    BreathingSettings,
    make_breathing_cohort,
    plan_breathing,
)
from petctfusion.phantom.chest_scan import read_chest
from petctfusion.phantom.cohort_making import Cohort
from petctfusion.phantom.lung_tumours import draw_tumour, drawn_person
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients


@pytest.fixture(scope="module")
def igtv(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_breathing_cohort(tmp_path_factory.mktemp("igtv"), BreathingSettings("igtv", 2, seed=1))


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A box of lung over a box of liver, in muscle, with a spine."""
    hounsfield = np.full((70, 48, 48), 50, dtype=np.int16)
    lungs = np.zeros(hounsfield.shape, dtype=np.uint8)
    lungs[25:65, 6:42, 6:42] = 1
    lungs[15:25, 6:10, 6:42] = 1
    hounsfield[lungs > 0] = -850
    hounsfield[:, 44:, 20:28] = 700
    folder, files = tmp_path_factory.mktemp("scan"), []
    for name, array in (("ct", hounsfield), ("lungs", lungs)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((4.0, 4.0, 4.0))
        files.append(folder / f"{name}.nii.gz")
        sitk.WriteImage(image, str(files[-1]))
    return files[0], files[1]


def _truth(cohort: Cohort, number: int) -> dict[str, object]:
    return json.loads((cohort.table.parent / cohort.made[number].member.name / "phantom.json").read_text())


def _volumes(cohort: Cohort, number: int) -> tuple[dict[str, sitk.Image], np.ndarray]:
    volumes, contour = read_patient(find_patients("csv", cohort.table)[number], ("CT", "PET"))
    return volumes, sitk.GetArrayFromImage(contour)


def _members(kind: str, count: int, seed: int = 0) -> list[BreathingMember]:
    return plan_breathing(BreathingSettings(kind, count, seed))  # type: ignore[arg-type]


def test_few_moving_ones_are_learned_from_and_many_tested_on() -> None:
    splits = [one.split for one in _members("igtv", 40)]
    assert {name: splits.count(name) for name in set(splits)} == {"train": 12, "tune": 4, "test": 24}
    still = [one.split for one in _members("gtv", 120)]
    assert {name: still.count(name) for name in set(still)} == {"train": 108, "tune": 12}
    assert _members("igtv", 12) == _members("igtv", 40)[:12]
    assert not {one.seed for one in _members("igtv", 40)} & {one.seed for one in _members("gtv", 120)}


def test_an_igtv_holds_the_tumour_and_grows_with_its_motion(igtv: Cohort) -> None:
    for number in range(2):
        truth, (volumes, contour) = _truth(igtv, number), _volumes(igtv, number)
        assert truth["simulated"] is True
        motion, gtv_ml = float(truth["motion_mm"]), float(truth["gtv_ml"])  # type: ignore[arg-type]
        assert 0 <= motion <= 25
        heights = np.flatnonzero(contour.any(axis=(1, 2)))
        assert np.array_equal(heights, np.arange(heights[0], heights[-1] + 1)), "one piece"
        # A body of this volume swept along the body by so much; the lesion is a little longer or flatter than a ball.
        diameter = float(truth["diameter_mm"])  # type: ignore[arg-type]
        assert len(heights) * 3.0 == pytest.approx(diameter + motion, rel=0.3)
        assert float(truth["contour_ml"]) >= gtv_ml  # type: ignore[arg-type]
        pet = sitk.GetArrayFromImage(sitk.Resample(volumes["PET"], volumes["CT"]))
        assert pet[contour > 0].mean() > 1.5 * np.median(pet[contour == 0])


def test_at_rest_the_contour_is_the_tumour(tmp_path: Path) -> None:
    cohort = make_breathing_cohort(tmp_path, BreathingSettings("gtv", 1, seed=1))
    truth = _truth(cohort, 0)
    assert (truth["motion_mm"], truth["phases"]) == (0.0, 1)
    volume = np.pi / 6 * float(truth["diameter_mm"]) ** 3 / 1000  # type: ignore[arg-type]
    assert float(truth["contour_ml"]) == truth["gtv_ml"] == pytest.approx(volume, rel=0.1)  # type: ignore[arg-type]
    ct, _ = _volumes(cohort, 0)
    assert ct["CT"].GetSize() == (48, 48, 56)


def test_equal_settings_give_equal_voxels_and_what_is_there_is_kept(igtv: Cohort, tmp_path: Path) -> None:
    again = make_breathing_cohort(tmp_path / "again", BreathingSettings("igtv", 1, seed=1))
    for name in ("CT", "PET"):
        first, second = (sitk.GetArrayFromImage(_volumes(one, 0)[0][name]) for one in (igtv, again))
        assert np.array_equal(first, second)
    more = make_breathing_cohort(tmp_path / "again", BreathingSettings("igtv", 2, seed=1))
    assert [one.reused for one in more.made] == [True, False]
    with pytest.raises(BadInputError, match="another seed"):
        make_breathing_cohort(tmp_path / "again", BreathingSettings("igtv", 2, seed=2))


def test_places_sizes_and_motion_vary() -> None:
    person = drawn_person(3)
    drawn = [draw_tumour(seed, person) for seed in range(40)]
    motions = [one.motion_mm for one in drawn]
    assert min(motions) < 6
    assert 18 < max(motions) <= 25
    assert np.ptp([one.place[2] for one in drawn]) > 80
    assert {one.place[0] > 0 for one in drawn} == {True, False}
    middles = np.array([np.mean(one.view, axis=0) - one.place for one in drawn])
    assert np.all(middles[:, :2].std(axis=0) > 15), "the view does not tell where the tumour is"


def test_a_real_chest_breathes_too(scan: tuple[Path, Path], tmp_path: Path) -> None:
    cohort = make_breathing_cohort(tmp_path, BreathingSettings("igtv", 2, 1, scan))
    assert {one.member.split for one in cohort.made} == {"test"}
    assert [one.name for one in find_patients("csv", cohort.table)] == ["chest/000", "chest/001"]
    for number in range(2):
        assert _truth(cohort, number)["anatomy"] == "one real chest CT"
        volumes, contour = _volumes(cohort, number)
        ct = sitk.GetArrayFromImage(volumes["CT"])
        assert ct[contour > 0].mean() > ct.min() + 200
        assert -900 < np.median(ct[ct < -500]) < -800, "the lung keeps the HU of the scan"


def test_the_lung_moves_and_the_spine_stays(scan: tuple[Path, Path]) -> None:
    chest = read_chest(*scan).coarse()
    dome = chest.heights_mm[2]
    assert dome == pytest.approx(25 * 4.0, abs=4.1)
    assert chest.share_at(dome) == 1.0
    assert chest.share_at(chest.heights_mm[3]) == 0.0


def test_rubbish_is_one_sentence(scan: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ct, lungs = scan
    with pytest.raises(BadInputError, match="cannot be made"):
        BreathingSettings("igtv", 0)
    with pytest.raises(BadInputError, match="nowhere"):
        make_breathing_cohort(tmp_path / "a", BreathingSettings("igtv", 1, 0, (ct, tmp_path / "nowhere.nii.gz")))
    empty = tmp_path / "empty.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(lungs)) * 0, str(empty))
    with pytest.raises(BadInputError, match="marks no lung"):
        read_chest(ct, empty)
    small = tmp_path / "small.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(lungs))[:, :, :20], str(small))
    with pytest.raises(BadInputError, match="not on the grid"):
        read_chest(ct, small)
    for options, words in (
        ((), "organ maps"),
        (("--chest", str(ct)), "breathes"),
        (("--breathing", "igtv", "--chest", str(ct)), "belong together"),
        (("--breathing", "igtv", "--maps", str(tmp_path)), "no organ maps"),
    ):
        assert main(["phantom", "--output", str(tmp_path / "b"), "--cohort", "1", *options]) != 0
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_model_contours_the_igtv_of_a_tumour_it_has_not_seen(tmp_path: Path) -> None:
    from petctfusion.inference import SegmentOptions, load_model, segment_study
    from petctfusion.metrics import compare
    from petctfusion.models import find_model

    # Its own cohort has seed 1.
    others = make_breathing_cohort(tmp_path, BreathingSettings("igtv", 2, seed=77))
    model = load_model(find_model("phantom-igtv").folder, "cpu")
    for patient in find_patients("csv", others.table):
        volumes, contour = read_patient(patient, ("CT", "PET"))
        result = segment_study(volumes, model, SegmentOptions())
        assert compare(result.labels, contour).dice > 0.5
    assert model.card.labels[0].name == "IGTV"
