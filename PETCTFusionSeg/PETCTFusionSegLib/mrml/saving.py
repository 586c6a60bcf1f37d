"""Segmentations to and from .seg.nrrd files, through MRML so that terminology, colours and tags travel along."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.errors import BadInputError, OutputError

from .headless import importSlicer

if TYPE_CHECKING:
    from slicer import vtkMRMLScene, vtkMRMLSegmentationNode

_SUFFIX = ".seg.nrrd"


def saveSegmentation(node: vtkMRMLSegmentationNode, path: str | os.PathLike[str]) -> Path:
    """Write the segmentation, in the frame below its parent transforms as Slicer does; returns the absolute path.

    The file appears whole or not at all. Raises `BadInputError` for another suffix, `OutputError` when the folder
    cannot be written.
    """
    target = Path(path).expanduser().absolute()
    if not target.name.endswith(_SUFFIX):
        raise BadInputError(f'"{target.name}" is not a {_SUFFIX} file name.', f"Choose a name that ends in {_SUFFIX}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".saving-") as folder:
            written = Path(folder) / target.name
            # A storage node of its own: the node's own one would remember the temporary file as the place to save to.
            storage = importSlicer().vtkMRMLSegmentationStorageNode()
            storage.SetFileName(str(written))
            storage.UseCompressionOn()
            if not storage.WriteData(node) or not written.is_file() or written.stat().st_size == 0:
                raise OutputError(
                    f"The segmentation could not be written to {target}.",
                    "Free some disk space or choose another folder.",
                )
            written.replace(target)
    except OSError as error:
        raise OutputError(
            f"{target.parent} cannot be written: {error.strerror or error}.", "Choose a folder with write permission."
        ) from error
    return target


def loadSegmentation(scene: vtkMRMLScene, path: str | os.PathLike[str]) -> vtkMRMLSegmentationNode:
    """A new segmentation node from a .seg.nrrd file; `BadInputError` when it cannot be read."""
    source = Path(path).expanduser().absolute()
    storage = importSlicer().vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(source))
    name = source.name[: -len(_SUFFIX)] if source.name.endswith(_SUFFIX) else source.stem
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    if not source.is_file() or not storage.ReadData(node):
        scene.RemoveNode(node)
        raise BadInputError(f"{source} could not be read as a segmentation.", "Check the path and the file.")
    node.CreateDefaultDisplayNodes()
    return node
