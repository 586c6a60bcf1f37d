"""What kind of lesion a contour holds, by a network that has a classifier beside its contour."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import AXES, SegmentOptions
from petctfusion.inference.part import Part
from petctfusion.inference.prepare import Prepared
from petctfusion.volumes.geometry import Geometry


def classify_lesion(volumes: Mapping[str, sitk.Image], model: LoadedModel, lesion: sitk.Image) -> NDArray[np.float64]:
    """Probability of every class, from the window around the middle of `lesion` (not zero inside, on any grid).

    Mirrored as the card says, averaged. Raises `BadInputError` for a model without a classifier, and without a lesion.
    """
    if not hasattr(model.network, "forward_with_class"):
        raise BadInputError(
            f"The model {model.card.name} has no classifier.", "Choose one of the network dual_attention."
        )
    inside = np.argwhere(sitk.GetArrayViewFromImage(lesion) != 0)
    if not len(inside):
        raise BadInputError("There is no lesion to classify.", "Segment first.")
    point = Geometry.of(lesion).points(inside.mean(axis=0)[None, ::-1])[0]
    prepared = Part.of(model, 1.0, SegmentOptions(), volumes).prepare(volumes)
    window = torch.from_numpy(_window(prepared, model.card.patch, point))[None].to(model.device)
    axes = [2 + AXES.index(axis) for axis in model.card.flips]
    mirrors = [list(c) for n in range(len(axes) + 1) for c in itertools.combinations(axes, n)]
    with torch.inference_mode():
        scores = [model.network.forward_with_class(torch.flip(window, m))[1][0].float() for m in mirrors]  # type: ignore[operator]
    mean: NDArray[np.float64] = torch.stack(scores).softmax(dim=1).mean(dim=0).cpu().double().numpy()
    return mean


def _window(prepared: Prepared, patch: tuple[int, int, int], point: NDArray[np.float64]) -> NDArray[np.float32]:
    """(M, *patch) around a point (LPS mm), which is its middle; air where the volume ends."""
    middle = np.rint(prepared.grid.indices(point[None])[0][::-1]).astype(int)
    window = np.empty((len(prepared.air), *patch), np.float32)
    window[:] = np.asarray(prepared.air, np.float32).reshape(-1, 1, 1, 1)
    first = middle - np.asarray(patch) // 2
    low, high = np.maximum(first, 0), np.minimum(first + patch, prepared.grid.shape)
    source = (slice(None), *(slice(a, b) for a, b in zip(low, high, strict=True)))
    target = (slice(None), *(slice(a, b) for a, b in zip(low - first, high - first, strict=True)))
    window[target] = prepared.array[source]
    return window
