"""What a command is, the built-in ones, and those that other packages add through an entry point."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn, Protocol, cast

from petctfusion.errors import FusionError, WorkerError

GROUP = "petctfusion.commands"
BUILT_IN = ("segment", "evaluate", "phantom", "lesson", "train", "benchmark", "models", "worker")


class UsageError(FusionError):
    """Arguments that make no sense."""

    kind = "usage"


class CommandLike(Protocol):
    """What an entry point of the group `petctfusion.commands` offers."""

    @property
    def name(self) -> str:
        """The word after `petctfusion`."""

    @property
    def help(self) -> str:
        """One line."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Does the work and returns the exit code; raises `FusionError`."""


@dataclass(frozen=True)
class Command:
    """A built-in command."""

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` instead of leaving the process, so that wrong arguments are told like any other failure."""

    def error(self, message: str) -> NoReturn:
        """See the class."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help.")


def find_command(name: str) -> CommandLike | None:
    """The command of that name, or None. Only the code of this one command is imported."""
    if name in BUILT_IN:
        return _built_in(name)
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    return _loaded(found[0]) if found else None


def all_commands() -> list[CommandLike]:
    """Every command, built-in ones first. An extension that cannot be loaded is listed with the reason."""
    commands = [_built_in(name) for name in BUILT_IN]
    extensions = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return commands + [_loaded_or_told(point) for point in extensions]


def _built_in(name: str) -> CommandLike:
    return cast(CommandLike, import_module(f"petctfusion.cli.{name}").command)


def _loaded(point: EntryPoint) -> CommandLike:
    try:
        return cast(CommandLike, point.load())
    except Exception as error:
        # An extension may fail in any way on import; the built-in commands must not go down with it.
        raise WorkerError(
            f"The command {point.name} cannot be loaded: {type(error).__name__}: {error}.",
            "Install petctfusion again, with its extra parts: pip install 'petctfusion[slicer]'.",
        ) from error


def _loaded_or_told(point: EntryPoint) -> CommandLike:
    try:
        return _loaded(point)
    except WorkerError as error:
        return Command(point.name, f"(not usable: {error.message})", _no_arguments, _not_usable)


def _no_arguments(_parser: argparse.ArgumentParser) -> None:
    """An extension that cannot be loaded has none."""


def _not_usable(args: argparse.Namespace) -> int:
    raise WorkerError(f"The command {args.command} cannot be loaded.")
