"""The whole-body benchmark: lesions, and whose uptake was wrongly marked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.phantom.organ_names import BONE, MUSCLE, ORGAN_NAMES
from petctfusion.training.benchmark import whole_body
from petctfusion.training.benchmark.whole_body import (
    ELSEWHERE,
    PLACES,
    RIM,
    Body,
    BodyRow,
    liver_based,
    load_bodies,
    measure_bodies,
    row_of,
    suv_4,
    wrongly_marked_ml,
)
from petctfusion.training.benchmark.whole_body_tables import (
    bodies_document,
    body_table,
    organ_table,
    summarise_bodies,
    summary_table,
)
from petctfusion.volumes.geometry import Geometry

_SHAPE = (30, 30, 30)
_GRID = Geometry(_SHAPE, (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
_VOXEL_ML = 0.064
_NUMBER = {name: number for number, name in ORGAN_NAMES.items()}


def _cube(low: int, high: int) -> np.ndarray:
    mask = np.zeros(_SHAPE, dtype=bool)
    mask[low:high, low:high, low:high] = True
    return mask


def _body(name: str = "a", lesion: np.ndarray | None = None, brain_suv: float = 8.0) -> Body:
    """Liver of SUV 2 in the middle, a hot brain in a corner, a lesion of SUV 10 where asked for."""
    organs = np.full(_SHAPE, MUSCLE, dtype=np.uint8)
    organs[_cube(10, 20)] = _NUMBER["liver"]
    organs[_cube(0, 5)] = _NUMBER["brain"]
    suv = np.ones(_SHAPE, dtype=np.float32)
    suv[_cube(10, 20)] = 2.0 + 0.2 * (np.indices((10, 10, 10)).sum(axis=0) % 2 * 2 - 1).ravel()
    suv[_cube(0, 5)] = brain_suv
    truth = np.zeros(_SHAPE, dtype=bool) if lesion is None else lesion
    suv[truth] = 10.0
    volumes = {"CT": _GRID.image(organs.astype(np.int16) * 20), "PET": _GRID.image(suv)}
    return Body(name, volumes, _GRID.image(truth.astype(np.uint8)), _GRID.image(organs))


def _lesion() -> np.ndarray:
    lesion = np.zeros(_SHAPE, dtype=bool)
    lesion[24:28, 24:28, 24:28] = True
    return lesion


def test_what_is_wrongly_marked_adds_up_whatever_is_marked() -> None:
    generator = np.random.default_rng(3)
    for share in (0.0, 0.02, 0.4, 1.0):
        marked, truth = generator.random(_SHAPE) < share, generator.random(_SHAPE) < 0.001
        organs = generator.choice([0, *ORGAN_NAMES], size=_SHAPE).astype(np.uint8)
        found = wrongly_marked_ml(marked, truth, organs, (4.0, 3.0, 2.0))
        assert tuple(found) == PLACES
        assert sum(found.values()) == pytest.approx(int((marked & ~truth).sum()) * 0.024)


@pytest.mark.parametrize(
    ("voxel", "place"),
    [
        ((2, 2, 2), "brain"),
        ((6, 2, 2), "brain"),  # 8 mm outside: its uptake spills over
        ((7, 2, 2), "muscle"),
        ((15, 15, 15), "liver"),
        ((23, 25, 25), RIM),
        ((28, 2, 15), ELSEWHERE),
        ((28, 2, 25), "bone"),
    ],
)
def test_a_wrongly_marked_voxel_belongs_to_the_nearest_organ(voxel: tuple[int, int, int], place: str) -> None:
    organs = np.array(sitk.GetArrayFromImage(_body().organs))
    organs[28, 2, 10:20], organs[28, 2, 25] = 0, BONE
    marked = np.zeros(_SHAPE, dtype=bool)
    marked[voxel] = True
    found = wrongly_marked_ml(marked, _lesion(), organs, (4.0, 4.0, 4.0))
    assert {name for name, ml in found.items() if ml} == {place}
    assert found[place] == pytest.approx(_VOXEL_ML)


def test_without_organs_everything_is_elsewhere() -> None:
    marked = _cube(0, 3)
    found = wrongly_marked_ml(marked, np.zeros(_SHAPE, dtype=bool), np.zeros(_SHAPE, dtype=np.uint8), (4.0, 4.0, 4.0))
    assert found[ELSEWHERE] == pytest.approx(27 * _VOXEL_ML)


def test_the_rules_mark_what_is_above_their_level() -> None:
    body = _body(lesion=_lesion())
    hot = _lesion() | _cube(0, 5)
    assert np.array_equal(sitk.GetArrayFromImage(suv_4(body)) > 0, hot)
    # 1.5 x 2 + 2 x 0.2 = 3.4
    assert np.array_equal(sitk.GetArrayFromImage(liver_based(body)) > 0, hot)
    assert np.array_equal(sitk.GetArrayFromImage(liver_based(_body(brain_suv=3.3))) > 0, _cube(0, 0))
    assert np.array_equal(sitk.GetArrayFromImage(liver_based(_body(brain_suv=3.5))) > 0, _cube(0, 5))


def test_a_body_without_liver_is_named() -> None:
    body = _body("nobody")
    empty = Body("nobody", body.volumes, body.contour, _GRID.image(np.zeros(_SHAPE, dtype=np.uint8)))
    with pytest.raises(BadInputError, match="nobody shows no liver"):
        liver_based(empty)


def test_a_row_counts_lesions_and_volumes() -> None:
    marked = _cube(0, 2)
    marked[26:28, 24:28, 24:28] = True
    row = row_of("x", _body(lesion=_lesion()), _GRID.image(marked.astype(np.uint8)), 1.0)
    assert (row.tp, row.fp, row.fn) == (1, 1, 0)
    assert row.lesion_f1 == pytest.approx(2 / 3)
    assert row.dice == pytest.approx(2 * 32 / (40 + 64))
    assert row.fpv_ml == pytest.approx(8 * _VOXEL_ML)
    assert row.wrong_ml["brain"] == pytest.approx(row.fpv_ml)
    assert not row.is_negative


def _rows() -> list[BodyRow]:
    everything = lambda body: suv_4(body)  # noqa: E731
    bodies = [_body("a", _lesion()), _body("b"), _body("c", brain_suv=1.0)]
    return [row_of("rule", body, everything(body), 2.0) for body in bodies]


def test_negatives_are_told_apart() -> None:
    (summary,) = summarise_bodies(_rows())
    assert (summary.bodies, summary.negatives, summary.lesions, summary.clean_negatives) == (3, 2, 1, 1)
    assert summary.sensitivity == 1.0
    assert summary.lesion_f1 == pytest.approx(2 / 3)
    assert summary.fpv_ml == pytest.approx(125 * _VOXEL_ML)
    assert summary.negative_fpv_ml == pytest.approx(125 * _VOXEL_ML / 2)
    assert summary.fnv_ml == 0.0
    assert summary.wrong_ml["brain"] == pytest.approx(250 * _VOXEL_ML / 3)
    (only_negatives,) = summarise_bodies([row for row in _rows() if row.is_negative])
    assert only_negatives.dice is None
    assert "| - |" in summary_table([only_negatives])


def test_the_tables_and_the_document_say_what_was_measured() -> None:
    rows = _rows()
    summaries = summarise_bodies(rows)
    assert "| rule | 3 | 1 |" in summary_table(summaries)
    assert f"| all | {250 * _VOXEL_ML / 3:.2f} |" in organ_table(summaries)
    assert "| b | 0 | 0.0 | - | 0 | 1 | 0 | 8.0 | 0.0 | brain 8.0 |" in body_table(rows, "rule")
    document = json.loads(json.dumps(bodies_document(rows, {"command": "x"}), allow_nan=False))
    assert document["simulated"] is True
    assert [row["patient"] for row in document["rows"]] == ["a", "b", "c"]


def _write_cohort(folder: Path, body: Body, split: str = "test") -> None:
    own = folder / "p_00"
    own.mkdir(parents=True)
    images = {
        "CT": body.volumes["CT"], "PET": body.volumes["PET"], "LESIONS": body.contour, "ORGANS": body.organs
    }  # fmt: skip
    for name, image in images.items():
        sitk.WriteImage(image, str(own / f"{name}.nii.gz"))
    line = f"p,00,{split},p_00/CT.nii.gz,p_00/PET.nii.gz,p_00/LESIONS.nii.gz\n"
    (folder / "cohort.csv").write_text("patient,study,split,CT,PET,contour\n" + line)


def test_a_cohort_on_disk_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_cohort(tmp_path, _body(lesion=_lesion()))

    class Result:
        labels = _GRID.image(_lesion().astype(np.uint8))

    monkeypatch.setattr(whole_body, "segment_study", lambda *_: Result)
    told: list[BodyRow] = []
    rows = measure_bodies(load_bodies(tmp_path, "test"), {"perfect": None}, None, told.append)
    assert [row.method for row in rows] == ["perfect", *whole_body.RULES]
    assert [row.dice for row in told] == [1.0]
    assert rows[0].patient == "p/00"
    assert rows[1].wrong_ml["brain"] == pytest.approx(125 * _VOXEL_ML)


def test_cohorts_that_cannot_be_measured_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_cohort(tmp_path, _body(), "train")
    with pytest.raises(BadInputError, match="no phantoms in the part test"):
        next(load_bodies(tmp_path, "test"))
    with pytest.raises(BadInputError, match="is not a table"):
        next(load_bodies(tmp_path / "elsewhere", "test"))
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkUInt8), str(tmp_path / "p_00" / "ORGANS.nii.gz"))
    with pytest.raises(BadInputError, match="organs of p/00 are not on the grid"):
        next(load_bodies(tmp_path, "train"))
    assert main(["benchmark", "whole-body", "--cohort", str(tmp_path), "--model", str(tmp_path / "none")]) != 0
    assert "none" in capsys.readouterr().err
