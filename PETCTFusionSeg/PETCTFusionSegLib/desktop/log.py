"""The module's log for the user: the last lines, without the names of nodes, and with versions when it is copied."""

from __future__ import annotations

import logging
import platform
import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

import petctfusion
from PETCTFusionSegLib.i18n import _

LOGGERS = ("PETCTFusionSeg", "petctfusion")
LINES = 500
# Names of nodes that are words of every other line, and of no patient.
_WORDS = frozenset(("ct", "pet", "mr", "suv", "suvbw", "tumor", "segmentation", "reference", "segment", "volume"))


class LogLines(logging.Handler):
    """Keeps the last lines of the module's loggers; any thread may log, the main thread reads."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
        self._lines: deque[str] = deque(maxlen=LINES)
        self._guard = threading.Lock()
        self._hidden: set[str] = set()
        self._levels: dict[str, int] = {}
        self.count = 0
        """Lines logged so far: tells whether there is something new."""

    def attach(self) -> None:
        """Start to listen."""
        for name in LOGGERS:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            if logger.getEffectiveLevel() > logging.INFO:
                logger.setLevel(logging.INFO)
            logger.addHandler(self)

    def detach(self) -> None:
        """Stop, and leave the loggers as they were."""
        for name, level in self._levels.items():
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.setLevel(level)
        self._levels.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        with self._guard:
            self._lines.append(self.format(record))
            self.count += 1

    def hide(self, names: Iterable[str]) -> None:
        """Names that must not leave the computer: a node is often called after its patient."""
        self._hidden.update(name.strip() for name in names if name.strip() and name.strip().lower() not in _WORDS)

    def text(self) -> str:
        """All lines, every hidden name replaced."""
        with self._guard:
            lines = "\n".join(self._lines)
        return withoutNames(lines, self._hidden)


def withoutNames(text: str, names: Iterable[str]) -> str:
    """`text` with every name replaced, the longest first, whole words only."""
    ordered = sorted(set(names), key=len, reverse=True)
    if not ordered:
        return text
    # Not \b: a name may begin or end with a sign that is no letter.
    pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in ordered)
    return re.sub(pattern, lambda _match: "<name>", text, flags=re.IGNORECASE)


def namesInScene(scene: Any) -> list[str]:
    """Names of volumes, segmentations and subject hierarchy items, and of the files they came from."""
    names: set[str] = set()
    for className in ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLStorageNode"):
        nodes = scene.GetNodesByClass(className)
        nodes.UnRegister(None)
        for index in range(nodes.GetNumberOfItems()):
            node = nodes.GetItemAsObject(index)
            names.add((node.GetFileName() if className == "vtkMRMLStorageNode" else node.GetName()) or "")
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if hierarchy is not None:
        names.update(_itemNames(hierarchy))
    return [name for name in names if name]


def _itemNames(hierarchy: Any) -> list[str]:
    """Patients and studies have no node, but an item of their own."""
    import vtk

    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return [hierarchy.GetItemName(items.GetId(index)) for index in range(items.GetNumberOfIds())]


def versions(worker: dict[str, Any]) -> str:
    """What a reader of the log must know of this computer; `worker` is what the worker said of itself, if anything."""
    import slicer

    facts = {
        "PETCTFusionSeg": petctfusion.__version__,
        "Slicer": str(slicer.app.applicationVersion),
        "Python": platform.python_version(),
        "System": platform.platform(),
        "Worker": f"Python {worker['python']}, torch {worker['torch']}" if "torch" in worker else "not started",
    }
    for device in worker.get("devices", ()):
        facts[f"Device {device['id']}"] = str(device.get("name", ""))
    return "\n".join(f"{name}: {value}" for name, value in facts.items())


def report(lines: LogLines, worker: dict[str, Any]) -> str:
    """What the Copy button puts on the clipboard."""
    note = _("Names of nodes, patients and files are replaced by <name>. Read it once more before you pass it on.")
    return f"{versions(worker)}\n{note}\n\n{lines.text()}\n"
