"""Exit codes: one per kind of failure, the same for every command."""

from __future__ import annotations

OK = 0
INTERNAL = 1
USAGE = 2
BAD_INPUT = 3
MODEL = 4
DEVICE = 5
OUT_OF_MEMORY = 6
OUTPUT = 7
PARTLY = 8
CANCELLED = 130

_OF_KIND = {
    "internal": INTERNAL,
    "usage": USAGE,
    "bad_input": BAD_INPUT,
    "model": MODEL,
    "device": DEVICE,
    "out_of_memory": OUT_OF_MEMORY,
    "output": OUTPUT,
    "cancelled": CANCELLED,
}

EPILOG = """\
exit codes:
  0    done
  1    internal error (the log file is named)
  2    wrong arguments
  3    bad input: a volume, mask or recipe that cannot be used
  4    model missing, damaged or not understood
  5    device missing or unusable
  6    out of memory
  7    output could not be written (disk full, no permission)
  8    part of the work failed and is listed (evaluate: some patients); the rest was done
  130  cancelled (Ctrl-C)

With --json the result is one JSON object on stdout, and so is a failure:
{"error": {"kind": ..., "message": ..., "hint": ...}}. Progress and warnings go to stderr.
"""


def exit_code(kind: str) -> int:
    """The exit code of an error kind; an unknown kind counts as internal."""
    return _OF_KIND.get(kind, INTERNAL)
