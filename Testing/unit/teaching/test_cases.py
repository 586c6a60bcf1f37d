"""Cases made ready, the contour of a fixed threshold, and the command that checks a lesson."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.phantom import LesionSpec
from petctfusion.phantom.rescan import Conditions
from petctfusion.teaching import Case, prepare_case, score_drawing
from petctfusion.teaching.cases import truth_of
from petctfusion.teaching.lesson import CaseFiles, PhantomCase
from petctfusion.teaching.threshold import threshold_contour
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.writing import write_volume

LUNG = PhantomCase(
    seed=8,
    margin_mm=30,
    fine_mm=3.0,
    ct_spacing_mm=(2.0, 2.0, 2.5),
    lesions=(LesionSpec("lung-right", 24.0, 8.0, irregularity=0.0, texture=0.0),),
)


@pytest.fixture(scope="module")
def material():
    return prepare_case(Case("Lung", "Draw.", LUNG))


def _voxels(image: sitk.Image) -> int:
    return int(np.count_nonzero(sitk.GetArrayViewFromImage(image)))


def test_a_phantom_case_brings_its_truth_and_its_patient(material):
    assert Geometry.of(material.reference).same_grid(Geometry.of(material.ct))
    assert _voxels(material.reference) * 0.01 == pytest.approx(np.pi / 6 * 2.4**3, rel=0.05)
    assert material.patient is not None
    assert material.patient.breathes


def test_the_truth_of_a_breathing_patient_is_everywhere_the_tumour_goes(material):
    scan = material.patient.scan(Conditions(breathing_mm=24.0))
    everywhere = truth_of(material.patient, scan)
    assert _voxels(everywhere) > 1.2 * _voxels(material.reference)
    assert not np.any(sitk.GetArrayFromImage(material.reference) > sitk.GetArrayFromImage(everywhere))


def test_a_threshold_finds_a_sharp_ball_and_loses_it_by_blur(material):
    patient = material.patient
    errors = []
    for fwhm in (4.0, 16.0):
        pet = patient.scan(Conditions(fwhm, 100.0)).pet
        errors.append(1 - score_drawing(threshold_contour(pet, patient.lesion_ids), material.reference).dice)
    assert errors[0] < 0.12
    assert errors[1] > 2 * errors[0]


def test_a_higher_threshold_draws_less(material):
    drawn = [_voxels(threshold_contour(material.pet, material.patient.lesion_ids, share)) for share in (0.3, 0.41, 0.7)]
    assert drawn[0] > drawn[1] > drawn[2] > 0


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_threshold_without_sense_is_refused(material, share):
    with pytest.raises(BadInputError, match="draws nothing"):
        threshold_contour(material.pet, material.patient.lesion_ids, share)


def test_a_pet_without_uptake_gets_no_contour(material):
    assert _voxels(threshold_contour(material.pet * 0, material.patient.lesion_ids)) == 0


def test_a_patient_without_lesions_is_a_case():
    ready = prepare_case(Case("None", "Look.", PhantomCase(view="thigh", lesions=(), fine_mm=4.0)))
    assert _voxels(ready.reference) == 0
    assert not ready.patient.breathes


def test_files_are_read_onto_the_ct(material, tmp_path):
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("ct", "pet", "reference")}
    for name, path in paths.items():
        write_volume(getattr(material, name), path)
    ready = prepare_case(Case("Files", "Draw.", CaseFiles(**paths, pet_units="suvbw")))
    assert ready.patient is None
    assert np.array_equal(*(sitk.GetArrayFromImage(one.reference) for one in (ready, material)))
    assert Geometry.of(ready.reference).same_grid(Geometry.of(ready.ct))


def test_the_command_lists_the_lesson_and_names_what_is_wrong(tmp_path, capsys):
    assert main(["lesson", "check"]) == 0
    assert "4. A tumor that breathes (2 hints, network whole-body-phantom" in capsys.readouterr().out
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"title": "x", "cases": [{"title": "a", "task": "b", "phantom": {}, "model": "nets"}]}))
    assert main(["lesson", "check", str(wrong)]) == 4
    wrong.write_text('{"titel": "x"}')
    assert main(["lesson", "check", str(wrong), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["hint"] == "Did you mean 'title'?"


def test_the_command_makes_the_images_when_asked(tmp_path, capsys):
    file = tmp_path / "lesson.json"
    phantom = {"view": "thigh", "lesions": [], "fine_mm": 5.0, "ct_spacing_mm": [5, 5, 5]}
    file.write_text(json.dumps({"title": "x", "cases": [{"title": "a", "task": "b", "phantom": phantom}]}))
    assert main(["lesson", "check", str(file), "--images", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["cases"]
    assert len(row["voxels"]) == 3
