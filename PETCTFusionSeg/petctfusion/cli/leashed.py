"""`python -m petctfusion.cli.leashed ...`: the command line on a leash, for programs that start it.

It ends when its stdin ends. Whoever started it can so stop it through any launcher in between, and does not leave a
download behind when it dies itself.
"""

from __future__ import annotations

import os
import sys
import threading

from petctfusion.cli import main
from petctfusion.cli.exits import CANCELLED


def _watch() -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    os._exit(CANCELLED)


if __name__ == "__main__":
    threading.Thread(target=_watch, name="leash", daemon=True).start()
    sys.exit(main())
