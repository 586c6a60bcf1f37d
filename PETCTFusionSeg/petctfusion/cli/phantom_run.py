"""The run behind `petctfusion phantom`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from petctfusion.cli.command import UsageError
from petctfusion.cli.outputs import OutputFolder
from petctfusion.phantom import PhantomSettings, make_phantom, sarcoma_settings, write_phantom


def make(args: argparse.Namespace) -> tuple[dict[str, str], list[str]]:
    """Paths of the files by what they are, and the lines of the measured quality (empty without --measure)."""
    settings = _settings(args)
    with OutputFolder(args.output) as output:
        print(f"Simulating the {args.view} view, seed {args.seed} ...", file=sys.stderr, flush=True)
        phantom = make_phantom(settings)
        quality: list[str] = []
        if args.measure:
            from petctfusion.phantom.quality import measure_quality

            print("Measuring its image quality ...", file=sys.stderr, flush=True)
            quality = list(measure_quality(settings).lines())
        written = write_phantom(phantom, output.staging)
        output.commit()
    return {name: str(output.folder / path.name) for name, path in written.items()}, quality


def _settings(args: argparse.Namespace) -> PhantomSettings:
    if args.seed < 0:
        raise UsageError(f"The seed is {args.seed}.", "Give 0 or more.")
    if args.view == "whole-body":
        return PhantomSettings(seed=args.seed, anatomy=args.anatomy)
    return replace(sarcoma_settings(args.seed, args.view), anatomy=args.anatomy)
