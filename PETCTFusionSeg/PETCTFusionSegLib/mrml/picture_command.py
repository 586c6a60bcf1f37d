"""`petctfusion picture`: a PNG of a result, and the result as .seg.nrrd; added to the command line by entry point.

Nothing heavy is imported here: `petctfusion --help` loads this file.
"""

from __future__ import annotations

import argparse
from pathlib import Path


class PictureCommand:
    """What the command line needs of a command: a name, a help line, its arguments, and the run."""

    name = "picture"
    help = "draw a result over CT and PET as a PNG, and write it as a Slicer segmentation (.seg.nrrd)"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--ct", required=True, type=Path, metavar="FILE", help="CT volume (file or DICOM folder)")
        parser.add_argument("--pet", required=True, type=Path, metavar="FILE", help="PET volume (file or DICOM folder)")
        parser.add_argument(
            "--pet-units", default="auto", choices=("auto", "suvbw", "bqml"), help="units of the PET (default: auto)"
        )
        parser.add_argument("--segmentation", required=True, type=Path, metavar="FILE", help="label map of the result")
        parser.add_argument("--reference", type=Path, metavar="FILE", help="label map to compare with")
        parser.add_argument("--output", required=True, type=Path, metavar="PNG", help="picture to write")
        parser.add_argument("--seg-nrrd", type=Path, metavar="FILE", help="also write the result as .seg.nrrd")
        parser.add_argument("--title", default="PET/CT tumour contour", help="words above the picture")

    def run(self, args: argparse.Namespace) -> int:
        """Draw, write, and say in one line each what was written; 0 when all is there."""
        from .picture_run import run

        return run(args)


command = PictureCommand()
