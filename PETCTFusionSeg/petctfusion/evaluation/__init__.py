"""Cohorts of predictions against references: paired by name, evaluated in parallel, summed up and reported.

pairs -> case (one pair: read, compare) -> cohort (many, in processes) -> report -> csv_table, page (with plots)
"""

from petctfusion.evaluation.case import Evaluation, Failure, Settings, evaluate_pair
from petctfusion.evaluation.cohort import evaluate_cohort
from petctfusion.evaluation.csv_table import csv_text
from petctfusion.evaluation.page import html_page
from petctfusion.evaluation.pairs import Pair, cohort_pairs, is_cohort, single_pair
from petctfusion.evaluation.report import Report
from petctfusion.evaluation.statistics import Summary, bland_altman, bootstrap_interval, summarise

__all__ = [
    "Evaluation",
    "Failure",
    "Pair",
    "Report",
    "Settings",
    "Summary",
    "bland_altman",
    "bootstrap_interval",
    "cohort_pairs",
    "csv_text",
    "evaluate_cohort",
    "evaluate_pair",
    "html_page",
    "is_cohort",
    "single_pair",
    "summarise",
]
