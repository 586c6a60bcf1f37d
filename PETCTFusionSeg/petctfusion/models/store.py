"""The installed models: list, find, verify, add and remove. Folders are `<name>/<version>/{model.json, weights}`.

An ensemble has no weights of its own; it can be used while all its members are installed, with the weights it names.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.card import AnyCard, ModelCard, read_card
from petctfusion.models.folders import SHIPPED, own_models_folder
from petctfusion.models.installed import DamagedModel, InstalledModel, with_members
from petctfusion.models.weights import verify_weights, weights_file

DEFAULT_MODEL = "sts-anatomy-guided"
_STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class ModelStore:
    """The shipped models and the user's own. Models are looked up anew at every call: nothing is cached."""

    shipped: Path
    own: Path

    @classmethod
    def default(cls) -> ModelStore:
        """The package's models and the user's folder."""
        return cls(SHIPPED, own_models_folder())

    def scan(self) -> tuple[list[InstalledModel], list[DamagedModel]]:
        """Usable models (shipped first, the default before the others; by name, newest version first) and damaged ones.

        No weights are read.
        """
        models: list[InstalledModel] = []
        damaged: list[DamagedModel] = []
        for root, shipped in ((self.shipped, True), (self.own, False)):
            found: list[InstalledModel] = []
            for folder in _model_folders(root):
                model = _installed_or_damaged(folder, shipped)
                if isinstance(model, DamagedModel):
                    damaged.append(model)
                else:
                    found.append(model)
            found.sort(key=lambda model: version_key(model.version), reverse=True)
            found.sort(key=lambda model: (not shipped or model.name != DEFAULT_MODEL, model.name))
            models += found
        checked = [_complete_or_damaged(model, models) for model in models]
        damaged += [model for model in checked if isinstance(model, DamagedModel)]
        return [model for model in checked if isinstance(model, InstalledModel)], damaged

    def find(self, wanted: str | Path) -> InstalledModel:
        """The model of a name (its newest version), a `name@version`, or a model folder. Raises `ModelError`."""
        models, damaged = self.scan()
        name, _, version = str(wanted).partition("@")
        matches = [m for m in models if m.name == name and version in ("", m.version)]
        if matches:
            return max(matches, key=lambda model: version_key(model.version))
        for broken in damaged:
            if broken.folder.parent.name == name and version in ("", broken.folder.name):
                raise broken.error
        folder = Path(wanted).expanduser()
        if folder.is_dir():
            return with_members(_opened(folder), models)
        known = ", ".join(model.reference for model in models) or "none is installed"
        raise ModelError(f"There is no model {str(wanted)!r}.", f"Known models: {known}; or give a model folder.")

    def open(self, folder: Path | str) -> InstalledModel:
        """The model in a folder, inside the store or not. Raises `ModelError`."""
        return with_members(_opened(Path(folder)), self.scan()[0])

    def verify(self, folder: Path | str) -> InstalledModel:
        """The model in a folder after every check, an ensemble's members included. Raises `ModelError`."""
        model = self.open(folder)
        for part in model.members or (model,):
            assert isinstance(part.card, ModelCard)  # an ensemble has members, and they are no ensembles
            verify_weights(part.card, part.folder)
        return model

    def default_model(self) -> InstalledModel:
        """The first of `scan`: `DEFAULT_MODEL` where it is shipped. Raises `ModelError` when there is none."""
        models, damaged = self.scan()
        if models:
            return models[0]
        if damaged:
            raise damaged[0].error
        raise ModelError("No model is installed.", "Install one with 'petctfusion models add FOLDER'.")

    def add(self, folder: Path | str) -> InstalledModel:
        """Copies a model into the user's folder, whole or not at all, after checking it, and checks the copy.

        Only the card and the weights are copied. Raises `ModelError` when the model is damaged or already installed,
        `OutputError` when it cannot be copied.
        """
        source = Path(folder).expanduser()
        model = self.verify(source)
        card = model.card
        self.refuse_installed(card)
        target = self.own / card.name / card.version
        incoming: Path | None = None
        try:
            self.own.mkdir(parents=True, exist_ok=True)
            _sweep(self.own)
            incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self.own))
            incoming.chmod(0o755)
            for file in replace(model, members=()).files:
                shutil.copyfile(file, incoming / file.name)
            self.verify(incoming)
            target.parent.mkdir(exist_ok=True)
            incoming.rename(target)
        except OSError as error:
            raise OutputError(
                f"The model {card.name} cannot be copied to {self.own}: {error}.",
                "Free the disk, or choose another folder with the environment variable PETCTFUSION_MODELS.",
            ) from error
        finally:
            # After the rename there is nothing of this name left, and this does nothing.
            if incoming is not None:
                shutil.rmtree(incoming, ignore_errors=True)
        return replace(_installed(target, shipped=False), members=model.members)

    def refuse_installed(self, card: AnyCard) -> None:
        """Raises `ModelError` when a model of this name and version is installed."""
        if any((root / card.name / card.version).exists() for root in (self.shipped, self.own)):
            raise ModelError(
                f"The model {card.name}@{card.version} is already installed.",
                "Remove it first, or give the new one another version.",
            )

    def remove(self, wanted: str) -> Path:
        """Removes one of the user's own models and returns the folder it had.

        With several versions installed the version must be named: `name@version`. Raises `ModelError` for shipped
        ones, and for a member of an installed ensemble.
        """
        folder = self._removable(wanted)
        needing = [model.reference for model in self.scan()[0] if folder in [member.folder for member in model.members]]
        if needing:
            raise ModelError(
                f"The model {folder.parent.name}@{folder.name} is a member of the ensemble {' and of '.join(needing)}.",
                f"Remove that first: petctfusion models remove {needing[0]}.",
            )
        try:
            # Out of the store in one step, so that nobody finds a model of which half is gone.
            leaving = Path(tempfile.mkdtemp(prefix=".leaving-", dir=self.own))
            folder.rename(leaving / folder.name)
        except OSError as error:
            raise OutputError(
                f"The model {wanted} cannot be removed: {error}.", "Check the folder's permissions."
            ) from error
        shutil.rmtree(leaving, ignore_errors=True)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        return folder

    def _removable(self, wanted: str) -> Path:
        """The folder of the user's own model `wanted`; a damaged model can be removed too."""
        name, _, version = wanted.partition("@")
        own = [f for f in _model_folders(self.own) if f.parent.name == name and version in ("", f.name)]
        if len(own) == 1:
            return own[0]
        if own:
            raise ModelError(
                f"Several versions of {name} are installed.",
                f"Name one of them: {', '.join(f'{name}@{folder.name}' for folder in own)}.",
            )
        if any(f.parent.name == name and version in ("", f.name) for f in _model_folders(self.shipped)):
            raise ModelError(f"The model {wanted} ships with the software.", "Only models added later can be removed.")
        known = ", ".join(f"{f.parent.name}@{f.name}" for f in _model_folders(self.own)) or "none"
        raise ModelError(f"There is no own model {wanted!r} to remove.", f"Own models: {known}.")


def list_models() -> list[InstalledModel]:
    """Every usable model: shipped first, by name, newest version first."""
    return ModelStore.default().scan()[0]


def damaged_models() -> list[DamagedModel]:
    """The model folders that `list_models` leaves out, with the reasons."""
    return ModelStore.default().scan()[1]


def find_model(wanted: str | Path) -> InstalledModel:
    """See `ModelStore.find`."""
    return ModelStore.default().find(wanted)


def default_model() -> InstalledModel:
    """See `ModelStore.default_model`."""
    return ModelStore.default().default_model()


def add_model(folder: Path | str) -> InstalledModel:
    """See `ModelStore.add`."""
    return ModelStore.default().add(folder)


def remove_model(wanted: str) -> Path:
    """See `ModelStore.remove`."""
    return ModelStore.default().remove(wanted)


def verify(folder: Path | str) -> AnyCard:
    """The card of a model folder whose weights are whole and the ones the card speaks of. Raises `ModelError`.

    Of an ensemble, the weights of all members are checked.
    """
    return ModelStore.default().verify(folder).card


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people do: 1.9 < 1.10 < 1.10.1, and 2.0-rc1 < 2.0."""
    # Where one version ends and the other goes on: a number there is newer, a word (rc, beta) is older.
    parts = [(2, int(p), "") if p.isdigit() else (0, 0, p) for p in re.findall(r"[0-9]+|[A-Za-z]+", version)]
    return (*parts, (1, 0, ""))


def _model_folders(root: Path) -> list[Path]:
    """`<name>/<version>` folders below `root`, without those that are being copied or removed."""
    if not root.is_dir():
        return []
    names = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and not folder.name.startswith(".")]
    # A version without a card is damaged only if it holds something: git and unzipping leave empty folders behind.
    return [v for name in names for v in sorted(name.iterdir()) if v.is_dir() and any(v.iterdir())]


def _installed(folder: Path, shipped: bool) -> InstalledModel:
    model = _opened(folder)
    if (model.name, model.version) != (folder.parent.name, folder.name):
        raise ModelError(
            f"The folder {folder} holds the model {model.reference}.", f"Rename it to {model.name}/{model.version}."
        )
    return InstalledModel(model.name, model.version, model.folder, model.card, shipped)


def _installed_or_damaged(folder: Path, shipped: bool) -> InstalledModel | DamagedModel:
    try:
        return _installed(folder, shipped)
    except ModelError as error:
        return DamagedModel(folder, error)


def _complete_or_damaged(model: InstalledModel, models: list[InstalledModel]) -> InstalledModel | DamagedModel:
    try:
        return with_members(model, models)
    except ModelError as error:
        return DamagedModel(model.folder, error)


def _opened(folder: Path) -> InstalledModel:
    """The model of a folder; an ensemble's members are still to be found."""
    card = read_card(folder)
    if isinstance(card, ModelCard):
        weights_file(card, folder)
    return InstalledModel(card.name, card.version, folder, card)


def _sweep(root: Path) -> None:
    """Removes what a killed `add` or `remove` left behind an hour ago or longer."""
    for pattern in (".incoming-*", ".leaving-*"):
        for folder in root.glob(pattern):
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
