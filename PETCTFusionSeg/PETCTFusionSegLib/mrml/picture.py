"""A picture of a result: CT with PET overlay in three planes, contours of result and reference, surfaces in 3-D."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from petctfusion.errors import BadInputError, OutputError

from .headless import runsInDesktopSlicer
from .picture_layout import (
    PANEL_SIZE,
    REFERENCE_RGB,
    RESULT_RGB,
    PictureStudy,
    Plane,
    planesThroughLesion,
    suvRange,
)
from .picture_plain import HEAT, Rgb, drawPlainPanels
from .views import GraphicsProbe, probeGraphics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
_GAP, _HEADER, _FOOTER = 8, 64, 92
_INK, _MUTED, _PAPER = "#f2f2f2", "#a8a8a8", "#101214"
_BAR_MM = 50.0


@dataclass(frozen=True)
class PictureCaption:
    """Words below the picture; Dice and HD95 are shown only when given, with their definitions."""

    title: str = "PET/CT tumour contour"
    resultName: str = "Result"
    referenceName: str = "Reference"
    dice: float | None = None
    hd95Mm: float | None = None


@dataclass(frozen=True)
class PictureReport:
    """Where the picture is, whether Slicer's own views drew it, and one line about that."""

    path: Path
    renderedBySlicer: bool
    note: str


def renderPicture(
    study: PictureStudy,
    path: str | os.PathLike[str],
    caption: PictureCaption | None = None,
    graphics: GraphicsProbe | None = None,
) -> PictureReport:
    """Draw the study and write a PNG, whole or not at all.

    With OpenGL the panels come from Slicer's displayable managers; a black one raises `BlackPictureError`. Without it,
    they are drawn flat, a projection takes the place of the 3-D view, and the note names the missing Debian packages.
    Raises `OutputError` when the file cannot be written.
    """
    caption = caption or PictureCaption()
    planes = planesThroughLesion(study)
    graphics = graphics or _graphicsHere()
    if graphics.available:
        from .picture_scene import drawPanels

        slices, last = drawPanels(study, planes)
    else:
        slices, last = drawPlainPanels(study, planes)
    lastName = "Surfaces" if graphics.available else "PET, maximum intensity projection"
    figure = _compose(study, planes, slices, (lastName, last), caption)
    return PictureReport(_write(figure, Path(path)), graphics.available, graphics.note)


def _graphicsHere() -> GraphicsProbe:
    """The application draws its own views, so only a headless process needs to try."""
    return GraphicsProbe(True, "rendered in Slicer") if runsInDesktopSlicer() else probeGraphics()


def _compose(
    study: PictureStudy, planes: list[Plane], slices: list[Rgb], last: tuple[str, Rgb], caption: PictureCaption
) -> Figure:
    """Two rows of two panels, a title above, a legend with the numbers below."""
    figure_module = _matplotlib()
    width = 2 * PANEL_SIZE[0] + 3 * _GAP
    height = _HEADER + 2 * PANEL_SIZE[1] + _GAP + _FOOTER
    figure: Figure = figure_module.Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_PAPER)
    names = [plane.name for plane in planes] + [last[0]]
    for number, (name, pixels) in enumerate(zip(names, [*slices, last[1]], strict=True)):
        left = _GAP + (number % 2) * (PANEL_SIZE[0] + _GAP)
        top = _HEADER + (number // 2) * (PANEL_SIZE[1] + _GAP)
        box = (left / width, 1 - (top + PANEL_SIZE[1]) / height, PANEL_SIZE[0] / width, PANEL_SIZE[1] / height)
        axes = figure.add_axes(box)
        axes.imshow(pixels, interpolation="none", aspect="auto")
        axes.set_axis_off()
        _label(axes, name, 12, 14, "top")
        if number < len(planes):
            _decorate(axes, planes[number])
    _heading(figure, caption, height)
    _footer(figure, study, caption, height)
    return figure


def _matplotlib() -> Any:
    try:
        from matplotlib import figure
    except ImportError as error:
        raise BadInputError(
            "The picture needs matplotlib, which is not installed.",
            'Install it with: pip install "petctfusion[slicer]".',
        ) from error
    return figure


def _label(axes: Axes, text: str, x: float, y: float, vertical: Any, horizontal: Any = "left", size: int = 13) -> None:
    """Words on a dark plate, legible over bright fat and dark air alike."""
    plate = {"facecolor": "#000000", "alpha": 0.45, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    axes.text(x, y, text, color=_INK, fontsize=size, va=vertical, ha=horizontal, bbox=plate)


def _decorate(axes: Axes, plane: Plane) -> None:
    """Patient sides and a ruler of 5 cm."""
    width, height = PANEL_SIZE
    _label(axes, plane.edges[0], 12, height / 2, "center")
    _label(axes, plane.edges[1], width - 12, height / 2, "center", "right")
    length = _BAR_MM / plane.mmPerPixel
    axes.plot([width - 18 - length, width - 18], [height - 18, height - 18], color=_INK, linewidth=3)
    _label(axes, "5 cm", width - 18 - length / 2, height - 26, "bottom", "center", size=11)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def _heading(figure: Figure, caption: PictureCaption, height: int) -> None:
    middle = 1 - _HEADER / 2 / height
    figure.text(0.012, middle, caption.title, color=_INK, fontsize=19, fontweight="bold", va="center")
    figure.text(0.988, middle, "PETCTFusionSeg · research use only", color=_MUTED, fontsize=12, va="center", ha="right")


def _footer(figure: Figure, study: PictureStudy, caption: PictureCaption, height: int) -> None:
    """Legend of the two lines, the numbers with their definitions, and the colour scale of the PET."""
    high, low = 0.66 * _FOOTER / height, 0.27 * _FOOTER / height
    figure.text(0.012, high, "━━", color=_hex(RESULT_RGB), fontsize=17, va="center")
    figure.text(0.045, high, caption.resultName, color=_INK, fontsize=15, va="center")
    if study.reference is not None:
        figure.text(0.20, high, "━━", color=_hex(REFERENCE_RGB), fontsize=17, va="center")
        figure.text(0.233, high, caption.referenceName, color=_INK, fontsize=15, va="center")
    figure.text(0.42, high, _numbers(caption), color=_INK, fontsize=15, va="center", fontweight="bold")
    figure.text(0.012, low, _definitions(caption), color=_MUTED, fontsize=11, va="center")
    scale = figure.add_axes((0.80, high - 6 / height, 0.16, 13 / height))
    steps = np.linspace(0, 1, 256)
    colours = np.stack([np.interp(steps, HEAT[:, 0], HEAT[:, channel]) for channel in (1, 2, 3)], axis=-1)
    scale.imshow(colours[None], aspect="auto")
    scale.set_axis_off()
    bottom, top = suvRange(study)
    figure.text(0.795, high, f"SUV {bottom:g}", color=_INK, fontsize=12, va="center", ha="right")
    figure.text(0.965, high, f"{top:g}", color=_INK, fontsize=12, va="center")


def _numbers(caption: PictureCaption) -> str:
    parts = []
    if caption.dice is not None:
        parts.append(f"Dice {caption.dice:.3f}")
    if caption.hd95Mm is not None:
        parts.append(f"HD95 {caption.hd95Mm:.1f} mm" if math.isfinite(caption.hd95Mm) else "HD95: no contour")
    return "     ".join(parts)


def _definitions(caption: PictureCaption) -> str:
    parts = []
    if caption.dice is not None:
        parts.append("Dice = 2|A∩B| / (|A|+|B|)")
    if caption.hd95Mm is not None:
        parts.append("HD95: larger of the two directed 95th percentiles of surface distances")
    return "  ·  ".join(parts)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _write(figure: Figure, path: Path) -> Path:
    """Through a temporary file beside the target, so that a full disk leaves no half picture."""
    target = path.expanduser().absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".picture-") as folder:
            drawn = Path(folder) / "picture.png"
            figure.savefig(drawn, format="png", dpi=_DPI, facecolor=figure.get_facecolor())
            drawn.replace(target)
    except OSError as error:
        raise OutputError(
            f"The picture could not be written to {target}: {error.strerror or error}.",
            "Free some disk space or choose another folder.",
        ) from error
    return target
