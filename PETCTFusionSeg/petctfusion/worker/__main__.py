"""`python -m petctfusion.worker`: stdout becomes the protocol's alone before any library can print to it."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Serve until `bye` or until stdin ends."""
    protocol_fd = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt

        # A frame's bytes are no text: without this 0x1A ends the input and 0x0A grows.
        msvcrt.setmode(0, os.O_BINARY)
        msvcrt.setmode(protocol_fd, os.O_BINARY)
    elif os.getsid(0) != os.getpid() and os.getpgrp() != os.getpid():
        # Leading its own group, the worker can be ended together with its children.
        os.setsid()
    from petctfusion.worker.server import serve

    serve(protocol_fd)


if __name__ == "__main__":
    main()
