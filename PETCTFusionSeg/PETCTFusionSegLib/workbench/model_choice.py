"""The choice of a model and of a device: what there is, and what has to be said about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from petctfusion.models import InstalledModel, list_models
from PETCTFusionSegLib.i18n import _

from .inputs import EXTRA

# Half of the last digit that a front shows of a threshold.
_SAME_THRESHOLD = 5e-4


class ModelChoice:
    """The installed models and the chosen one; there may be none."""

    def __init__(self) -> None:
        self.models: list[InstalledModel] = []
        self.model: InstalledModel | None = None
        self._missing = ""
        self.list()

    def list(self) -> None:
        """Look at the models again; the chosen one stays chosen, if it is still there."""
        chosen = self.model.reference if self.model is not None else ""
        self.models = list_models()
        self.model = self.models[0] if self.models else None
        self.choose(chosen)

    def choose(self, reference: str) -> None:
        """Choose by "name@version"; instead of one that is not installed another version of it, else none other."""
        exact = [model for model in self.models if model.reference == reference]
        named = [model for model in self.models if reference.startswith(f"{model.name}@")]
        self.model = next(iter(exact or named), self.model)
        self._missing = reference if reference and not exact else ""

    def note(self, extra: Any) -> str:
        """What has to be said about the choice and the additional volume; empty when there is nothing."""
        sentences = [self._missingNote(), _extraNote(self.model, extra)]
        return " ".join(sentence for sentence in sentences if sentence)

    def _missingNote(self) -> str:
        if not self._missing or self.model is None:
            return ""
        sentence = _("The model {missing} is not installed; {model} is chosen instead.")
        return sentence.format(missing=self._missing, model=self.model.reference)

    @property
    def reference(self) -> str:
        """The chosen model's, or empty."""
        return self.model.reference if self.model is not None else ""

    def threshold(self, shown: float) -> float:
        """The threshold of the next run: the card's own, to the last digit, unless the user moved the shown one."""
        assert self.model is not None
        own = self.model.card.threshold
        return own if abs(own - shown) <= _SAME_THRESHOLD else shown


def takesExtra(model: InstalledModel) -> bool:
    """True when the network wants the additional volume."""
    return EXTRA in model.card.modalities


def _extraNote(model: InstalledModel | None, extra: Any) -> str:
    """What becomes of the additional volume with this model; empty when nothing has to be said."""
    if model is None:
        return ""
    if extra is not None and not takesExtra(model):
        return _('The chosen model does not use "{name}".').format(name=extra.GetName())
    if extra is None and takesExtra(model):
        return _("The chosen model also takes an MR; none is chosen under Study.")
    return ""


def deviceChoices(devices: Sequence[dict[str, Any]], chosen: str) -> dict[str, str]:
    """Texts by device: those the worker found, and the chosen one even when it is not there now."""
    found = {str(device["id"]): _deviceText(device) for device in devices}
    choices = {"auto": _("Automatic"), "cpu": _("CPU"), **found}
    choices.setdefault(chosen, chosen)
    return choices


def _deviceText(device: dict[str, Any]) -> str:
    name, free = str(device.get("name") or device["id"]), device.get("free_bytes")
    return f"{name} ({free / 2**30:.1f} GB free)" if free else name
