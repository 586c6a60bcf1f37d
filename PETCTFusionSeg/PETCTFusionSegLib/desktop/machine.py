"""The choices that stay on this computer, kept in the application's settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from PETCTFusionSegLib.workbench.parameters import MachineSettings

SETTINGS_GROUP = "PETCTFusionSeg"


def settingsKey(name: str) -> str:
    """The key of a field of `MachineSettings` in the `QSettings`."""
    return f"{SETTINGS_GROUP}/{name}"


def readMachine(settings: Any) -> MachineSettings:
    """The choices kept in a `QSettings`, which gives a flag back as a bool or as a text."""
    machine = MachineSettings()
    for item in fields(MachineSettings):
        value = settings.value(settingsKey(item.name))
        if isinstance(getattr(machine, item.name), bool):
            setattr(machine, item.name, str(value).lower() != "false")
        elif value:
            setattr(machine, item.name, str(value))
    return machine


def writeMachine(settings: Any, machine: MachineSettings) -> None:
    """Keep the choices in a `QSettings`."""
    for item in fields(MachineSettings):
        settings.setValue(settingsKey(item.name), getattr(machine, item.name))
