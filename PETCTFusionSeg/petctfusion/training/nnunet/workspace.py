"""The private folder of one nnU-Net training, and its commands as subprocesses that see no other. Imports no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError, OutOfMemoryError, OutputError, WorkerError

DATASET_ID = 1
DATASET = f"Dataset{DATASET_ID:03d}_PETCT"
FOLD = 0
CHECKPOINT = "checkpoint_final.pth"
_PLANS = "nnUNetPlans"
_TAIL = 20


@dataclass(frozen=True)
class Workspace:
    """`folder` holds raw/, preprocessed/, results/, run.json (settings and patients) and nnunet.log."""

    folder: Path

    @property
    def raw(self) -> Path:
        """Our patients in nnU-Net's raw format."""
        return self.folder / "raw" / DATASET

    @property
    def preprocessed(self) -> Path:
        """Fingerprint, plans, split and prepared volumes."""
        return self.folder / "preprocessed" / DATASET

    @property
    def plans(self) -> Path:
        """What its planner decided."""
        return self.preprocessed / f"{_PLANS}.json"

    @property
    def log(self) -> Path:
        """Every word of its commands."""
        return self.folder / "nnunet.log"

    def model(self, configuration: str) -> Path:
        """The result folder, as `petctfusion models add` takes it."""
        return self.folder / "results" / DATASET / f"nnUNetTrainer__{_PLANS}__{configuration}"

    def claim(self, described: dict[str, Any]) -> None:
        """Marks the folder as this run's. Raises `BadInputError` if it holds another, `OutputError` for a full disk."""
        path, text = self.folder / "run.json", json.dumps(described, indent=1) + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(text)
            is_own = path.read_text() == text
        except OSError as error:
            raise OutputError(f"The folder {self.folder} cannot be written: {error}.", "Free the disk.") from error
        if not is_own:
            raise BadInputError(
                f"{self.folder} holds a training of nnU-Net with other settings or patients.", "Give another folder."
            )

    def environment(self, threads: int) -> dict[str, str]:
        """The variables that nnU-Net reads, beside those of this process."""
        return {
            "nnUNet_raw": str(self.folder / "raw"),
            "nnUNet_preprocessed": str(self.folder / "preprocessed"),
            "nnUNet_results": str(self.folder / "results"),
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": str(threads),
            "nnUNet_compile": "f",
        }

    def command(
        self, module: str, arguments: Sequence[str], environment: dict[str, str], hear: Callable[[str], None]
    ) -> None:
        """`python -m module arguments`; `hear` is given every line.

        Raises `OutOfMemoryError` when the system ended it, `WorkerError` with its last words when it failed.
        """
        tail: deque[str] = deque(maxlen=_TAIL)
        with (
            self.log.open("a", buffering=1, encoding="utf-8") as log,
            subprocess.Popen(
                [sys.executable, "-u", "-m", module, *arguments],
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None  # it was asked for
            try:
                for line in process.stdout:
                    log.write(line)
                    if line.strip():
                        tail.append(line.strip())
                        hear(line.strip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode == -9:
            raise OutOfMemoryError(
                "nnU-Net was ended by the system, most often because memory ran out.", "Lower its gpu_memory_gb."
            )
        if process.returncode:
            last = next((line for line in reversed(tail) if "Error" in line), tail[-1] if tail else "it said nothing")
            raise WorkerError(f"nnU-Net stopped: {last}", f"All it said is in {self.log}.")
