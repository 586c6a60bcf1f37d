"""From a data folder to a model folder, and every way in which that is refused."""

import json

import dataset_miniatures as mini
import pytest
import torch
from test_trainer import TINY_TOML

from petctfusion.cli import main
from petctfusion.errors import BadInputError, DeviceError
from petctfusion.models import read_card, verify
from petctfusion.training.calibration import SMALLEST_ML, THRESHOLDS
from petctfusion.training.material import TrainingData
from petctfusion.training.recipe import read_recipe
from petctfusion.training.session import RunSettings, train_model


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML.replace("steps = 3", "steps = 2"))
    return path


@pytest.fixture
def model_of(recipe_file, tmp_path):
    """Trains on a data set; returns the outcome and what was said."""

    def train(kind, folder, **more):
        said = []
        run = RunSettings(tmp_path / "run", threads=1, jobs=1, **more)
        outcome = train_model(
            read_recipe(str(recipe_file)), TrainingData(kind, folder), run, lambda _: None, said.append
        )
        return outcome, said

    return train


def test_any_data_set_becomes_a_model_whose_card_claims_nothing_of_another(model_of, tmp_path):
    folder = mini.nnunet(tmp_path / "Dataset007_Heads")
    (folder / "imagesTr" / "case_2_0001.nii.gz").write_bytes(b"torn")
    outcome, said = model_of("nnunet", folder)
    card = verify(outcome.model_folder)
    assert sum("case_2" in line and line.startswith("skipped") for line in said) == 1
    assert "2 prepared (0 from the cache, 0 without tumour), 1 skipped" in said
    assert not {"case_2"} & set(card.training.patients)
    assert len(card.training.patients) + int(card.training.data.split("; ")[1][0]) == 2
    assert "Dataset007_Heads" in card.training.data
    assert "sarcoma" not in json.dumps(card.to_json()).lower()
    assert "--kind nnunet" in card.training.command
    assert card.threshold in THRESHOLDS
    assert card.smallest_component_ml in SMALLEST_ML
    assert outcome.steps == 2
    assert outcome.seconds > 0
    again, said = model_of("nnunet", folder)
    assert (again.sha256, again.seconds) == (outcome.sha256, outcome.seconds)
    assert "continuing at step 2" in said


def test_the_sarcomas_are_named_and_chosen_on_in_both_crops(model_of, tmp_path):
    outcome, said = model_of("sts", mini.sts(tmp_path / "sts"))
    card = read_card(outcome.model_folder)
    assert card.training.patients == ("STS_001",)
    assert card.training.data == (
        "1 patients of the Soft-tissue-Sarcoma collection (TCIA), CT and FDG-PET; 1 more for the settings"
    )
    assert (card.training.licence, card.training.command) == (
        "CC BY 3.0",
        "petctfusion train tiny --seed 1 --threads 1",
    )
    assert {"STS_002 as-is", "STS_002 re-cropped"} <= set(said)
    assert not any("STS_019" in line for line in said)


def test_the_recipe_has_the_last_word_on_data_and_licence(model_of, recipe_file, tmp_path):
    about = '[about]\nlicence = "CC0"\nnot_for = ["Cats."]\nsegment = "IGTV"\n'
    recipe_file.write_text(recipe_file.read_text() + about)
    card = read_card(model_of("nnunet", mini.nnunet(tmp_path / "d", seeds=(1,)))[0].model_folder)
    assert (card.training.licence, card.not_for[0], card.labels[0].name) == ("CC0", "Cats.", "IGTV")
    # Nobody to choose on: what a card says by default.
    assert (card.threshold, card.smallest_component_ml) == (0.5, 0.0)


def test_a_run_that_is_stopped_early_writes_no_model(model_of, tmp_path):
    outcome, _ = model_of("nnunet", mini.nnunet(tmp_path / "d"), stop_at=1)
    assert (outcome.model_folder, outcome.steps) == (None, 1)
    assert not (tmp_path / "run" / "model").exists()


def test_a_modality_that_no_patient_has_is_named(model_of, recipe_file, tmp_path):
    recipe_file.write_text(recipe_file.read_text() + "MR = [0, 1000]\n")
    with pytest.raises(BadInputError, match=r"None of 3 patients can be used. case_\d: It has no MR"):
        model_of("nnunet", mini.nnunet(tmp_path / "d"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there_is_told_before_anything_is_read(model_of, tmp_path):
    with pytest.raises(DeviceError, match="no device 'cuda' here"):
        model_of("nnunet", tmp_path / "nowhere", device="cuda")


def test_the_command_trains_a_fold_and_shares_the_prepared_cases(recipe_file, tmp_path, capsys):
    data = mini.nnunet(tmp_path / "d")
    arguments = ["train", str(recipe_file), "--kind", "nnunet", "--data", str(data), "--output", str(tmp_path / "run")]
    threads = torch.get_num_threads()
    assert main([*arguments, "--folds", "3", "--fold", "1", "--threads", "1", "--jobs", "1"]) == 0
    torch.set_num_threads(threads)
    out = capsys.readouterr()
    model = tmp_path / "run" / "fold_1" / "model"
    assert f"model {model}" in out.out
    assert read_card(model).name == "tiny-fold-1"
    assert "--folds 3 --fold 1" in read_card(model).training.command
    assert (tmp_path / "run" / "cache").is_dir()
    assert "step 2/2 loss" in out.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fold", "1"], "--fold needs --folds"),
        (["--folds", "3", "--fold", "3"], "no fold 3 of 3"),
        (["--threads", "0"], "--threads 0 makes no sense"),
        (["--precision", "half"], "precision = 'half' is not known"),
        (["--kind", "nifti"], "invalid choice: 'nifti'"),
    ],
)
def test_arguments_that_make_no_sense_are_told_in_a_sentence(recipe_file, tmp_path, capsys, arguments, sentence):
    code = main(["train", str(recipe_file), "--data", str(tmp_path), "--output", str(tmp_path / "run"), *arguments])
    assert code in (2, 3)
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
