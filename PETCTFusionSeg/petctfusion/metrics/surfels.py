"""Surface elements: the area of surface in every 2 x 2 x 2 neighbourhood of voxels (S. Nikolov et al., 2018).

The corner lattice has one cell between every 8 voxels. Which of the 8 are inside decides the piece of surface in the
cell: triangles through the middles of the edges that the surface cuts (Lorensen and Cline, SIGGRAPH 1987). This is the
definition of DeepMind's surface-distance package (Nikolov et al., J Med Internet Res 23(7):e26151, 2021), whose areas
follow: up to rotations, mirrorings and exchange of inside and outside there are 13 kinds of cell, listed in `_KINDS`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from petctfusion.metrics.lattice import INSIDE, ByteArray
from petctfusion.metrics.masks import IndexArray

_CORNERS = tuple(itertools.product((0, 1), repeat=3))
_Normal = tuple[int, int, int]

# Corners inside (z, y, x), and of each triangle the normal's components in eighths of the cell's faces. Signs do not
# matter for an area.
_KINDS: tuple[tuple[str, tuple[_Normal, ...]], ...] = (
    ("111", ((1, 1, 1),)),
    ("110 111", ((2, 2, 0), (2, 2, 0))),
    ("101 110", ((1, 1, 1), (1, 1, 1))),
    ("011 100", ((1, 1, 1), (1, 1, 1))),
    ("101 110 111", ((4, 0, 0), (2, 2, 2), (1, 1, 1))),
    ("011 101 110", ((1, 1, 1), (1, 1, 1), (1, 1, 1))),
    ("011 100 111", ((0, 2, 2), (0, 2, 2), (1, 1, 1))),
    ("100 101 110 111", ((4, 0, 0), (4, 0, 0))),
    ("011 101 110 111", ((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1))),
    ("011 100 110 111", ((1, 1, 1), (3, 3, 3), (0, 2, 2), (2, 0, 2))),
    ("011 100 101 110", ((4, 0, 0), (1, 1, 1), (2, 2, 2), (1, 1, 1))),
    ("010 011 100 101", ((2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0))),
    ("001 010 100 111", ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1))),
)
# Areas are counted in whole units so that sums do not depend on their order: 2^28 units for the largest cell keep its
# area to 4e-9, and sums over 2^24 cells exact in float64.
_LARGEST_AREA_BITS = 28


def cell_areas_mm2(spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """Area of surface in a cell by its code (256,), mm2; bit 4z + 2y + x of a code says that this corner is inside."""
    depth, height, width = spacing_mm
    faces = (height * width, depth * width, depth * height)
    areas = np.zeros(256)
    for corners, normals in _KINDS:
        inside = [tuple(int(digit) for digit in corner) for corner in corners.split()]
        for order in itertools.permutations(range(3)):
            area = sum(math.hypot(*(normal[order[axis]] * faces[axis] for axis in range(3))) for normal in normals) / 8
            for mirrored in _CORNERS:
                code = 0
                for corner in inside:
                    z, y, x = (corner[order[axis]] ^ mirrored[axis] for axis in range(3))
                    code |= 1 << (4 * z + 2 * y + x)
                areas[code] = areas[255 - code] = area
    return areas


@lru_cache(maxsize=8)
def area_units(spacing_mm: tuple[float, float, float]) -> tuple[NDArray[np.int64], float]:
    """The same areas in whole units, and the size of a unit in mm2."""
    areas = cell_areas_mm2(spacing_mm)
    unit = 2.0 ** (math.ceil(math.log2(areas.max())) - _LARGEST_AREA_BITS)
    return np.rint(areas / unit).astype(np.int64), unit


def codes_at(cells: IndexArray, flags: ByteArray, steps: Sequence[int]) -> ByteArray:
    """The code of each of `cells` (indices of lowest corners); 0 and 255 are cells without surface."""
    codes = np.zeros(cells.size, dtype=np.uint8)
    for bit, corner in enumerate(_CORNERS):
        offset = sum(moved * step for moved, step in zip(corner, steps, strict=True))
        codes |= (flags[cells + offset] & INSIDE) << np.uint8(bit)
    return codes


def cells_of(shell: IndexArray, flags: ByteArray, steps: Sequence[int]) -> tuple[IndexArray, ByteArray]:
    """Every cell that the surface passes through, once: index of its lowest corner, and its code.

    `shell` must hold every INSIDE voxel of `flags` with one of its 26 neighbours outside; each cell with surface in it
    has such a voxel at a corner, and is reported by the first of them.
    """
    step_z, step_y, step_x = steps
    near = {
        (z, y, x): flags[shell + (z * step_z + y * step_y + x * step_x)] & INSIDE
        for z, y, x in itertools.product((-1, 0, 1), repeat=3)
    }
    cells, codes = [], []
    for own, corner in enumerate(_CORNERS):
        code = np.zeros(shell.size, dtype=np.uint8)
        for bit, other in enumerate(_CORNERS):
            z, y, x = (other[axis] - corner[axis] for axis in range(3))
            code |= near[z, y, x] << np.uint8(bit)
        first = ((code & np.uint8((1 << own) - 1)) == 0) & (code != 255)
        cells.append(shell[first] - (corner[0] * step_z + corner[1] * step_y + corner[2] * step_x))
        codes.append(code[first])
    return np.concatenate(cells), np.concatenate(codes)
