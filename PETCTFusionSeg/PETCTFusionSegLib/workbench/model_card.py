"""A model's card as the panel shows it: what it marks, what it was trained on, how well it did, and its limits."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from petctfusion.models import InstalledModel, MetricRow
from PETCTFusionSegLib.i18n import _


def cardHtml(model: InstalledModel) -> str:
    """The card as a short rich text."""
    card = model.card
    parts = [
        (_("Marks"), [", ".join(label.name for label in card.labels)]),
        (_("Needs"), [" + ".join(card.modalities)]),
        (_("Mean of"), _members(model)),
        (_("Trained on"), [card.training.data]),
        (
            _("Measured"),
            [_measured(row) for row in card.metrics] or [_("nothing: try it on contours of your own first")],
        ),
        (_("Threshold"), [f"{card.threshold:g}"]),
        (_("Not for"), list(card.not_for)),
        (_("Licence"), [card.licence]),
    ]
    return "".join([f"<b>{escape(card.title)}</b> ({escape(model.reference)})", *(_part(*part) for part in parts)])


def cardTooltip(model: InstalledModel) -> str:
    """What a model is, what an ensemble is made of, and what it must not be used for."""
    members = _members(model)
    mean = [_("The mean of {members}.").format(members=", ".join(members))] if members else []
    return "\n".join([f"{model.card.title} ({model.reference})", *mean, _("Not for:"), *model.card.not_for])


def _members(model: InstalledModel) -> list[str]:
    text = _("{model} (weight {weight})")
    return [text.format(model=member.reference, weight=f"{member.weight:g}") for member in model.card.members]


def _measured(row: MetricRow) -> str:
    distance = _("no HD95") if row.hd95_mm is None else _("HD95 {mm} mm").format(mm=f"{row.hd95_mm:.1f}")
    where = ", ".join(part for part in (row.data, row.crop) if part)
    text = _("Dice {dice}, {distance} on {count} patients ({where})")
    return text.format(dice=f"{row.dice:.2f}", distance=distance, count=row.n, where=where)


def _part(name: str, texts: Iterable[str]) -> str:
    """A name and its texts, one a line; nothing where there is no text."""
    lines = [escape(text) for text in texts if text]
    return f"<br><b>{escape(name)}:</b> {'<br>&nbsp;&nbsp;'.join(lines)}" if lines else ""
