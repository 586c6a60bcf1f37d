"""Dice along the slices as a small picture (SVG), in which every place across belongs to a slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PETCTFusionSegLib.i18n import _

WIDTH, HEIGHT = 350, 128
_LEFT, _RIGHT, _TOP, _BOTTOM = 28, 10, 8, 34
_LINE, _GRID, _TEXT = "#56b4e9", "#59616b", "#c8ccd2"
_TICKS = 4
# Slices farther apart than this many steps have others without any contour between them.
_GAP = 1.5


@dataclass(frozen=True)
class DiceCurve:
    """Positions (mm, ascending) and Dice of slices."""

    positions: Sequence[float]
    dice: Sequence[float]

    def across(self, position_mm: float) -> float | None:
        """Where a position is, as part of the picture's width; None beyond the slices."""
        low, high = self._limits()
        if not self.positions or not low <= position_mm <= high:
            return None
        return self._x(position_mm) / WIDTH

    def position_mm(self, across: float) -> float:
        """The position at a part of the picture's width, held within the slices."""
        low, high = self._limits()
        part = (across * WIDTH - _LEFT) / (WIDTH - _LEFT - _RIGHT)
        return low + min(1.0, max(0.0, part)) * (high - low)

    def svg(self) -> str:
        """The picture; empty without slices."""
        if not self.positions:
            return ""
        label, axis = _("Dice along the slices"), _("Dice by position (mm)")
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" width="100%" '
            f'font-family="inherit" font-size="10" fill="{_TEXT}">',
            *(self._level(value) for value in (0.0, 0.5, 1.0)),
            *(self._tick(value) for value in self._ticks()),
            f'<text x="{(WIDTH + _LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{axis}</text>',
            f'<path d="{self._path()}" fill="none" stroke="{_LINE}" stroke-width="1.8" stroke-linecap="round"/>',
            *self._dots(),
            "</svg>",
        ]
        return "".join(parts)

    def _limits(self) -> tuple[float, float]:
        """The slices, and half a step on either side."""
        if not self.positions:
            return 0.0, 1.0
        return self.positions[0] - self._step() / 2, self.positions[-1] + self._step() / 2

    def _step(self) -> float:
        steps = [b - a for a, b in zip(self.positions, self.positions[1:], strict=False)]
        return min(steps) if steps else 1.0

    def _x(self, position_mm: float) -> float:
        low, high = self._limits()
        return _LEFT + (position_mm - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def _path(self) -> str:
        moves, before, most = [], -math.inf, _GAP * self._step()
        for position, dice in zip(self.positions, self.dice, strict=True):
            moves.append(f"{'L' if position - before <= most else 'M'}{self._x(position):.1f} {_y(dice):.1f}")
            before = position
        return "".join(moves)

    def _dots(self) -> list[str]:
        """So few slices that each can have one."""
        if len(self.positions) > 60:
            return []
        points = zip(self.positions, self.dice, strict=True)
        return [f'<circle cx="{self._x(p):.1f}" cy="{_y(d):.1f}" r="2" fill="{_LINE}"/>' for p, d in points]

    def _ticks(self) -> list[float]:
        """Round numbers within the slices."""
        low, high = self._limits()
        rough = (high - low) / _TICKS
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]

    def _tick(self, value: float) -> str:
        x, y = self._x(value), HEIGHT - _BOTTOM
        line = f'<line x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + 4}" stroke="{_GRID}"/>'
        return f'{line}<text x="{x:.1f}" y="{y + 15}" text-anchor="middle">{value:g}</text>'

    def _level(self, dice: float) -> str:
        y = _y(dice)
        line = (
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_GRID}" stroke-width="0.6"/>'
        )
        return f'{line}<text x="{_LEFT - 4}" y="{y + 3.5:.1f}" text-anchor="end">{dice:g}</text>'


def _y(dice: float) -> float:
    return _TOP + (1.0 - dice) * (HEIGHT - _TOP - _BOTTOM)
