"""Model cards and weights: list, find, verify, add and remove. Imports no torch."""

from petctfusion.models.card import (
    CARD_FILE,
    AnyCard,
    ClickGuidance,
    Code,
    EnsembleCard,
    LabelSpec,
    Member,
    MetricRow,
    ModelCard,
    Terminology,
    Training,
    Weights,
    read_card,
    write_card,
)
from petctfusion.models.installed import DamagedModel, InstalledModel
from petctfusion.models.store import (
    ModelStore,
    add_model,
    damaged_models,
    default_model,
    find_model,
    list_models,
    remove_model,
    verify,
)
from petctfusion.models.weights import check_safetensors, sha256_of

__all__ = [
    "CARD_FILE",
    "AnyCard",
    "ClickGuidance",
    "Code",
    "DamagedModel",
    "EnsembleCard",
    "InstalledModel",
    "LabelSpec",
    "Member",
    "MetricRow",
    "ModelCard",
    "ModelStore",
    "Terminology",
    "Training",
    "Weights",
    "add_model",
    "check_safetensors",
    "damaged_models",
    "default_model",
    "find_model",
    "list_models",
    "read_card",
    "remove_model",
    "sha256_of",
    "verify",
    "write_card",
]
