"""What the user chose: study-level choices travel in the scene, machine-level choices stay on the machine."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

SETTINGS_GROUP = "PETCTFusionSeg"
_REFERENCES = {"ct": "CT", "pet": "PET", "extra": "Extra", "reference": "Reference", "output": "Output"}


@dataclass
class StudyParameters:
    """Choices that belong to the study: nodes (or None) and the model's name, empty for the default one."""

    ct: Any = None
    pet: Any = None
    extra: Any = None
    reference: Any = None
    output: Any = None
    model: str = ""
    live: bool = True


def readStudy(node: Any) -> StudyParameters:
    """The choices kept in a `vtkMRMLScriptedModuleNode`; what the node does not know has its default."""
    values = {name: node.GetNodeReference(role) for name, role in _REFERENCES.items()}
    return StudyParameters(**values, model=node.GetParameter("Model") or "", live=node.GetParameter("Live") != "false")


def writeStudy(node: Any, parameters: StudyParameters) -> None:
    """Keep the choices in the node, as one modification."""
    was = node.StartModify()
    for name, role in _REFERENCES.items():
        chosen = getattr(parameters, name)
        node.SetNodeReferenceID(role, chosen.GetID() if chosen is not None else None)
    node.SetParameter("Model", parameters.model)
    node.SetParameter("Live", "true" if parameters.live else "false")
    node.EndModify(was)


@dataclass
class MachineSettings:
    """Choices that belong to the computer: device ("auto", "cpu", "cuda:0") and an external Python, empty for none."""

    device: str = "auto"
    python: str = ""


def readMachine(settings: Any) -> MachineSettings:
    """The choices kept in a `QSettings`."""
    found = {item.name: settings.value(f"{SETTINGS_GROUP}/{item.name}") for item in fields(MachineSettings)}
    return MachineSettings(**{name: str(value) for name, value in found.items() if value})


def writeMachine(settings: Any, machine: MachineSettings) -> None:
    """Keep the choices in a `QSettings`."""
    for item in fields(MachineSettings):
        settings.setValue(f"{SETTINGS_GROUP}/{item.name}", getattr(machine, item.name))
