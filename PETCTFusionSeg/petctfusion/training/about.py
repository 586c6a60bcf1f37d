"""What a model card says about the data: the table [about] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from petctfusion.errors import BadInputError


@dataclass(frozen=True)
class About:
    """Texts for the model card; what is left empty comes from the data set (`card_texts`).

    `segment`: the name of what the contours are. Raises `BadInputError` for an empty one.
    """

    data: str = ""
    licence: str = ""
    attribution: str = ""
    not_for: tuple[str, ...] = ()
    segment: str = "GTV"

    def __post_init__(self) -> None:
        if not self.segment.strip():
            raise BadInputError("[about] segment is empty.", 'Name what the contours are, such as "GTV".')
