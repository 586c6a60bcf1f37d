"""The maximum intensity projection of the PET beside the slices: an overview, and a click goes to the uptake."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from trame.widgets import html

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live_source import VolumeSource
from PETCTFusionSegLib.mrml.projection import ProjectionSource, projectionSource, shade
from PETCTFusionSegLib.mrml.worst_place import centreSliceViews
from PETCTFusionSegLib.web.section import PageContext
from PETCTFusionSegLib.workbench.bench import Workbench

_PAUSE_MS = 150
# Voxels are wider than high, or the other way round; the picture has square ones, and no more than can be seen.
_MOST_PIXELS = 480
_PLACE = "[$event.offsetX / $event.currentTarget.clientWidth, $event.offsetY / $event.currentTarget.clientHeight]"


class ProjectionPicture:
    """Projected in a thread when another PET is shown or its voxels change; shaded anew when its window does."""

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        self._bench, self._page = bench, page
        self._pet: Any = None
        self._seen: Any = None
        self._source: ProjectionSource | None = None
        self._maxima: NDArray[np.float32] | None = None
        self._task: asyncio.Task[None] | None = None
        self._window: tuple[float, float] | None = None
        self._timer = bench.makeTimer(_PAUSE_MS, True, self._shade)
        page.state.view_projection = ""

    def build(self) -> None:
        """The picture, as soon as there is one."""
        with html.Details(v_show=("view_projection",), classes="pt-2", open=True):
            html.Summary(_("Projection of the PET"), classes="pcf-label", style="cursor: pointer;")
            html.Img(
                src=("view_projection",),
                click=(self.goTo, _PLACE),
                title=_("Maximum intensity from in front. Click to go to the uptake."),
                alt=_("Maximum intensity projection of the PET"),
                classes="pcf-projection",
                id="view_projection",
            )

    def show(self, pet: Any) -> None:
        """Follow this PET, or none."""
        self._pet = pet
        seen = VolumeSource(pet).fingerprint() if pet is not None else None
        if seen == self._seen:
            if self._maxima is not None and self._windowOf(pet) != self._window:
                self._timer.start()
            return
        self.close()
        self._pet, self._seen = pet, seen
        self._source = projectionSource(pet)
        if self._source is not None:
            self._task = asyncio.get_running_loop().create_task(self._project(self._source))

    def close(self) -> None:
        """Let go of the node."""
        self._timer.stop()
        if self._task is not None:
            self._task.cancel()
        self._pet = self._seen = self._source = self._maxima = self._window = self._task = None
        with self._page.state as state:
            state.view_projection = ""

    def goTo(self, across: float, down: float) -> None:
        """Center the slice views on the highest uptake behind a place in the picture."""
        if self._source is not None:
            centreSliceViews(self._bench.scene, self._source.place(float(across), float(down)))

    async def _project(self, source: ProjectionSource) -> None:
        self._maxima = await asyncio.to_thread(source.project)
        self._shade()

    def _shade(self) -> None:
        self._window = self._windowOf(self._pet)
        if self._source is None or self._maxima is None or self._window is None:
            return
        grey = shade(self._maxima, *self._window)
        width, height = self._source.size_mm
        scale = _MOST_PIXELS / max(width, height)
        size = max(1, round(scale * width)), max(1, round(scale * height))
        stream = io.BytesIO()
        Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).save(stream, "PNG", optimize=False)
        with self._page.state as state:
            state.view_projection = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()

    @staticmethod
    def _windowOf(pet: Any) -> tuple[float, float] | None:
        display = pet.GetDisplayNode() if pet is not None else None
        return (display.GetWindowLevelMin(), display.GetWindowLevelMax()) if display is not None else None
