"""A small chart as SVG text: axes, ticks, and marks in data coordinates. No library, no script, nothing to load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

# Okabe and Ito's colours, told apart with any colour vision (jfly.uni-koeln.de/color); ink and grid are greys.
BLUE, ORANGE, INK, GRID = "#0072B2", "#D55E00", "#333333", "#DDDDDD"


@dataclass(frozen=True)
class Axis:
    """A range of values along `length` pixels, linear or logarithmic."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Round values within the range: 1, 2 or 5 times a power of ten."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            few = [10.0**p for p in powers if self.low <= 10.0**p <= self.high]
            more = [k * 10.0**p for p in powers for k in (1, 2, 5) if self.low <= k * 10.0**p <= self.high]
            return few if len(few) >= 3 else more
        step = _round_step((self.high - self.low) / wanted)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]


def around(values: Sequence[float], logarithmic: bool = False, room: float = 0.06) -> Axis:
    """An axis that holds `values`, with `room` (a share of their range) at either end."""
    low, high = min(values), max(values)
    if logarithmic:
        return Axis(low / 1.3, high * 1.3, True)
    free = room * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low - free, high + free)


@dataclass
class Chart:
    """An SVG of `width` x `height` pixels that grows by marks; `svg` closes it."""

    title: str
    x: Axis
    y: Axis
    width: int = 640
    height: int = 320
    left: int = 68
    bottom: int = 46
    top: int = 30
    right: int = 16
    marks: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixel of a point in data coordinates."""
        return (
            self.left + self.x.place(x) * (self.width - self.left - self.right),
            self.height - self.bottom - self.y.place(y) * (self.height - self.bottom - self.top),
        )

    def axes(self, x_label: str, y_label: str, x_ticks: Sequence[float] | None = None) -> None:
        """Grid lines, tick values and labels."""
        for value in self.y.ticks():
            (x1, y1), (x2, _) = self.at(self.x.low, value), self.at(self.x.high, value)
            self.marks.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y1:.1f}" stroke="{GRID}"/>')
            self.text(x1 - 6, y1 + 4, _short(value), "end")
        base = self.at(self.x.low, self.y.low)[1]
        for value in self.x.ticks() if x_ticks is None else x_ticks:
            x1 = self.at(value, self.y.low)[0]
            self.marks.append(f'<line x1="{x1:.1f}" y1="{base:.1f}" x2="{x1:.1f}" y2="{base + 4:.1f}" stroke="{INK}"/>')
            self.text(x1, base + 17, _short(value), "middle")
        end = self.at(self.x.high, self.y.low)[0]
        self.marks.append(f'<line x1="{self.left}" y1="{base:.1f}" x2="{end:.1f}" y2="{base:.1f}" stroke="{INK}"/>')
        self.text((self.left + end) / 2, self.height - 8, x_label, "middle")
        middle = (self.top + base) / 2
        self.marks.append(
            f'<text x="14" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 14 {middle:.1f})">'
            f"{escape(y_label)}</text>"
        )

    def text(self, x: float, y: float, text: str, anchor: str = "start", colour: str = INK) -> None:
        """Text at a pixel."""
        self.marks.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>')

    def dot(self, x: float, y: float, name: str, colour: str = BLUE) -> None:
        """A point that says `name` under the mouse."""
        px, py = self.at(x, y)
        self.marks.append(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}" fill-opacity="0.75" stroke="white">'
            f"<title>{escape(name)}</title></circle>"
        )

    def level(self, y: float, label: str, dashed: bool, below: bool = False, colour: str = ORANGE) -> None:
        """A line across at height `y`, named at its right end, above or `below` it."""
        (x1, py), (x2, _) = self.at(self.x.low, y), self.at(self.x.high, y)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.marks.append(f'<line x1="{x1:.1f}" y1="{py:.1f}" x2="{x2:.1f}" y2="{py:.1f}" stroke="{colour}"{dash}/>')
        self.text(x2, py + 15 if below else py - 5, label, "end", colour)

    def upright(self, x: float, label: str, dashed: bool, anchor: str, colour: str = ORANGE) -> None:
        """A line up at `x`, named at its top."""
        (px, y1), (_, y2) = self.at(x, self.y.low), self.at(x, self.y.high)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.marks.append(f'<line x1="{px:.1f}" y1="{y1:.1f}" x2="{px:.1f}" y2="{y2:.1f}" stroke="{colour}"{dash}/>')
        self.text(px + (5 if anchor == "start" else -5), y2 + 10, label, anchor, colour)

    def bar(self, x1: float, x2: float, y: float, name: str) -> None:
        """A bar from the bottom to `y`."""
        (left, top), (right, base) = self.at(x1, y), self.at(x2, self.y.low)
        self.marks.append(
            f'<rect x="{left + 1:.1f}" y="{top:.1f}" width="{right - left - 2:.1f}" height="{base - top:.1f}" '
            f'fill="{BLUE}"><title>{escape(name)}</title></rect>'
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str = BLUE, width: float = 1.8) -> None:
        """Points joined in order; a single one becomes a dot."""
        pixels = [self.at(x, y) for x, y in points]
        if len(pixels) == 1:
            self.marks.append(f'<circle cx="{pixels[0][0]:.1f}" cy="{pixels[0][1]:.1f}" r="2.5" fill="{colour}"/>')
            return
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        self.marks.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'
        )

    def area(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """The surface between the bottom and points joined in order."""
        base = self.at(points[0][0], self.y.low)[1]
        pixels = [self.at(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        self.marks.append(
            f'<polygon points="{pixels[0][0]:.1f},{base:.1f} {path} {pixels[-1][0]:.1f},{base:.1f}" fill="{colour}"/>'
        )

    def svg(self) -> str:
        """The whole picture; its title is its name for a screen reader."""
        return stacked(self.title, [self])


def stacked(title: str, charts: Sequence[Chart]) -> str:
    """One SVG of several charts, one below the other; `title` is its name for a screen reader."""
    parts, top = [], 0
    for chart in charts:
        heading = f'<text x="{chart.left}" y="16" font-weight="600" fill="{INK}">{escape(chart.title)}</text>'
        inside = heading + "".join(chart.marks)
        parts.append(f'<g transform="translate(0 {top})">{inside}</g>' if top else inside)
        top += chart.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(chart.width for chart in charts)} {top}" '
        f'role="img" aria-label="{escape(title, quote=True)}">{"".join(parts)}</svg>'
    )


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= step * (1 - 1e-9))


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "−")
