"""Makes the effect known to all Segment Editors, once, after the application has started."""

from __future__ import annotations

from pathlib import Path

EFFECT_NAME = "PETCTFusion"
_SOURCE = Path(__file__).parent / "SegmentEditorPETCTFusion" / "SegmentEditorEffect.py"


def registerEffect() -> None:
    """Register the effect; editors that are open show it at once. A second time changes nothing."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects  # type: ignore[import-not-found]

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(_SOURCE.as_posix())
    effect.self().register()
