"""Models as text: the table of `petctfusion models list`, and the card of `petctfusion models info`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petctfusion.models import InstalledModel, MetricRow

_WIDTH = 118
_NAME = 13


def listed(models: Sequence[InstalledModel]) -> str:
    """One line a model: reference, network, modalities, origin, licence, whether anything was measured."""
    rows = [("model", "network", "modalities", "origin", "figures", "licence")]
    rows += [
        (
            model.reference,
            model.card.network,
            " + ".join(model.card.modalities),
            "shipped" if model.shipped else "added",
            "measured" if model.card.metrics else "none",
            textwrap.shorten(model.card.licence, 48, placeholder=" ..."),
        )
        for model in models
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [*lines, "Every file has the size that its card says; 'petctfusion models verify' checks each byte."]
    )


def card_text(model: InstalledModel) -> str:
    """The whole card as a person reads it, its limits and what was measured one a line."""
    from petctfusion.models import ModelCard

    card = model.card
    lines = [f"{model.reference}: {card.title}"]
    if isinstance(card, ModelCard):
        spacing = " x ".join(f"{mm:g}" for mm in card.spacing_mm)
        lines += _entry("Network", f"{card.network} for {' + '.join(card.modalities)} at {spacing} mm (z, y, x)")
    else:
        lines += _entry("Ensemble", *(f"{member.reference}, weight {member.weight:g}" for member in card.members))
    lines += _entry("Marks", ", ".join(label.name for label in card.labels))
    lines += _entry("Trained on", card.training.data)
    lines += _entry("Patients", ", ".join(card.training.patients))
    lines += _entry("Data licence", card.training.licence)
    lines += _entry("Credit", card.training.attribution)
    lines += _entry("Command", _made_by(model))
    lines += _entry("Licence", card.licence)
    lines += _entry("Not for", *card.not_for)
    measured = [_measured(row) for row in card.metrics]
    lines += _entry("Measured", *(measured or ["nothing, by us: try it on contours of your own first"]))
    if isinstance(card, ModelCard):
        weights = card.weights
        lines += _entry("Checksum", f"sha256 {weights.sha256} ({weights.bytes / 1e6:.1f} MB, {weights.dtype})")
    else:
        lines += _entry("Checksum", f"sha256 {card.sha256} of the members' checksums and weights")
    lines += _entry("Folder", str(model.folder))
    return "\n".join(lines)


def _made_by(model: InstalledModel) -> str:
    training = model.card.training
    at = f" (commit {training.commit[:12]})" if training.commit else ""
    return f"{training.command}{at}" if training.command else ""


def _measured(row: MetricRow) -> str:
    distance = "HD95 none" if row.hd95_mm is None else f"HD95 {row.hd95_mm:.1f} mm"
    note = f" ({row.note})" if row.note else ""
    return f"{row.data}, {row.crop}: Dice {row.dice:.3f}, {distance}, n = {row.n}{note}"


def _entry(name: str, *texts: str) -> list[str]:
    """`name` and its texts, wrapped and one below the other; nothing where there is no text."""
    lines: list[str] = []
    for text in filter(None, texts):
        # A path or a checksum that is cut in two can no longer be copied.
        wrapped = textwrap.wrap(text, _WIDTH - _NAME, break_long_words=False, break_on_hyphens=False)
        lines += [
            f"{'' if lines else name:<{_NAME}}{line}" if i == 0 else " " * _NAME + line
            for i, line in enumerate(wrapped)
        ]
    return lines
