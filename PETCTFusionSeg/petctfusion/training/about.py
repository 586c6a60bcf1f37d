"""What a model card says about the data: the table [about] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """Texts for the model card; what is left empty comes from the data set (`card_texts`)."""

    data: str = ""
    licence: str = ""
    attribution: str = ""
    not_for: tuple[str, ...] = ()
