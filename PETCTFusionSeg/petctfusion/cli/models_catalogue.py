"""`petctfusion models catalogue` and `download`: public weights, and how one of them becomes a model here."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.cli.command import UsageError
from petctfusion.cli.exits import OK
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.errors import CancelledError

if TYPE_CHECKING:
    from petctfusion.models import InstalledModel
    from petctfusion.models.catalogue import CatalogueEntry

_MB = 1_000_000
_WIDTH = 118


def configure_list(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion models catalogue`."""
    _add_catalogue(parser)


def configure_download(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion models download`."""
    parser.add_argument("name", help="a name of the catalogue")
    parser.add_argument("--accept-licence", action="store_true", help="do not ask whether you accept its licence")
    parser.add_argument("--folds", nargs="+", metavar="FOLD", help="folds to average (default: all; one is quicker)")
    _add_catalogue(parser)


def _add_catalogue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="a catalogue of your own (JSON)")


def run_list(args: argparse.Namespace) -> int:
    """Prints every entry with what is known of it, and how surely."""
    from petctfusion.models.catalogue import read_catalogue

    entries = read_catalogue(args.catalogue)
    if args.json:
        print(json.dumps([asdict(entry) for entry in entries]))
        return OK
    for entry in entries:
        print(f"{_told(entry)}\n")
    print("Download one with 'petctfusion models download NAME'; it is then a model like any other.")
    return OK


def run_download(args: argparse.Namespace) -> int:
    """Downloads and installs one entry; says so and does nothing where it is installed and whole."""
    from petctfusion.models.catalogue import find_entry
    from petctfusion.models.download import install, installed

    entry = find_entry(args.name, args.catalogue)
    model = installed(entry)
    is_new = model is None
    if model is None:
        _settle_licence(entry, args)
        try:
            with ProgressDisplay() as display:
                model = install(
                    entry,
                    lambda folder, sha256: _add(entry, folder, sha256, args.folds),
                    lambda stage, *values: _show(display, stage, *values),
                )
        except KeyboardInterrupt:
            raise _stopped(entry, args) from None
    if args.json:
        answer = {"name": model.name, "version": model.version, "licence": model.card.licence}
        print(json.dumps({**answer, "folder": str(model.folder), "downloaded": is_new}))
    elif is_new:
        print(f"{model.reference} is installed in {model.folder}. Licence: {model.card.licence}.")
    else:
        print(f"{model.reference} is installed already, and its weights are those of its card (sha256).")
    return OK


def _show(display: ProgressDisplay, stage: str, done: int, total: int, eta_s: float | None) -> None:
    unit = 1 if stage == "convert" else _MB
    display.update(done // unit, total // unit, stage, eta_s)


def _add(entry: CatalogueEntry, folder: Path, sha256: str, folds: list[str] | None) -> InstalledModel:
    from petctfusion.models import add_model
    from petctfusion.models.foreign import ForeignChoices, foreign_kind

    if foreign_kind(folder) is None:
        return add_model(folder)
    from petctfusion.inference.foreign import add_foreign

    chosen = tuple(folds) if folds else None
    return add_foreign(folder, ForeignChoices(entry.name, entry.channels, chosen, entry.provenance(sha256)))


def _settle_licence(entry: CatalogueEntry, args: argparse.Namespace) -> None:
    """Shows what will be downloaded and under which licence; raises where that is not accepted."""
    from petctfusion.models.download import kept_bytes

    print(_told(entry), file=sys.stderr)
    if kept := kept_bytes(entry):
        print(f"Going on after {_size(kept)} of an earlier download.", file=sys.stderr)
    if args.accept_licence or not entry.url:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"The licence of {entry.name} ({entry.stated_licence}) has not been accepted.",
            "Read it and add --accept-licence.",
        )
    print(f"Do you accept the licence {entry.stated_licence}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CancelledError("Nothing was downloaded: the licence was not accepted.")


def _stopped(entry: CatalogueEntry, args: argparse.Namespace) -> CancelledError:
    from petctfusion.models.download import kept_bytes

    words = ["petctfusion models download", entry.name, "--accept-licence"]
    words += ["--folds", *args.folds] if args.folds else []
    words += ["--catalogue", str(args.catalogue)] if args.catalogue else []
    return CancelledError(f"Stopped; {_size(kept_bytes(entry))} are kept.", f"Go on with: {' '.join(words)}")


def _told(entry: CatalogueEntry) -> str:
    size = "size not known" if entry.bytes is None else _size(entry.bytes)
    checksum = f"MD5 {entry.md5}" if entry.md5 else "none published; the first download's sha256 is kept to compare"
    known = "" if entry.verified else "NOT VERIFIED. "
    facts = {
        "Licence": entry.stated_licence,
        "Trained on": entry.data,
        "Cite": entry.citation,
        "Needs": f"{' and '.join(entry.channels)}; pip install '.[networks]'",
        "Runs here": entry.runs,
        "From": f"{entry.page}, {size}" + ("" if entry.url else "; to be fetched by hand"),
        "Checksum": checksum,
        "Known from": f"{known}{entry.evidence}",
    }
    return "\n".join([f"{entry.name}: {entry.title}", *(_wrapped(name, text) for name, text in facts.items())])


def _wrapped(name: str, text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=f"  {name:<11}", subsequent_indent=" " * 13, break_long_words=False
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
