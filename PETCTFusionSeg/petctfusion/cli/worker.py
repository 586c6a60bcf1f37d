"""`petctfusion worker`: the background worker on stdin and stdout, for instance behind ssh."""

from __future__ import annotations

import argparse

from petctfusion.cli.command import Command
from petctfusion.cli.exits import OK


def configure(parser: argparse.ArgumentParser) -> None:
    """No options: all is said over the protocol."""
    parser.description = (
        "Serves requests, one JSON object per line on stdin, answers on stdout, until stdin ends. "
        "Meant to be started by a program (Slicer, petctfusion segment), not by hand."
    )


def run(_args: argparse.Namespace) -> int:
    """Serves until stdin ends."""
    from petctfusion.worker.__main__ import main

    main()
    return OK


command = Command("worker", "Run the background worker on stdin and stdout.", configure, run)
