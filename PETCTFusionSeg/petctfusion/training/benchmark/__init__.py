"""The table of the sarcoma patients: networks beside SUV rules and a blind ellipsoid, the whole pipeline on both crops.

study -> system (train) -> cohort (rows) -> run (one JSON) -> runs (read) -> comparison (tests) -> table, page
No torch at import.
"""

from petctfusion.training.benchmark.cohort import measure_baselines, measure_cohort, measure_method, measure_model
from petctfusion.training.benchmark.row import NSD_TOLERANCE_MM, Row, row_of
from petctfusion.training.benchmark.rules import BLIND
from petctfusion.training.benchmark.study import Study, load_studies
from petctfusion.training.benchmark.summary import (
    Summary,
    card_rows,
    patient_table,
    summarise,
    summary_table,
    write_rows,
)
from petctfusion.training.benchmark.system import Facts, Method, Order, System

__all__ = [
    "BLIND",
    "NSD_TOLERANCE_MM",
    "Facts",
    "Method",
    "Order",
    "Row",
    "Study",
    "Summary",
    "System",
    "card_rows",
    "load_studies",
    "measure_baselines",
    "measure_cohort",
    "measure_method",
    "measure_model",
    "patient_table",
    "row_of",
    "summarise",
    "summary_table",
    "write_rows",
]
