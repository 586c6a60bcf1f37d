"""From a PET/CT study and a model to probability and labels; names load on first use, so importing costs no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from petctfusion.inference.model import AnyLoaded, LoadedEnsemble, LoadedModel, load_model
    from petctfusion.inference.options import SegmentOptions
    from petctfusion.inference.postprocess import labels_from_probability
    from petctfusion.inference.sliding_window import predict_windows
    from petctfusion.inference.study import StudyResult, segment_study

__all__ = [
    "AnyLoaded",
    "LoadedEnsemble",
    "LoadedModel",
    "SegmentOptions",
    "StudyResult",
    "labels_from_probability",
    "load_model",
    "predict_windows",
    "segment_study",
]

_HOMES = {
    "AnyLoaded": "model",
    "LoadedEnsemble": "model",
    "LoadedModel": "model",
    "SegmentOptions": "options",
    "StudyResult": "study",
    "labels_from_probability": "postprocess",
    "load_model": "model",
    "predict_windows": "sliding_window",
    "segment_study": "study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
