"""`petctfusion models`: list, show, verify, add, remove, ensemble, catalogue, download, networks, cost, windows."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from petctfusion.cli import models_catalogue, models_cost, models_ensemble, models_networks, models_windows
from petctfusion.cli.command import Command
from petctfusion.cli.exits import OK
from petctfusion.cli.models_text import card_text, listed
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.errors import BadInputError, ModelError

if TYPE_CHECKING:
    from petctfusion.models import InstalledModel


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion models`."""
    parser.add_argument("--json", action="store_true", help="print JSON on stdout instead of text")
    actions = parser.add_subparsers(
        dest="action",
        required=True,
        metavar="list|show|info|verify|add|remove|ensemble|catalogue|download|networks|cost|windows",
    )
    _action(actions, "list", "name, network, modalities, origin and licence of every usable model")
    for name in ("show", "info"):
        card = _action(actions, name, "the card of one model: network, data, licence, limits, checksum")
        card.add_argument("model", help="name, name@version or folder")
    verify = _action(actions, "verify", "check the weights against the card's sha256")
    verify.add_argument("model", nargs="?", help="name, name@version or folder (default: all)")
    _configure_add(_action(actions, "add", "install a model folder or zip: ours, of nnU-Net v2, or a MONAI bundle"))
    _action(actions, "remove", "remove one of your own models").add_argument("model", help="name or name@version")
    models_ensemble.configure(_action(actions, "ensemble", "join installed models: the mean of their probabilities"))
    models_catalogue.configure_list(_action(actions, "catalogue", "public weights that can be downloaded"))
    models_catalogue.configure_download(_action(actions, "download", "download and install one of the catalogue"))
    _action(actions, "networks", "every network that can be built: size, modalities, dimensions, paper")
    models_cost.configure(_action(actions, "cost", "parameters, multiply-accumulates, memory and seconds of a window"))
    models_windows.configure(_action(actions, "windows", "where training moved the windows of a model's zero layers"))


def _configure_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder, or a .zip that holds one")
    made_elsewhere = parser.add_argument_group("for models made elsewhere")
    made_elsewhere.add_argument("--name", help="the name to install it under (default: made from its data set's)")
    made_elsewhere.add_argument(
        "--channels", nargs="+", choices=("CT", "PET"), help="what its channels are, where their names do not say so"
    )
    made_elsewhere.add_argument(
        "--folds", nargs="+", metavar="FOLD", help="folds of nnU-Net to average (default: all; one is quicker)"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the answer of one action; raises `FusionError`."""
    actions = {"list": _list, "show": _show, "info": _show, "verify": _verify, "add": _add, "remove": _remove}
    actions |= {"catalogue": models_catalogue.run_list, "download": models_catalogue.run_download}
    actions |= {"ensemble": models_ensemble.run}
    actions |= {"networks": models_networks.run, "cost": models_cost.run, "windows": models_windows.run}
    return actions[args.action](args)


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    # SUPPRESS: without it a --json given before the action would be reset here.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead of text")
    return parser


def _list(args: argparse.Namespace) -> int:
    from petctfusion.models import damaged_models, list_models

    models = list_models()
    for damaged in damaged_models():
        print(f"warning: {damaged.folder} cannot be used: {damaged.error}", file=sys.stderr)
    if args.json:
        print(json.dumps([_summary(model) for model in models]))
    elif models:
        print(listed(models))
    else:
        print("No model is installed.")
    return OK


def _show(args: argparse.Namespace) -> int:
    from petctfusion.models import find_model

    model = find_model(args.model)
    card = model.card
    if args.json:
        print(json.dumps({**_summary(model), "card": card.to_json()}))
        return OK
    print(card_text(model))
    return OK


def _verify(args: argparse.Namespace) -> int:
    from petctfusion.models import damaged_models, find_model, list_models

    models = list_models() if args.model is None else [find_model(args.model)]
    failures = [(broken.folder, broken.error) for broken in damaged_models()] if args.model is None else []
    failures += [(model.folder, error) for model in models if (error := _failure(model))]
    damaged = {folder for folder, _ in failures}
    whole = [model for model in models if model.folder not in damaged]
    if args.json and not failures:
        print(json.dumps([{**_summary(model), "sha256": model.card.sha256, "ok": True} for model in whole]))
    elif not args.json:
        for model in whole:
            print(f"{model.reference}  sha256 {model.card.sha256}  as its card says")
        for folder, failure in failures[1:]:
            print(f"{folder}  damaged: {failure}")
    if failures:
        raise failures[0][1]
    return OK


def _failure(model: InstalledModel) -> ModelError | None:
    from petctfusion.models import verify

    try:
        verify(model.folder)
    except ModelError as error:
        return error
    return None


def _add(args: argparse.Namespace) -> int:
    from petctfusion.models.unpacked import unpacked_model

    if not args.folder.is_file():
        return _add_folder(args, args.folder)
    with ProgressDisplay() as display:

        def report(done: int, total: int) -> None:
            display.update(done // 10**6, total // 10**6, "unpack")

        with unpacked_model(args.folder, report) as folder:
            return _add_folder(args, folder)


def _add_folder(args: argparse.Namespace, folder: Path) -> int:
    from petctfusion.models import add_model
    from petctfusion.models.foreign import ForeignChoices, foreign_kind

    if foreign_kind(folder) is None:
        if args.name or args.channels or args.folds:
            raise BadInputError(
                f"{args.folder} holds no model made elsewhere; --name, --channels and --folds do not apply.",
                "Leave them out, or choose a result folder of nnU-Net v2 or a MONAI bundle.",
            )
        model = add_model(folder)
    else:
        from petctfusion.inference.foreign import add_foreign

        channels, folds = (tuple(values) if values else None for values in (args.channels, args.folds))
        model = add_foreign(folder, ForeignChoices(args.name, channels, folds))
    if args.json:
        print(json.dumps(_summary(model)))
        return OK
    print(f"{model.reference} is installed in {model.folder}.")
    print(f"{model.card.title}. Licence: {model.card.licence}.")
    return OK


def _remove(args: argparse.Namespace) -> int:
    from petctfusion.models import remove_model

    folder = remove_model(args.model)
    print(json.dumps({"removed": str(folder)}) if args.json else f"{folder} is removed.")
    return OK


def _summary(model: InstalledModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "title": model.card.title,
        "network": model.card.network,
        "modalities": list(model.card.modalities),
        "licence": model.card.licence,
        "shipped": model.shipped,
        "folder": str(model.folder),
    }


command = Command(
    "models", "List, show, verify, add and remove models; list networks and what they cost.", configure, run
)
