"""The weighted mean of probability maps of different grids, on the grid of the result."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_probability


class WeightedMean:
    """A running sum in units of 255: float32 and one volume per label on `output`, however many maps are added."""

    def __init__(self, output: Geometry) -> None:
        self._output = output
        self._sums: list[NDArray[np.float32]] = []

    def add(self, probability: NDArray[np.float32], grid: Geometry, share: float) -> None:
        """One map (K, z, y, x) in [0, 1] on its own `grid`; the shares of all maps sum to 1."""
        for number, channel in enumerate(probability):
            values = sitk.GetArrayFromImage(resample_probability(grid.image(channel), self._output))
            values *= 255.0 * share
            if number == len(self._sums):
                self._sums.append(values)
            else:
                self._sums[number] += values

    def rounded(self) -> sitk.Image:
        """The mean as uint8, 255 = 1, one component per label; rounded here, once. The sums are given up."""
        channels = []
        while self._sums:
            values = self._sums.pop(0)
            np.rint(values, out=values)
            channels.append(self._output.image(np.clip(values, 0, 255).astype(np.uint8)))
        return channels[0] if len(channels) == 1 else sitk.Compose(channels)
