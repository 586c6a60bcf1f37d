"""The study of web_latency.py, and what drawing one frame of it costs on the server, part by part."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

SHAPE = (300, 400, 400)
SPACING = (1.0, 1.0, 2.0)
_REPEATS = 50


def write_study(folder: Path) -> None:
    """CT with texture in every slice, PET with one hot ball, and the ball's voxels above 4 SUV as the segment."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((x - 200) / 170.0) ** 2 + ((y - 200) / 150.0) ** 2 + 0 * z < 1
    texture = 60 * np.sin(x / 9.0) * np.cos(y / 7.0) * np.cos(z / 5.0)
    ct = (np.where(body, 40 + texture, -1000) + rng.normal(0, 20, SHAPE)).astype(np.int16)
    ball = np.exp(-(((x - 240) / 25.0) ** 2 + ((y - 190) / 25.0) ** 2 + ((z - 150) / 12.5) ** 2))
    pet = (8 * ball + 0.8 * body).astype(np.float32)
    for name, values in (("ct", ct), ("pet", pet), ("mask", (pet > 4).astype(np.uint8))):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing(SPACING)
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"))


def parts_ms(folder: Path, size: int) -> dict[str, dict[str, float]]:
    """Medians in ms: for scrolling and for a stroke, what the event, drawing, reading back and JPEG each take."""
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    from trame.app import get_server
    from trame_slicer.core import SlicerApp

    from PETCTFusionSegLib.mrml.hanging import hangStudy, lesionPlace
    from PETCTFusionSegLib.mrml.headless import adoptApplication
    from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
    from PETCTFusionSegLib.web.editor import WebEditor
    from PETCTFusionSegLib.web.opening import addContour
    from PETCTFusionSegLib.web.views.board import ViewBoard
    from PETCTFusionSegLib.web.views.pointer import PointerEvent

    server = get_server("parts")
    server.client_type = "vue3"
    app = SlicerApp()
    adoptApplication(app.scene, app.app_logic)
    app.scene.Clear()
    board = ViewBoard(app, server)
    editor = WebEditor(board, lambda: None, print)
    editor.connectScene(app.scene)
    images = {name: sitk.ReadImage(str(folder / f"{name}.nrrd")) for name in ("ct", "pet", "mask")}
    ct = volumeNodeFromImage(app.scene, images["ct"], "CT", "CT")
    pet = volumeNodeFromImage(app.scene, images["pet"], "PET", "PET")
    contour = addContour(app.scene, images["mask"], ct, "Result", (230, 159, 0))
    hangStudy(app.scene, ct, pet, lesionPlace(contour))
    editor.edit(contour, ct)
    pane = board.slices["axial"]
    pane.resize({"w": size, "h": size, "ratio": 1})
    pane.fit()

    def scroll(number: int) -> None:
        pane.wheel(-1 if number // 40 % 2 else 1, {})

    def stroke(number: int) -> None:
        kind = "move" if number else "down"
        board.tools[0](pane, PointerEvent(kind, ((60.0 + 7 * number, 300.0),), pressed=True))

    found = {"scroll": _timed(pane, scroll)}
    editor.tool = "paint"
    found["stroke"] = _timed(pane, stroke)
    return found


def _timed(pane: Any, act: Callable[[int], None]) -> dict[str, float]:
    times: dict[str, list[float]] = {"event": [], "drawing": [], "reading back": [], "jpeg": []}
    for number in range(_REPEATS):
        marks = [time.perf_counter()]
        act(number)
        marks.append(time.perf_counter())
        pane.window.Render()
        marks.append(time.perf_counter())
        picture = pane.pixels()
        marks.append(time.perf_counter())
        picture.jpeg(sharp=False)
        marks.append(time.perf_counter())
        for name, start, end in zip(times, marks[:-1], marks[1:], strict=True):
            times[name].append(1000 * (end - start))
    return {name: statistics.median(values) for name, values in times.items()}
