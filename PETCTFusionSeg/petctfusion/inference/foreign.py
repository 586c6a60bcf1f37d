"""The door for models made elsewhere: read, converted to a card with safetensors, and installed like any other."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from petctfusion.errors import ModelError, OutputError
from petctfusion.inference.foreign_monai import convert_monai
from petctfusion.inference.foreign_nnunet import convert_nnunet
from petctfusion.models import InstalledModel, add_model, write_card
from petctfusion.models.folders import own_models_folder
from petctfusion.models.foreign import ForeignChoices, foreign_kind

_NOTHING_CHOSEN = ForeignChoices()


def add_foreign(folder: Path | str, choices: ForeignChoices = _NOTHING_CHOSEN) -> InstalledModel:
    """Install the model of an nnU-Net v2 result folder or a MONAI bundle; it is then used like our own.

    The folder is only read. Raises `ModelError` for a folder that is damaged or not supported, or a model that is
    already installed; `OutputError` when there is no room.
    """
    source = Path(folder).expanduser()
    kind = foreign_kind(source)
    if kind is None:
        raise ModelError(
            f"There is no foreign model in {source}.", "Choose a result folder of nnU-Net v2, or a MONAI bundle."
        )
    own = own_models_folder()
    work: Path | None = None
    try:
        own.mkdir(parents=True, exist_ok=True)
        # Beside its later place: weights of several folds may be larger than a system's temporary disk.
        work = Path(tempfile.mkdtemp(prefix=".incoming-", dir=own))
        convert = convert_nnunet if kind == "nnunet" else convert_monai
        card = convert(source, work, choices)
        if choices.provenance:
            write_card(choices.provenance.written_into(card), work)
        return add_model(work)
    except OSError as error:
        raise OutputError(f"The model cannot be written to {own}: {error}.", "Free the disk.") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
