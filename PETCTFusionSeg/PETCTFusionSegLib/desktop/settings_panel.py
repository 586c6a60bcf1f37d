"""The module's page in Slicer's Application Settings: the choices of this computer, kept in `QSettings` alone."""

from __future__ import annotations

from typing import Any

from petctfusion.models import list_models
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.parameters import MachineSettings

from .machine import readMachine, settingsKey, writeMachine

_NAME = "PETCTFusionSegSettings"


def addSettingsPanel() -> None:
    """Add the page; to be called once, after `startupCompleted`. Nothing happens where there is no main window."""
    import slicer

    if slicer.app.commandOptions().noMainWindow:
        return
    slicer.app.settingsDialog().addPanel("PETCTFusionSeg", makeSettingsPanel(slicer.app.settings()))


def keepMachine(settings: Any, machine: MachineSettings) -> None:
    """Keep choices made in the module, and show them in the page: its Cancel would put back those it remembers."""
    import slicer

    writeMachine(settings, machine)
    dialog = slicer.app.settingsDialog()
    panel = dialog.findChild("ctkSettingsPanel", _NAME) if dialog is not None else None
    if panel is None:
        return
    for name in ("device", "model"):
        # A combo box that does not know the value would empty it.
        _know(panel.findChild("ctkComboBox", f"{_NAME}_{name}"), getattr(machine, name))
    panel.reloadSettings()


def makeSettingsPanel(settings: Any) -> Any:
    """The page. CTK keeps each widget and its key in step, in the settings of the dialog to which it is added."""
    import ctk
    import qt

    machine = readMachine(settings)
    panel = ctk.ctkSettingsPanel()
    panel.objectName = _NAME
    form = qt.QFormLayout(panel)
    devices = {"auto": _("Automatic"), "cpu": _("CPU"), "cuda": _("GPU with the most free memory")}
    device = _choice(devices, machine.device)
    device.toolTip = _("Where the network runs. Automatic takes a GPU when the worker finds one.")
    models = {"": _("The shipped one"), **{model.reference: model.card.title for model in list_models()}}
    model = _choice(models, machine.model)
    model.toolTip = _("The model that a new scene begins with.")
    python = qt.QLineEdit()
    python.placeholderText = _("Slicer's own Python")
    python.toolTip = _("Another Python for the worker, or a command such as: ssh gpu-host python3")
    live = _box(_("Numbers follow the brush"), _("Compare again after every edit, in new scenes."))
    warm = _box(_("Keep the worker ready after a run"), _("The next run starts at once; costs the model's memory."))
    form.addRow(_("Device:"), device)
    form.addRow(_("Python:"), python)
    form.addRow(_("Model:"), model)
    form.addRow(_("Comparison:"), live)
    form.addRow(_("Worker:"), warm)
    # The value that a widget has when it is registered is what "Restore defaults" goes back to.
    defaults = MachineSettings()
    live.checked, warm.checked = defaults.live, defaults.warm
    for name, widget, shown, signal in (
        ("device", device, "currentUserDataAsString", "currentIndexChanged(int)"),
        ("python", python, "text", "textChanged(QString)"),
        ("model", model, "currentUserDataAsString", "currentIndexChanged(int)"),
        ("live", live, "checked", "toggled(bool)"),
        ("warm", warm, "checked", "toggled(bool)"),
    ):
        widget.objectName = f"{_NAME}_{name}"
        panel.registerProperty(settingsKey(name), widget, shown, str(qt.SIGNAL(signal)))
    return panel


def _choice(choices: dict[str, str], chosen: str) -> Any:
    """A combo box at its first choice, which is the default; it knows the chosen value too, whatever that is."""
    import ctk

    box = ctk.ctkComboBox()
    for value, text in choices.items():
        box.addItem(text, value)
    _know(box, chosen)
    box.currentIndex = 0
    return box


def _know(box: Any, value: str) -> None:
    if box.findData(value) < 0:
        box.addItem(value, value)


def _box(text: str, toolTip: str) -> Any:
    import qt

    box = qt.QCheckBox(text)
    box.toolTip = toolTip
    return box
