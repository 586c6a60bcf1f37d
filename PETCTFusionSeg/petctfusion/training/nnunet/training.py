"""Plans, prepares and trains nnU-Net in processes of its own; a training that was stopped is continued."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Patient
from petctfusion.training.nnunet.raw_data import write_raw
from petctfusion.training.nnunet.settings import NnUNetSettings, require_nnunet
from petctfusion.training.nnunet.workspace import CHECKPOINT, DATASET_ID, FOLD, Workspace

_EPOCH_SECONDS = re.compile(r"Epoch time: ([0-9.]+) s")
Say = Callable[[str], None]


@dataclass(frozen=True)
class NnUNetTraining:
    """A finished training. `folder`: its result folder; `plan`: the configuration out of plans.json.

    `seconds`: wall time of its epochs over all sittings, validation batches included.
    """

    folder: Path
    settings: NnUNetSettings
    plan: dict[str, Any]
    package: str
    seconds: float

    @property
    def checkpoint(self) -> Path:
        """Weights, and what else nnU-Net keeps."""
        return self.folder / f"fold_{FOLD}" / CHECKPOINT

    @property
    def sentence(self) -> str:
        """What was trained, in one line."""
        patch = " x ".join(str(n) for n in self.plan["patch_size"])
        return (
            f"nnU-Net {self.package}, {self.settings.configuration} plan: patch {patch}, batch "
            f"{self.plan['batch_size']}, {self.settings.epochs} epochs of {self.settings.iterations} iterations"
        )


def train_nnunet(
    training: Sequence[Patient],
    tuning: Sequence[Patient],
    settings: NnUNetSettings,
    folder: Path,
    *,
    device: str = "cpu",
    threads: int = 2,
    say: Say = lambda _: None,
) -> NnUNetTraining:
    """Learns from `training`, watches `tuning` (its fold 0), continues what `folder` holds, loads what is finished.

    `device` is "cpu" or "cuda:N"; `say` is told each step and epoch in one line. Raises `BadInputError` where nnU-Net
    is missing, a patient cannot be used or the folder holds another run, `OutputError` for a full disk, `WorkerError`
    or `OutOfMemoryError` when nnU-Net itself stopped.
    """
    require_nnunet()
    if not training or not tuning:
        raise BadInputError("nnU-Net needs patients to train on and others to watch.", "Give at least one of each.")
    work = Workspace(folder.resolve())
    names = [[patient.name for patient in part] for part in (training, tuning)]
    work.claim({"settings": settings.to_json(), "train": names[0], "val": names[1]})
    environment = work.environment(threads)
    if not (work.raw / "dataset.json").exists():
        write_raw([*training, *tuning], work.raw, lambda done, total: say(f"written for nnU-Net: {done} of {total}"))
    if not (work.preprocessed / "splits_final.json").exists():
        _plan(work, settings, environment, threads, say)
        # Last, so that it also says that all before it is done.
        split = json.dumps([{"train": names[0], "val": names[1]}])
        (work.preprocessed / "splits_final.json").write_text(split)
    result = _result(work, settings)
    say(f"{result.sentence} = {settings.steps}")
    if not result.checkpoint.exists():
        _train(work, settings, environment, threads, device, say)
    return _result(work, settings)


def _plan(work: Workspace, settings: NnUNetSettings, environment: dict[str, str], threads: int, say: Say) -> None:
    say("nnU-Net plans and prepares its data")
    shutil.rmtree(work.preprocessed, ignore_errors=True)
    jobs = str(threads)
    arguments = ["-d", str(DATASET_ID), "-c", settings.configuration, "-np", jobs, "-npfp", jobs]
    if settings.gpu_memory_gb is not None:
        arguments += ["-gpu_memory_target", str(settings.gpu_memory_gb)]
    work.command("nnunetv2.experiment_planning.plan_and_preprocess_entrypoints", arguments, environment, lambda _: None)


def _train(
    work: Workspace, settings: NnUNetSettings, environment: dict[str, str], threads: int, device: str, say: Say
) -> None:
    kind, _, number = device.partition(":")
    # Processes that make the batches would outlive a trainer that is killed, and the seed would not reach them.
    environment = {**environment, "nnUNet_n_proc_DA": "0" if kind == "cpu" else str(threads)}
    if number:
        environment["CUDA_VISIBLE_DEVICES"] = number
    numbers = (settings.epochs, settings.iterations, settings.validation_iterations, settings.seed, threads)
    arguments = [str(work.folder), settings.configuration, *map(str, numbers), kind]
    module = "petctfusion.training.nnunet.run_trainer"
    work.command(module, arguments, environment, EpochLines(settings.epochs, say))


class EpochLines:
    """nnU-Net says an epoch in five lines; `say` is told it in one."""

    def __init__(self, epochs: int, say: Say) -> None:
        self.epochs, self.say = epochs, say
        self.epoch, self.told = 0, list[str]()

    def __call__(self, line: str) -> None:
        """The next line."""
        _, _, words = line.partition(": ")  # the time comes first
        if match := re.fullmatch(r"Epoch (\d+)", words.strip()):
            self.epoch, self.told = int(match[1]) + 1, []
        elif words.startswith(("train_loss", "val_loss", "Pseudo dice")):
            self.told.append(re.sub(r"np\.float\d+\(([^)]*)\)", r"\1", words.strip()))
        elif match := _EPOCH_SECONDS.search(words):
            self.say(f"epoch {self.epoch} of {self.epochs}: {', '.join(self.told)}, {float(match[1]):.0f} s")


def _result(work: Workspace, settings: NnUNetSettings) -> NnUNetTraining:
    from importlib.metadata import version

    folder = work.model(settings.configuration)
    plan: dict[str, Any] = json.loads(work.plans.read_text())["configurations"][settings.configuration]
    logs = [path.read_text() for path in (folder / f"fold_{FOLD}").glob("training_log_*.txt")]
    seconds = sum(float(match) for text in logs for match in _EPOCH_SECONDS.findall(text))
    return NnUNetTraining(folder, settings, plan, version("nnunetv2"), seconds)
