"""The run behind `petctfusion phantom --cohort`."""

from __future__ import annotations

import argparse
import json
import sys
import time

from petctfusion.cli.command import UsageError
from petctfusion.cli.exits import OK
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.phantom.breathing_cohort import BreathingSettings, make_breathing_cohort
from petctfusion.phantom.cohort import CohortSettings, make_cohort
from petctfusion.phantom.texture_cohort import make_texture_cohort


def make_all(args: argparse.Namespace) -> int:
    """Makes what is missing, prints the counts and the table's path."""
    _require_one_base(args)
    if args.anatomy is not None or args.measure or args.view != "whole-body":
        raise UsageError("--anatomy, --measure and --view are for a single phantom.", "Leave them out.")
    if args.jobs < 1:
        raise UsageError(f"--jobs is {args.jobs}.", "Give 1 or more.")
    started = time.monotonic()
    with ProgressDisplay() as display:

        def report(done: int, total: int) -> None:
            display.update(done, total, "simulate", (time.monotonic() - started) * (total - done) / done)

        if args.textures:
            cohort = make_texture_cohort(args.output, args.cohort, args.seed, args.jobs, report)
        elif args.breathing is None:
            settings = CohortSettings(args.cohort, args.seed, args.negatives)
            cohort = make_cohort(args.maps, args.output, settings, args.jobs, report)
        else:
            scan = None if args.chest is None else (args.chest, args.lungs)
            breathing = BreathingSettings(args.breathing, args.cohort, args.seed, scan)
            cohort = make_breathing_cohort(args.output, breathing, args.jobs, report)
    for one in cohort.skipped:
        print(f"warning: {one}", file=sys.stderr)
    if args.json:
        skipped = [{"name": o.member.name, "message": o.message, "hint": o.hint} for o in cohort.skipped]
        print(json.dumps({"table": str(cohort.table), "phantoms": len(cohort.made), "skipped": skipped}))
    else:
        print("\n".join([*cohort.lines, str(cohort.table)]))
    return OK


def _require_one_base(args: argparse.Namespace) -> None:
    if args.textures:
        others = ("breathing", "chest", "lungs", "maps")
        if any(getattr(args, name) is not None for name in others):
            raise UsageError("--textures goes with no other base of a cohort.", "Leave out the others.")
        return
    if args.breathing is None:
        if args.chest is not None or args.lungs is not None:
            raise UsageError("--chest and --lungs are for a cohort that breathes.", "Add --breathing igtv.")
        if args.maps is None:
            raise UsageError(
                "A cohort needs organ maps to be drawn around.", "Add --maps DIR, --breathing or --textures."
            )
    elif args.maps is not None:
        raise UsageError("A cohort that breathes takes no organ maps.", "Leave out --maps.")
    elif (args.chest is None) != (args.lungs is None):
        raise UsageError("--chest and --lungs belong together.", "Give both, or none.")
