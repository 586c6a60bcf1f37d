"""The tables of the Compare section: segments, lesions, slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.comparing import Comparing
from PETCTFusionSegLib.workbench.comparison_details import ComparisonDetails, Front
from PETCTFusionSegLib.workbench.comparison_texts import cellTexts, definition, toleranceText

from .widgets import fillTable

_NSD_COLUMN = 5
_FRONTS: tuple[Front, ...] = ("", "lesions", "slices")


class SegmentTable:
    """A row for every segment."""

    def __init__(self, table: Any) -> None:
        self._table = table
        headers = [_("Segment"), _("Dice"), _("HD95\n(mm)"), _("Volume\n(ml)"), _("Reference\n(ml)"), _("NSD")]
        _prepareTable(table, headers)
        table.toolTip = definition()

    def fill(self, comparing: Comparing) -> None:
        """Show the rows of now."""
        rows = comparing.rows
        fillTable(self._table, [cellTexts(row, comparing.outdated) for row in rows], [definition()] * len(rows))
        tolerance = toleranceText(rows)
        if tolerance:
            self._table.horizontalHeaderItem(_NSD_COLUMN).setText(_("NSD\n({mm} mm)").format(mm=tolerance))

    @property
    def chosen(self) -> int:
        """The selected row, otherwise the first."""
        return max(int(self._table.currentRow()), 0)


class DetailTables:
    """Shows the tab that is in front; a click goes to the place."""

    def __init__(self, ui: Any, comparing: Comparing) -> None:
        self._tabs, self._comparing = ui.compareTabs, comparing
        self._lesionTable, self._sliceTable = ui.compareLesionTable, ui.compareSliceTable
        _prepareTable(
            self._lesionTable,
            [_("Segment"), _("Lesion"), _("Volume\n(ml)"), _("Reference\n(ml)"), _("Dice"), _("HD95\n(mm)")],
        )
        _prepareTable(self._sliceTable, [_("Position\n(mm)"), _("Dice"), _("Area\n(cm²)"), _("Reference\n(cm²)")])
        ui.compareTabs.connect("currentChanged(int)", self._onTab)
        for signal in ("cellClicked(int,int)", "cellActivated(int,int)"):
            self._lesionTable.connect(signal, _lineOf(comparing.goToLesion))
            self._sliceTable.connect(signal, _lineOf(comparing.goToSlice))

    def show(self, details: ComparisonDetails) -> None:
        """Show what is known now."""
        lesions = details.lesions
        fillTable(self._lesionTable, lesions, [_("Click to go to the lesion.")] * len(lesions))
        texts = [
            (f"{one.position_mm:.1f}", f"{one.dice:.3f}", f"{one.area_cm2:.2f}", f"{one.referenceArea_cm2:.2f}")
            for one in details.slices
        ]
        fillTable(self._sliceTable, texts, [_("The worst slice comes first. Click to go there.")] * len(texts))

    def _onTab(self, number: int) -> None:
        self._comparing.look(_FRONTS[number])


def _lineOf(function: Callable[[int], None]) -> Callable[[int, int], None]:
    return lambda line, _column: function(line)


def _prepareTable(table: Any, headers: list[str]) -> None:
    """Columns as wide as the panel allows, and no numbers before the rows."""
    import qt

    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(headers)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    table.verticalHeader().setVisible(False)
