"""Segmentations to and from .seg.nrrd files, through MRML so that terminology, colours and tags travel along."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.errors import BadInputError, OutputError
from PETCTFusionSegLib.i18n import _

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
        raise BadInputError(
            _('"{name}" is not a {suffix} file name.').format(name=target.name, suffix=_SUFFIX),
            _("Choose a name that ends in {suffix}.").format(suffix=_SUFFIX),
        )
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
                    _("The segmentation could not be written to {path}.").format(path=target),
                    _("Free some disk space or choose another folder."),
                )
            written.replace(target)
    except OSError as error:
        raise OutputError(
            _("{folder} cannot be written: {reason}.").format(folder=target.parent, reason=error.strerror or error),
            _("Choose a folder with write permission."),
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
        raise BadInputError(
            _("{path} could not be read as a segmentation.").format(path=source), _("Check the path and the file.")
        )
    node.CreateDefaultDisplayNodes()
    return node
