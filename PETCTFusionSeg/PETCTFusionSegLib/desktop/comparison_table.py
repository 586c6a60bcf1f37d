"""The table of segments against the reference: what its cells say, and which of its rows is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live import LiveRow
from PETCTFusionSegLib.mrml.live_tables import COMPUTING, distanceText

from .widgets import fillTable

_NSD_COLUMN = 5


def definition() -> str:
    """How the numbers are defined; the tooltip of the table."""
    return _(
        "Dice = 2|A and B| / (|A| + |B|). HD95: surfaces are mask voxels with a 6-neighbor outside (the image border "
        "counts as outside); distances between voxel centers in mm; the larger of the two directed 95th percentiles. "
        "NSD: part of both surfaces (by area) within the tolerance named above. Compared in physical space on the "
        "reference's grid."
    )


def cellTexts(row: LiveRow, outdated: bool = False) -> tuple[str, ...]:
    """The cells of a row; numbers that are not current any more are in brackets."""
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


class SegmentTable:
    """A row for every segment."""

    def __init__(self, table: Any) -> None:
        self._table = table
        headers = [_("Segment"), _("Dice"), _("HD95\n(mm)"), _("Volume\n(ml)"), _("Reference\n(ml)"), _("NSD")]
        prepareTable(table, headers)
        table.toolTip = definition()

    def fill(self, rows: Sequence[LiveRow], outdated: bool) -> None:
        """Show these rows."""
        fillTable(self._table, [cellTexts(row, outdated) for row in rows], [definition()] * len(rows))
        # As a rule one: it follows from the spacing of the reference.
        tolerances = {f"{row.numbers.nsd_tolerance_mm:.1f}" for row in rows if row.numbers is not None}
        if tolerances:
            text = _("NSD\n({mm} mm)").format(mm=", ".join(sorted(tolerances)))
            self._table.horizontalHeaderItem(_NSD_COLUMN).setText(text)

    def chosen(self, rows: Sequence[LiveRow]) -> LiveRow | None:
        """The selected one of the rows, otherwise the first; None without numbers."""
        number = max(self._table.currentRow(), 0)
        return rows[number] if number < len(rows) and rows[number].numbers is not None else None


def prepareTable(table: Any, headers: Sequence[str]) -> None:
    """Columns as wide as the panel allows, and no numbers before the rows."""
    import qt

    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(list(headers))
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    table.verticalHeader().setVisible(False)
