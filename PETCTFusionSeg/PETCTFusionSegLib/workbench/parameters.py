"""What the user chose: study-level choices travel in the scene, machine-level choices stay on the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


def readStudy(node: Any, machine: MachineSettings | None = None) -> StudyParameters:
    """The choices kept in a `vtkMRMLScriptedModuleNode`; what the node does not know is as this machine begins."""
    machine = machine or MachineSettings()
    values = {name: node.GetNodeReference(role) for name, role in _REFERENCES.items()}
    live = node.GetParameter("Live") != "false" if node.GetParameter("Live") else machine.live
    return StudyParameters(**values, model=node.GetParameter("Model") or machine.model, live=live)


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
    """Choices that belong to the computer.

    `device`: "auto", "cpu", "cuda:0"; `python`: an external Python or a command with one, empty for Slicer's own;
    `model`: the model of new scenes, empty for the shipped one; `live`: numbers follow the brush in new scenes; `warm`:
    the worker stays ready after a run.
    """

    device: str = "auto"
    python: str = ""
    model: str = ""
    live: bool = True
    warm: bool = True
