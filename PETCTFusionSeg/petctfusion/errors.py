"""Errors with a kind, one sentence that says what is wrong, and a hint that says what to do.

The kinds are those of the worker protocol; the command line maps each to an exit code.
"""

from __future__ import annotations

from typing import ClassVar


class FusionError(Exception):
    """Base of every expected failure. `message` says what is wrong, `hint` what to do about it."""

    kind: ClassVar[str] = "internal"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInputError(FusionError):
    """A volume, mask, recipe or option that cannot be used as it is."""

    kind = "bad_input"


class ModelError(FusionError):
    """A model folder that is missing, damaged or not understood."""

    kind = "model"


class DeviceError(FusionError):
    """A device that does not exist or cannot be used."""

    kind = "device"


class OutOfMemoryError(FusionError):
    """Not enough memory, even after every step of the memory ladder."""

    kind = "out_of_memory"


class CancelledError(FusionError):
    """The user asked to stop."""

    kind = "cancelled"


class OutputError(FusionError):
    """The result could not be written: a full disk or a folder without permission."""

    kind = "output"


class WorkerError(FusionError):
    """The background worker died or answered what the protocol does not know."""

    kind = "internal"


_KINDS: dict[str, type[FusionError]] = {
    error.kind: error
    for error in (WorkerError, BadInputError, ModelError, DeviceError, OutOfMemoryError, CancelledError, OutputError)
}


def error_of_kind(kind: str, message: str, hint: str = "") -> FusionError:
    """The exception class for a protocol `kind`; an unknown kind becomes a `WorkerError`."""
    return _KINDS.get(kind, WorkerError)(message, hint)
