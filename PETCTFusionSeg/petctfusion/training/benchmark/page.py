"""All finished runs as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape

from petctfusion.evaluation.case import Settings
from petctfusion.evaluation.definitions import definitions
from petctfusion.evaluation.html import definition_list, document, figures, row, section, table
from petctfusion.training.benchmark.comparison import Comparison
from petctfusion.training.benchmark.plot import dice_figure
from petctfusion.training.benchmark.row import NSD_TOLERANCE_MM
from petctfusion.training.benchmark.table import Table, line_rows, tables

_TITLE = "Networks on PET/CT of soft-tissue sarcoma"


def page(comparison: Comparison) -> str:
    """The page as text. Only what was run is in it, good or bad."""
    lines = comparison.lines
    first, *others = (section(one.title, _body(one)) for one in tables(comparison))
    rows = "".join(f"<h3>{escape(one.title)}</h3>{_body(one)}" for one in (line_rows(line) for line in lines))
    return document(
        _TITLE,
        [
            f"<h1>{_TITLE}</h1>",
            _introduction(comparison),
            section("Dice", f'<div style="max-width: 56rem">{figures([dice_figure(lines)])}</div>'),
            first,
            *others,
            section("Every row", rows),
            section("What the numbers mean", definition_list(_definitions())),
            '<p class="quiet">For research; not a medical device.</p>',
        ],
    )


def _introduction(comparison: Comparison) -> str:
    data = comparison.runs.data
    kept = "are kept aside: nothing here was learned or chosen on them"
    if data.split != "validation":
        kept = "thresholds and smallest lesions were chosen on: no result of unseen patients"
    return (
        f"<p>{len(comparison.lines)} methods from {len(comparison.runs.runs)} runs on {len(data.patients)} "
        f"{data.split} patients of the Soft-tissue-Sarcoma collection, which {kept}. Each volume is the tumour's box "
        "plus 5 cm, which gives its place away; so everything is measured twice: as it is, and re-cropped with random "
        "margins of 5 to 50 mm. The whole way runs from the files on disk to the mask on the CT grid; the reference is "
        "CT_GTV. Only what was run is listed, and everything that was.</p>"
    )


def _body(one: Table) -> str:
    notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in one.notes)
    return notes + table(one.headings, (row(cells, one.words) for cells in one.rows), one.words)


def _definitions() -> list[tuple[str, str]]:
    wanted = ("Dice", "HD95", "NSD", "FPV, FNV", "Lesions")
    found = [item for item in definitions(Settings(tolerance_mm=NSD_TOLERANCE_MM), ()) if item[0] in wanted]
    return [
        *found,
        ("Volume error", "|volume - reference| / reference, the mean over patients."),
        (
            "Seconds a case",
            "wall time from CT and PET in memory to the mask on the CT grid, on the machine named with the run; other "
            "programs may have run beside it.",
        ),
        (
            "Blind ellipsoid",
            "the ellipsoid inscribed in the field of view less the mean margin of the crop: it looks at no image.",
        ),
        ("Located rules", "of the voxels above the threshold, only the connected parts that touch the reference."),
        ("95 % of the mean", "patients drawn with replacement 2000 times, 2.5th and 97.5th percentile."),
    ]
