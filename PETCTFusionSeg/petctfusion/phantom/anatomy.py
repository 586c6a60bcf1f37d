"""The procedural whole body: a label map of a slightly different person for every seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petctfusion.phantom import body, head, skeleton, viscera
from petctfusion.phantom.canvas import BodyMap, Canvas
from petctfusion.phantom.shapes import Point
from petctfusion.volumes.geometry import Geometry


@dataclass(frozen=True)
class Patient:
    """Proportions of one person: factors on the nominal body along x (girth), y (depth), z (height), and the fat."""

    girth: float
    depth: float
    height: float
    build: body.Build

    @classmethod
    def draw(cls, generator: np.random.Generator, arms: bool) -> Patient:
        """A person between slim and stout."""
        girth = float(np.clip(generator.normal(1.0, 0.04), 0.92, 1.1))
        depth = float(np.clip(girth * generator.normal(1.0, 0.03), 0.9, 1.14))
        height = float(np.clip(generator.normal(1.0, 0.03), 0.94, 1.06))
        fat = float(np.clip(generator.lognormal(0.0, 0.28), 0.6, 1.7))
        return cls(girth, depth, height, body.Build(fat, arms))

    @property
    def map(self) -> BodyMap:
        """World mm to nominal body mm."""
        return BodyMap.scaled(self.girth, self.depth, self.height)

    def world(self, point: Point) -> Point:
        """World mm of a nominal point."""
        return point[0] * self.girth, point[1] * self.depth, point[2] * self.height


def procedural_labels(grid: Geometry, patient: Patient, seed: int) -> NDArray[np.uint8]:
    """Label map (z, y, x) of `patient` on an axis-aligned grid; the same seed paints the same person on any grid."""
    canvas = Canvas(grid, patient.map, _stream(seed, 1))
    distance = body.distance_to_skin(canvas, patient.build)
    body.paint_layers(canvas, distance, patient.build, _stream(seed, 2))
    del distance
    body.paint_septa(canvas, _stream(seed, 3))
    body.paint_cavity(canvas)
    viscera.paint_muscles_and_vessels(canvas)
    viscera.paint_lungs(canvas, _stream(seed, 4))
    viscera.paint_heart(canvas)
    viscera.paint_liver(canvas)
    viscera.paint_spleen(canvas)
    viscera.paint_stomach(canvas)
    viscera.paint_kidneys(canvas)
    viscera.paint_pelvic_organs(canvas, _stream(seed, 5))
    viscera.paint_bowel(canvas, _stream(seed, 6))
    skeleton.paint_skeleton(canvas, patient.build.arms)
    head.paint_head(canvas, _stream(seed, 7))
    return canvas.labels


def _stream(seed: int, part: int) -> np.random.Generator:
    """An own random stream for each part, so that what is painted does not depend on what was skipped before."""
    return np.random.default_rng([seed, part])
