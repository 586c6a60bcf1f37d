"""The command line: `petctfusion COMMAND ...`. Starts in no time: a command imports what it needs when it runs."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from petctfusion import __version__
from petctfusion.cli.command import CommandLike, Parser, UsageError, all_commands, find_command
from petctfusion.cli.exits import EPILOG, OK
from petctfusion.cli.failures import abandon, settle, tell

_ABOUT = "Tumour contouring on PET/CT with fusion networks. Research use only, not a medical device."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises and never shows a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminated_like_interrupted():
            try:
                code = _run(arguments)
            except SystemExit as stop:  # --help and --version leave this way, their text still in the buffer
                code = stop.code if isinstance(stop.code, int) else OK
            # Here, not at exit: a full disk behind a redirected stdout must be told and must not be success.
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # The reader (head, less) has enough.
        abandon(sys.stdout)
        return OK
    except BaseException as error:
        code = tell(error, "--json" in arguments)
        settle(sys.stdout)
        return code


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments and not arguments[0].startswith("-") else None
    if name is None:
        return _without_command(arguments)
    command = find_command(name)
    if command is None:
        names = ", ".join(command.name for command in all_commands())
        raise UsageError(f"There is no command {name!r}.", f"Commands: {names}.")
    parser = Parser(
        prog=f"petctfusion {name}",
        description=command.help,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.configure(parser)
    parser.set_defaults(command=name)
    return command.run(parser.parse_args(arguments[1:]))


def _without_command(arguments: list[str]) -> int:
    parser = Parser(
        prog="petctfusion",
        usage="petctfusion COMMAND [OPTIONS]",
        description=_ABOUT,
        epilog=f"{_command_list(all_commands())}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"petctfusion {__version__}")
    parser.parse_args(arguments)
    parser.print_help(sys.stderr)
    raise UsageError("A command is missing.", "For instance: petctfusion segment --help.")


def _command_list(commands: list[CommandLike]) -> str:
    width = max(len(command.name) for command in commands)
    lines = [f"  {command.name:<{width}}  {command.help}" for command in commands]
    return "\n".join(["commands (petctfusion COMMAND --help tells more):", *lines])


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that the worker is stopped and nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
