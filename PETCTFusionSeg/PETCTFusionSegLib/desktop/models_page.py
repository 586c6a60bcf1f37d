"""The model manager: what is installed, whether it is whole; add, verify, remove, download from the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from petctfusion.cli.models_text import card_text
from petctfusion.cli.progress import stage_name
from petctfusion.errors import FusionError
from petctfusion.models import DamagedModel, InstalledModel, damaged_models, list_models, remove_model
from petctfusion.models.catalogue import CatalogueEntry, read_catalogue
from petctfusion.models.download import kept_bytes
from petctfusion.models.folders import own_models_folder
from PETCTFusionSegLib.i18n import _

from .model_task import ModelTask, TaskListener
from .widgets import fillTable, fitHeight, makeTimer, setHeaders

_POLL_MS = 500
_ROWS = 6
_LICENCE = 24
_STAGES = tuple(map(stage_name, ("download", "check", "unpack", "convert")))


class ModelsPage:
    """The table of models with its buttons, and the catalogue below it. Nothing here keeps the interface waiting."""

    def __init__(self, ui: Any, python: Callable[[], str], changed: Callable[[], None]) -> None:
        """`python` is the external Python chosen now; `changed` is called when models came or went."""
        import qt

        self._ui = ui
        self._python = python
        self._changed = changed
        self._models: list[InstalledModel | DamagedModel] = []
        self._verified: dict[Path, str] = {}
        self._entries: Sequence[CatalogueEntry] = ()
        self._task = ModelTask()
        self._downloading: CatalogueEntry | None = None
        self._poll = makeTimer(_POLL_MS, False, self._showDownload)
        titles = [_("Model"), _("Version"), _("Origin"), _("Size"), _("Weights"), _("Licence")]
        setHeaders(ui.computerModelsTable, titles)
        ui.computerModelInfo.setFont(qt.QFontDatabase.systemFont(qt.QFontDatabase.FixedFont))
        ui.computerModelsTable.connect("itemSelectionChanged()", self._showChosen)
        ui.computerModelFolderButton.connect("clicked()", self._chooseFolder)
        ui.computerModelZipButton.connect("clicked()", self._chooseZip)
        ui.computerModelVerifyButton.connect("clicked()", self.verify)
        ui.computerModelRemoveButton.connect("clicked()", self.remove)
        ui.computerModelOpenButton.connect("clicked()", self.openFolder)
        ui.computerModelCancelButton.connect("clicked()", self._task.cancel)
        ui.computerCatalogueSelector.connect("currentIndexChanged(int)", self._showEntry)
        ui.computerLicenceCheckBox.connect("toggled(bool)", self._showBusy)
        ui.computerDownloadButton.connect("clicked()", self.download)
        self._fillCatalogue()
        self._showBusy()

    @property
    def busy(self) -> bool:
        """True while a model is added, verified or downloaded."""
        return self._task.busy

    def fill(self) -> None:
        """List the models again; the chosen one stays chosen."""
        chosen = self.chosen()
        self._models = [*list_models(), *damaged_models()]
        table = self._ui.computerModelsTable
        fillTable(table, [self._cells(model) for model in self._models], [_toolTip(model) for model in self._models])
        fitHeight(table, _ROWS)
        folders = [model.folder for model in self._models]
        row = folders.index(chosen.folder) if chosen is not None and chosen.folder in folders else 0
        if self._models:
            table.selectRow(row)
        self._showChosen()

    def chosen(self) -> InstalledModel | DamagedModel | None:
        """The model of the selected row."""
        row = self._ui.computerModelsTable.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    def addFrom(self, path: str) -> None:
        """Install the model in a folder or a zip, after every check; models of nnU-Net and MONAI are converted."""
        self._start(["add", path], _("Adding {path}...").format(path=Path(path).name), self._onAdded)

    def verify(self) -> None:
        """Compare every byte of the chosen model's weights with its card."""
        model = self.chosen()
        if model is None:
            return

        def done(_answer: Any) -> None:
            self._settle(model.folder, _("as the card says"))
            self._say(_("The weights of {model} are those that its card names.").format(model=_name(model)))

        def failed(error: FusionError) -> None:
            if not isinstance(model, DamagedModel) and error.hint:
                self._settle(model.folder, _("damaged"))
            self._onError(error)

        self._start(["verify", str(model.folder)], _("Checking {model}...").format(model=_name(model)), done, failed)

    def remove(self) -> None:
        """Remove the chosen model; shipped ones and members of an ensemble stay, with a sentence."""
        model = self.chosen()
        if model is None:
            return
        try:
            remove_model(_name(model))
        except FusionError as error:
            self._onError(error)
            return
        self._verified.pop(model.folder, None)
        self._onListChanged(_("{model} is removed.").format(model=_name(model)))

    def openFolder(self) -> None:
        """Show the chosen model's folder (otherwise that of all own models) in the system's file manager."""
        import qt

        model = self.chosen()
        folder = model.folder if model is not None else own_models_folder()
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def download(self) -> None:
        """Download and install the chosen catalogue entry, whose licence the user has accepted."""
        entry = self._entry()
        if entry is None or not entry.url or not self._ui.computerLicenceCheckBox.checked:
            return
        self._downloading = entry
        folds = ["--folds", "0"] if self._ui.computerOneFoldCheckBox.checked else []
        self._start(
            ["download", entry.name, "--accept-licence", *folds],
            _("Downloading {title}...").format(title=entry.title),
            self._onDownloaded,
        )
        if self.busy:
            self._poll.start()

    def cleanup(self) -> None:
        """End what is running; a broken download is continued the next time."""
        self._poll.stop()
        self._task.shutdown()

    # --- the task

    def _start(
        self,
        arguments: list[str],
        sentence: str,
        done: Callable[[Any], None],
        failed: Callable[[FusionError], None] | None = None,
    ) -> None:
        self._ui.computerModelProgress.setRange(0, 0)
        listener = TaskListener(
            self._onLine,
            lambda answer: self._ended(done, answer),
            lambda error: self._ended(failed or self._onError, error),
        )
        try:
            self._task.start(arguments, self._python(), listener)
            self._say(sentence)
        except FusionError as error:
            self._onError(error)
        self._showBusy()

    def _ended(self, tell: Callable[[Any], None], what: Any) -> None:
        self._poll.stop()
        self._downloading = None
        self._showBusy()
        tell(what)

    def _onLine(self, line: str, percent: int | None) -> None:
        # What else is printed (the entry's facts) stands in the page already; and of a download the file tells more.
        if not line.startswith(_STAGES) or line.startswith(stage_name("download")):
            return
        if percent is not None:
            self._ui.computerModelProgress.setRange(0, 100)
            self._ui.computerModelProgress.value = percent
        self._poll.stop()
        self._say(line[:1].upper() + line[1:])

    def _onAdded(self, answer: Any) -> None:
        self._onListChanged(_("{model} is installed.").format(model=f"{answer['name']}@{answer['version']}"))

    def _onDownloaded(self, answer: Any) -> None:
        self._ui.computerLicenceCheckBox.checked = False
        self._onAdded(answer)

    def _onError(self, error: FusionError) -> None:
        self._say(str(error))

    def _onListChanged(self, sentence: str) -> None:
        self.fill()
        self._changed()
        self._say(sentence)

    def _settle(self, folder: Path, state: str) -> None:
        self._verified[folder] = state
        self.fill()

    def _showDownload(self) -> None:
        entry = self._downloading
        if entry is None:
            return
        done, bar = kept_bytes(entry), self._ui.computerModelProgress
        if entry.bytes:
            bar.setRange(0, 1000)
            bar.value = 1000 * done // entry.bytes
        text = _("Downloading {title}: {done} of {total}. Slicer can be used meanwhile.")
        total = _size(entry.bytes) if entry.bytes else _("an unknown size")
        self._say(text.format(title=entry.title, done=_size(done), total=total))

    # --- what is shown

    def _cells(self, model: InstalledModel | DamagedModel) -> tuple[str, ...]:
        if isinstance(model, DamagedModel):
            return model.folder.parent.name, model.folder.name, _("yours"), "", _("damaged"), ""
        size = _size(sum(file.stat().st_size for file in model.files))
        origin = _("shipped") if model.shipped else _("yours")
        state = self._verified.get(model.folder, _("not checked"))
        return model.name, model.version, origin, size, state, shorten(model.card.licence, _LICENCE, placeholder="...")

    def _showChosen(self) -> None:
        model = self.chosen()
        if model is None:
            text = _("No model is installed.")
        else:
            text = str(model.error) if isinstance(model, DamagedModel) else card_text(model)
        self._ui.computerModelInfo.setPlainText(text)
        self._showBusy()

    def _showBusy(self) -> None:
        ui, busy, model, entry = self._ui, self.busy, self.chosen(), self._entry()
        for button in (ui.computerModelFolderButton, ui.computerModelZipButton):
            button.enabled = not busy
        ui.computerModelVerifyButton.enabled = not busy and isinstance(model, InstalledModel)
        own = model is not None and (isinstance(model, DamagedModel) or not model.shipped)
        ui.computerModelRemoveButton.enabled = not busy and own
        ui.computerModelProgress.visible = ui.computerModelCancelButton.visible = busy
        ui.computerLicenceCheckBox.enabled = not busy and entry is not None and bool(entry.url)
        accepted = bool(ui.computerLicenceCheckBox.checked)
        ui.computerDownloadButton.enabled = ui.computerLicenceCheckBox.enabled and accepted
        ui.computerDownloadButton.toolTip = (
            _("Download and install it; Slicer can be used meanwhile.")
            if accepted
            else _("Read the licence and accept it first.")
        )

    def _say(self, sentence: str) -> None:
        self._ui.computerModelLabel.text = sentence

    # --- the catalogue

    def _fillCatalogue(self) -> None:
        try:
            self._entries = read_catalogue()
        except FusionError as error:
            self._ui.computerCatalogueLabel.text = str(error)
        for entry in self._entries:
            self._ui.computerCatalogueSelector.addItem(entry.name)
        self._showEntry()

    def _entry(self) -> CatalogueEntry | None:
        index = self._ui.computerCatalogueSelector.currentIndex
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def _showEntry(self, _index: int = 0) -> None:
        entry = self._entry()
        self._ui.computerLicenceCheckBox.checked = False
        if entry is not None:
            self._ui.computerCatalogueLabel.text = _entryText(entry)
        self._showBusy()

    # --- files

    def _chooseFolder(self) -> None:
        import qt
        import slicer

        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of a model"), "")
        if path:
            self.addFrom(str(path))

    def _chooseZip(self) -> None:
        import qt
        import slicer

        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Zip of a model"), "", "*.zip")
        if path:
            self.addFrom(str(path))


def _name(model: InstalledModel | DamagedModel) -> str:
    if isinstance(model, DamagedModel):
        return f"{model.folder.parent.name}@{model.folder.name}"
    return model.reference


def _toolTip(model: InstalledModel | DamagedModel) -> str:
    return str(model.error) if isinstance(model, DamagedModel) else f"{model.card.title}\n{model.card.licence}"


def _entryText(entry: CatalogueEntry) -> str:
    size = _size(entry.bytes) if entry.bytes else _("size not known")
    lines = [entry.title, _("Trained on: {data}").format(data=entry.data)]
    if entry.url:
        lines.append(_("From {page} ({size}).").format(page=entry.page, size=size))
    else:
        lines.append(_("No single file is known: get its folder from {page} and add it.").format(page=entry.page))
    if not entry.verified:
        lines.append(_("These facts were reported by others and not verified."))
    return "\n".join([*lines, entry.runs, _("Licence: {licence}.").format(licence=entry.stated_licence)])


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
