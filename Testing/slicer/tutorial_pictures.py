"""Pictures of the tutorial: sections of the panel beside what the slice views show, drawn by Slicer's own views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from PETCTFusionSegLib.mrml.views import SliceView

Ras = tuple[float, float, float]
PANEL_WIDTH = 430
_VIEW = (400, 400)
_GAP = 6
_PAPER = (38, 41, 46)


class Camera:
    """Photographs one application; pictures have a number and a name."""

    def __init__(self, app: Any, booted: Any, folder: Path) -> None:
        self._app, self._booted, self._folder = app, booted, folder
        app.parent.resize(PANEL_WIDTH, 2400)
        app.parent.show()

    def shoot(self, name: str, sections: list[str], views: Sequence[tuple[str, Ras]] = ()) -> Path:
        """Sections of the panel, one below the other, and slices beside them: orientation and place (RAS, mm)."""
        slices = [self.slice(orientation, place) for orientation, place in views]
        columns = [[self._section(one) for one in sections], slices]
        return self.save(name, [self._below(column) for column in columns if column])

    def save(self, name: str, parts: list[Image.Image]) -> Path:
        """Pictures beside each other as one file."""
        width = sum(part.width for part in parts) + _GAP * (len(parts) + 1)
        height = max(part.height for part in parts) + 2 * _GAP
        page = Image.new("RGB", (width, height), _PAPER)
        left = _GAP
        for part in parts:
            page.paste(part, (left, _GAP))
            left += part.width + _GAP
        path = self._folder / f"tutorial-{name}.png"
        page.save(path, optimize=True)
        return path

    def _section(self, name: str) -> Image.Image:
        self._app.pause(0.4)
        pixmap = getattr(self._app.ui, f"{name}Section").grab()
        file = self._folder / "section.png"
        pixmap.save(str(file))
        with Image.open(file) as image:
            copy = image.convert("RGB")
        file.unlink()
        return copy

    def slice(self, orientation: str, place: Ras) -> Image.Image:
        """What a slice view shows, CT with the PET over it."""
        study = self._app.panel.bench.study
        view = SliceView(self._booted, f"Tutorial{orientation}", _VIEW)
        try:
            view.show(study.ct, study.pet, 0.5)
            view.look(orientation, place, (190.0, 190.0))
            return Image.fromarray(np.ascontiguousarray(view.pixels()))
        finally:
            composite, node = view.logic.GetSliceCompositeNode(), view.node
            view.close()
            for one in (composite, node):
                self._app.scene.RemoveNode(one)

    def _below(self, parts: list[Image.Image]) -> Image.Image:
        height = sum(part.height for part in parts) + _GAP * (len(parts) - 1)
        page = Image.new("RGB", (max(part.width for part in parts), height), _PAPER)
        top = 0
        for part in parts:
            page.paste(part, (0, top))
            top += part.height + _GAP
        return page
