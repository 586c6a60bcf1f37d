"""nnU-Net's own trainer for as many steps as can be afforded; run in a process of its own, as `python -m`.

Everything but the length is nnU-Net's: network, loss, optimiser, augmentation, schedule (over the shorter training). It
is built here and not by `nnUNetv2_train`, which would take every core, and which for a trainer of another name imports
all of nnU-Net's, torchvision with them: that fails where a CPU build of torch meets pip's torchvision.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from petctfusion.training.nnunet.workspace import FOLD, Workspace


def main() -> None:
    """Trains, or continues from the last whole checkpoint."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("configuration")
    for name in ("epochs", "iterations", "validation_iterations", "seed", "threads"):
        parser.add_argument(name, type=int)
    parser.add_argument("device")
    wanted = parser.parse_args()
    from nnunetv2.run.run_training import maybe_load_checkpoint
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.set_num_threads(wanted.threads)
    torch.manual_seed(wanted.seed)
    work = Workspace(wanted.folder)
    checkpoints = work.model(wanted.configuration) / f"fold_{FOLD}"
    is_continued = any((checkpoints / name).exists() for name in ("checkpoint_latest.pth", "checkpoint_best.pth"))
    trainer = nnUNetTrainer(
        plans={**json.loads(work.plans.read_text()), "continue_training": is_continued},
        configuration=wanted.configuration,
        fold=FOLD,
        dataset_json=json.loads((work.preprocessed / "dataset.json").read_text()),
        device=torch.device(wanted.device),
    )
    trainer.num_epochs = wanted.epochs
    trainer.num_iterations_per_epoch = wanted.iterations
    trainer.num_val_iterations_per_epoch = wanted.validation_iterations
    trainer.save_every = 1
    trainer.save_checkpoint = whole(trainer.save_checkpoint)
    maybe_load_checkpoint(trainer, is_continued, validation_only=False)
    # Other patches after an interruption than before it.
    np.random.seed(wanted.seed + 1000 * trainer.current_epoch)
    trainer.run_training()


def whole(save: Callable[[str], None]) -> Callable[[str], None]:
    """A training that is killed while it saves is continued from the checkpoint before."""

    def saved(filename: str) -> None:
        save(f"{filename}.new")
        Path(f"{filename}.new").replace(filename)

    return saved


if __name__ == "__main__":
    main()
