"""nnU-Net as a peer: its raw data, its process, its words; trained, killed and continued for real."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parent))
from dataset_miniatures import phantom

from petctfusion.errors import BadInputError, OutOfMemoryError, OutputError, WorkerError
from petctfusion.metrics import compare
from petctfusion.training.benchmark.nnunet_peer import SETTINGS, NnUNetPeer
from petctfusion.training.benchmark.study import Study
from petctfusion.training.benchmark.system import Order
from petctfusion.training.datasets.patient import Contour, Patient
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients
from petctfusion.training.datasets.sts import sts_patients
from petctfusion.training.nnunet import training as nnunet_training
from petctfusion.training.nnunet.raw_data import write_raw
from petctfusion.training.nnunet.run_trainer import whole
from petctfusion.training.nnunet.settings import NnUNetSettings
from petctfusion.training.nnunet.training import EpochLines, train_nnunet
from petctfusion.training.nnunet.workspace import Workspace
from petctfusion.volumes import Geometry

needs_nnunet = pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="nnunetv2 is not installed")


@pytest.fixture
def patients(tmp_path) -> list[Patient]:
    """Three phantoms; the contour of the last is drawn on its PET."""
    made = []
    for seed in (1, 2, 3):
        one = phantom(seed)
        contour = one.reference_pet_grid if seed == 3 else one.reference
        paths = {name: tmp_path / f"{seed}_{name}.nii.gz" for name in ("CT", "PET", "GTV")}
        for name, image in {"CT": one.ct, "PET": one.pet, "GTV": contour}.items():
            sitk.WriteImage(image, str(paths[name]))
        volumes = {name: paths[name] for name in ("CT", "PET")}
        made.append(Patient(f"P{seed}", f"P{seed}", volumes, Contour(paths["GTV"]), pet_units="suvbw"))
    return made


def sts_folder(root: Path) -> Path:
    """The sarcoma collection in small: two patients to train, one to tune, one for validation."""
    names = {"train": ["STS_001", "STS_002"], "tune": ["STS_003"], "validation": ["STS_004"]}
    for seed, name in enumerate(["STS_001", "STS_002", "STS_003", "STS_004"]):
        one = phantom(seed)
        images = {"CT": one.ct, "PET": one.pet, "CT_GTV": one.reference, "PET_GTV": one.reference_pet_grid}
        (root / name).mkdir(parents=True)
        for kind, image in images.items():
            sitk.WriteImage(image, str(root / name / f"{kind}.nii.gz"))
    (root / "split.json").write_text(json.dumps(names))
    everyone = [name for part in names.values() for name in part]
    (root / "margins.json").write_text(json.dumps({"margins": {name: [[5, 5]] * 3 for name in everyone}}))
    return root


def test_the_raw_data_are_the_patients_on_the_ct_grid(patients, tmp_path):
    told = []
    write_raw(patients, tmp_path / "raw", lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    back = find_patients("nnunet", tmp_path / "raw")
    assert [patient.name for patient in back] == ["P1", "P2", "P3"]
    for before, after in zip(patients, back, strict=True):
        volumes, contour = read_patient(before, ("CT", "PET"))
        written, label = read_patient(after, ("CT", "PET"))
        grid = Geometry.of(volumes["CT"])
        assert all(Geometry.of(image).same_grid(grid) for image in (*written.values(), label))
        assert np.array_equal(sitk.GetArrayFromImage(written["CT"]), sitk.GetArrayFromImage(volumes["CT"]))
        pet = sitk.Resample(volumes["PET"], volumes["CT"], sitk.Transform(), sitk.sitkLinear, 0.0)
        assert np.allclose(sitk.GetArrayFromImage(written["PET"]), sitk.GetArrayFromImage(pet), atol=1e-4)
        assert compare(label, contour).dice > 0.9  # one was drawn on the coarser PET


def test_data_that_broke_off_are_not_taken_for_whole(patients, tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_raw(patients, tmp_path / "raw", stop)
    assert not (tmp_path / "raw" / "dataset.json").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_raw(patients, tmp_path / "file" / "raw", stop)


@pytest.mark.parametrize(
    "wrong", [{"configuration": "3d_lowres"}, {"epochs": 0}, {"iterations": -1}, {"gpu_memory_gb": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(BadInputError):
        NnUNetSettings(**wrong)


def test_without_the_package_the_command_to_install_it_is_named(monkeypatch, patients, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInputError, match="not installed") as caught:
        train_nnunet(patients[:2], patients[2:], NnUNetSettings(), tmp_path / "run")
    assert 'pip install "petctfusion[nnunet]"' in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_nobody_to_watch_is_refused(monkeypatch, patients, tmp_path):
    monkeypatch.setattr(nnunet_training, "require_nnunet", lambda: None)
    with pytest.raises(BadInputError, match="others to watch"):
        train_nnunet(patients, [], NnUNetSettings(), tmp_path / "run")


def test_a_folder_belongs_to_one_run(tmp_path):
    work = Workspace(tmp_path / "run")
    work.claim({"settings": {"epochs": 1}, "train": ["A"]})
    work.claim({"settings": {"epochs": 1}, "train": ["A"]})
    with pytest.raises(BadInputError, match="other settings or patients"):
        work.claim({"settings": {"epochs": 2}, "train": ["A"]})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Workspace(tmp_path / "file" / "run").claim({})


def test_a_process_that_fails_or_is_killed_is_one_sentence(tmp_path):
    programs = {
        "wrong": "print('one'); raise RuntimeError('no such plan')",
        "killed": "import os; print('one', flush=True); os.kill(os.getpid(), 9)",
        "sees": "import os; print(os.environ['nnUNet_raw'])",
    }
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text)
    work, heard = Workspace(tmp_path), []
    environment = {**work.environment(1), "PYTHONPATH": str(tmp_path)}
    work.command("sees", [], environment, heard.append)
    assert heard == [str(tmp_path / "raw")]
    with pytest.raises(WorkerError, match="RuntimeError: no such plan") as caught:
        work.command("wrong", [], environment, heard.append)
    assert str(work.log) in caught.value.hint
    assert "Traceback" in work.log.read_text()
    if sys.platform != "win32":
        with pytest.raises(OutOfMemoryError):
            work.command("killed", [], environment, heard.append)


def test_an_epoch_is_told_in_one_line():
    told = []
    hear = EpochLines(40, told.append)
    for line in (
        "2025-11-21 10:58:40.123456: Epoch 2",
        "2025-11-21 10:58:40.2: Current learning rate: 0.0096",
        "2025-11-21 10:59:50.1: train_loss -0.6087",
        "2025-11-21 10:59:50.1: val_loss -0.7872",
        "2025-11-21 10:59:50.1: Pseudo dice [np.float32(0.8806)]",
        "2025-11-21 10:59:50.1: Epoch time: 69.87 s",
        "2025-11-21 10:59:50.1: Yayy! New best EMA pseudo Dice: 0.9202",
    ):
        hear(line)
    assert told == ["epoch 3 of 40: train_loss -0.6087, val_loss -0.7872, Pseudo dice [0.8806], 70 s"]


def test_a_checkpoint_that_breaks_off_leaves_the_one_before(tmp_path):
    path = tmp_path / "checkpoint_latest.pth"
    whole(lambda name: Path(name).write_text("first"))(str(path))

    def half(name: str) -> None:
        Path(name).write_text("sec")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="space"):
        whole(half)(str(path))
    assert path.read_text() == "first"


def test_no_validation_patient_is_given_to_it(monkeypatch, tmp_path):
    given = {}

    class EnoughError(Exception):
        pass

    def train(training, tuning, settings, folder, **rest):
        given.update(training=training, tuning=tuning, settings=settings, **rest)
        raise EnoughError

    monkeypatch.setattr(nnunet_training, "train_nnunet", train)
    with pytest.raises(EnoughError):
        NnUNetPeer().train(Order(sts_folder(tmp_path / "sts"), tmp_path / "run", "quick", 5), print)
    assert [patient.name for patient in given["training"]] == ["STS_001", "STS_002"]
    assert [patient.name for patient in given["tuning"]] == ["STS_003"]
    assert (given["settings"].seed, given["settings"].configuration) == (5, "2d")


class KilledError(Exception):
    pass


@pytest.mark.slow
@needs_nnunet
def test_it_trains_is_killed_and_goes_on_where_it_was(monkeypatch, tmp_path):
    quick = NnUNetSettings("2d", gpu_memory_gb=0.05, epochs=3, iterations=3, validation_iterations=1)
    monkeypatch.setitem(SETTINGS, "quick", quick)
    data = sts_folder(tmp_path / "sts")
    order = Order(data, tmp_path / "run", "quick", 5, threads=1)

    def stop(sentence: str) -> None:
        if sentence.startswith("epoch 1 of 3"):
            raise KilledError

    with pytest.raises(KilledError):
        NnUNetPeer().train(order, stop)
    told: list[str] = []
    method = NnUNetPeer().train(order, told.append)
    epochs = [sentence.split(":")[0] for sentence in told if sentence.startswith("epoch")]
    # What broke off before its checkpoint is done again, what was saved is not.
    assert epochs[-1] == "epoch 3 of 3"
    assert len(epochs) < 4
    facts = method.facts
    assert (facts.steps, facts.window[0]) == (9, 1)
    assert min(facts.training_seconds, facts.parameters, facts.macs) > 0
    patient = sts_patients(data, "validation")[0]
    ct, pet, contour = (sitk.ReadImage(str(patient.file(kind))) for kind in ("CT", "PET", "CT_GTV"))
    mask = method.segment(Study(patient.name, "as-is", ct, pet, contour))
    assert Geometry.of(mask).same_grid(Geometry.of(ct))
    assert set(np.unique(sitk.GetArrayFromImage(mask))) <= {0, 1}
    again: list[str] = []
    loaded = NnUNetPeer().train(order, again.append)
    assert not any(sentence.startswith("epoch") for sentence in again)
    assert loaded.facts == facts
