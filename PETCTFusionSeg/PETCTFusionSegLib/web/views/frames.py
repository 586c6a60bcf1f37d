"""A drawn picture as bytes for the page: small while things move, sharp once they rest."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOVING_QUALITY, RESTING_QUALITY = 70, 92
JPEG = "image/jpeg"


@dataclass(frozen=True)
class Picture:
    """Pixels as OpenGL gives them: rows from the bottom, RGBA with an alpha that means nothing."""

    pixels: NDArray[np.uint8]

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    def same(self, other: Picture | None) -> bool:
        """True when nobody would see a difference."""
        return other is not None and np.array_equal(self.pixels, other.pixels)

    def jpeg(self, sharp: bool) -> bytes:
        """With all colours where it is sharp, with a quarter of them otherwise."""
        options: dict[str, Any] = {"quality": RESTING_QUALITY, "subsampling": 0} if sharp else {}
        stream = io.BytesIO()
        self._image("RGBX").save(stream, "JPEG", **({"quality": MOVING_QUALITY} | options))
        return stream.getvalue()

    def image(self) -> Image.Image:
        """As an RGB image, rows from the top."""
        return self._image("RGBX").convert("RGB")

    def _image(self, mode: str) -> Image.Image:
        return Image.frombuffer(mode, (self.width, self.height), self.pixels, "raw", mode, 0, -1)
