"""`petctfusion view`: the workbench in a browser; added to the command line by entry point.

Nothing heavy is imported here: `petctfusion --help` loads this file.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


class ViewCommand:
    """What the command line needs of a command: a name, a help line, its arguments, and the run."""

    name = "view"
    help = "open the workbench in a browser: look, segment, draw, compare, deliver; no Slicer needed"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        study = parser.add_argument_group("what is opened (without any of these the page waits for files)")
        study.add_argument("--ct", type=Path, metavar="FILE", help="CT volume (file or DICOM folder)")
        study.add_argument("--pet", type=Path, metavar="FILE", help="PET volume (file or DICOM folder)")
        study.add_argument("--pet-units", default="auto", choices=("auto", "suvbw", "bqml"), help="default: auto")
        study.add_argument("--mr", type=Path, metavar="FILE", help="additional volume")
        study.add_argument("--reference", type=Path, metavar="FILE", help="contour to compare with")
        study.add_argument("--segmentation", type=Path, metavar="FILE", help="result to show and edit")
        study.add_argument(
            "--dicom",
            type=Path,
            metavar="FOLDER",
            help="folder with the CT and PET series of a study, and its RTSTRUCT",
        )
        study.add_argument("--phantom", action="store_true", help="a simulated patient")
        study.add_argument("--seed", type=int, metavar="N", help="which simulated patient")
        study.add_argument(
            "--teach", nargs="?", const="", metavar="FILE", help="a lesson: the shipped one, or an instructor's file"
        )
        study.add_argument("--device", default="auto", metavar="NAME", help="where the network runs (default: auto)")
        server = parser.add_argument_group("server")
        server.add_argument(
            "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this computer alone)"
        )
        server.add_argument("--port", type=int, metavar="N", help="port to listen at; 0: any free one")
        server.add_argument(
            "--token",
            default=os.environ.get("PETCTFUSION_TOKEN"),
            help="secret in the address (default: $PETCTFUSION_TOKEN, otherwise a new one at every start)",
        )
        server.add_argument("--no-browser", action="store_true", help="only print the address")
        server.add_argument("--sessions", type=int, default=4, metavar="N", help="most visitors at a time (default: 4)")
        server.add_argument(
            "--idle-minutes",
            type=float,
            default=30.0,
            metavar="N",
            help="a session that nobody is connected to ends after this time (default: 30)",
        )
        server.add_argument(
            "--max-upload-mb", type=int, default=1024, metavar="N", help="largest upload (default: 1024)"
        )

    def run(self, args: argparse.Namespace) -> int:
        """Serve until Ctrl-C; 0 then."""
        from .command_run import run

        return run(args)


command = ViewCommand()
