"""What is said about a comparison: how its numbers are defined, the cells of its rows, the colors of the overlay."""

from __future__ import annotations

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.agreement_overlay import BOTH, COLOURS, REFERENCE_ALONE, SEGMENTATION_ALONE
from PETCTFusionSegLib.mrml.live import LiveRow
from PETCTFusionSegLib.mrml.live_tables import COMPUTING, distanceText


def definition() -> str:
    """How the numbers are defined."""
    return _(
        "Dice = 2|A and B| / (|A| + |B|). HD95: surfaces are mask voxels with a 6-neighbor outside (the image border "
        "counts as outside); distances between voxel centers in mm; the larger of the two directed 95th percentiles. "
        "NSD: part of both surfaces (by area) within the tolerance named above. Compared in physical space on the "
        "reference's grid."
    )


def cellTexts(row: LiveRow, outdated: bool = False) -> tuple[str, ...]:
    """Name, Dice, HD95, volume, reference volume and NSD; numbers that are not current any more are in brackets."""
    found = row.numbers
    if found is None or row.volume_ml is None:
        return (row.name, COMPUTING if row.state in ("computing", "empty") else row.state, "", "", "", "")
    texts = (
        f"{found.dice:.3f}",
        distanceText(found.hd95_mm),
        f"{row.volume_ml:.1f}",
        f"{found.reference_volume_ml:.1f}",
        f"{found.nsd:.3f}",
    )
    return (row.name, *(f"({text})" if outdated else text for text in texts))


def toleranceText(rows: list[LiveRow]) -> str:
    """The tolerances of the NSD in mm, as a rule one: it follows from the spacing of the reference."""
    found = {f"{row.numbers.nsd_tolerance_mm:.1f}" for row in rows if row.numbers is not None}
    return ", ".join(sorted(found))


def legend() -> list[tuple[str, str]]:
    """The overlay's colors (#rrggbb) and what they mean."""
    texts = {
        BOTH: _("in both"),
        SEGMENTATION_ALONE: _("only in the segmentation"),
        REFERENCE_ALONE: _("only in the reference"),
    }
    return [("#{:02x}{:02x}{:02x}".format(*COLOURS[key]), text) for key, text in texts.items()]
