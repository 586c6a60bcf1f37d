"""The run of `petctfusion view`: what was asked for is checked, the gateway started, the browser opened."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _

from .start import SessionStart

TESTING_VARIABLE = "PETCTFUSION_WEB_TESTING"
_PACKAGES = ("aiohttp", "trame", "trame_slicer", "trame_vuetify", "trame_rca")
_FILES = ("ct", "pet", "mr", "reference", "segmentation")


def run(args: argparse.Namespace) -> int:
    """Returns 0 after Ctrl-C, raises `FusionError` before anything is started."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInputError(
            _("The browser workbench is not installed: {names} is missing.").format(names=", ".join(missing)),
            _('Install it with: pip install "petctfusion[web]".'),
        )
    start = startOf(args)
    # Here: without the packages nothing of the gateway can be imported.
    from .gateway.run import serve
    from .gateway.settings import GatewaySettings

    settings = GatewaySettings(
        start=start,
        host=args.host,
        port=args.port,
        sessions=args.sessions,
        idleS=60.0 * args.idle_minutes,
        uploadBytes=args.max_upload_mb << 20,
        testing=os.environ.get(TESTING_VARIABLE) == "1",
    )
    if args.token is not None:
        settings = replace(settings, token=args.token)
    return serve(settings, openBrowser=not args.no_browser)


def startOf(args: argparse.Namespace) -> SessionStart:
    """What a session begins with. Raises `BadInputError` for what contradicts itself or is not there."""
    given = {name: getattr(args, name) for name in _FILES if getattr(args, name) is not None}
    kinds = {
        "--teach": args.teach is not None,
        "--phantom": args.phantom,
        "--dicom": args.dicom is not None,
        "--ct / --pet": "ct" in given or "pet" in given,
    }
    chosen = [name for name, wanted in kinds.items() if wanted]
    if len(chosen) > 1:
        raise BadInputError(_("{a} and {b} exclude each other.").format(a=chosen[0], b=chosen[1]), _("Give one."))
    if args.seed is not None and not args.phantom:
        raise BadInputError(_("--seed belongs to --phantom."), _("Add --phantom."))
    if given and "ct" not in given and args.dicom is None:
        raise BadInputError(_("A CT is missing: it is what the views are built around."), _("Add --ct FILE."))
    files = {name: _checked(path) for name, path in given.items()}
    if args.dicom is not None:
        files |= _dicomPair(args.dicom)
    lesson = _checked(Path(args.teach), volume=False) if args.teach else None
    if lesson is not None:
        from petctfusion.teaching.lesson_file import read_lesson

        read_lesson(lesson)
    return SessionStart(
        folder=Path(),
        **files,
        petUnits=args.pet_units,
        phantomSeed=(7 if args.seed is None else args.seed) if args.phantom else None,
        teaching=args.teach is not None,
        lesson=lesson,
        device=args.device,
    )


def _checked(path: Path, volume: bool = True) -> Path:
    """The absolute path of something that can be opened; nothing of it is read."""
    try:
        found = path.expanduser().resolve()
        if not found.exists():
            raise BadInputError(_("{path} does not exist.").format(path=path), _("Check the path."))
        if not os.access(found, os.R_OK):
            raise BadInputError(_("{path} cannot be read: no permission.").format(path=path), _("Ask its owner."))
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInputError(_("{path} cannot be opened.").format(path=path), _("Check the path.")) from error
    if found.is_dir() and not volume:
        raise BadInputError(_("{path} is a folder.").format(path=path), _("Give the instructor's file."))
    if found.is_file() and found.stat().st_size == 0:
        raise BadInputError(_("{path} is empty (0 bytes).").format(path=path), _("Copy or export it again."))
    return found


def _dicomPair(folder: Path) -> dict[str, Path]:
    from petctfusion.volumes.dicom_pair import find_pair

    pair = find_pair(_checked(folder))
    for note in pair.notes:
        sys.stderr.write(note + "\n")
    return {"ct": pair.ct, "pet": pair.pet, "dicom": folder.resolve()}
