"""What a model is, needs and may be used for: the dataclass of `model.json`."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.fields import Fields
from petctfusion.models.normalisation import Normalisation, read_normalisation

FORMAT = 1
CARD_FILE = "model.json"
MODALITIES = ("CT", "PET", "MR")
UNITS = ("HU", "SUVbw", "arbitrary")
DTYPES = ("float16", "bfloat16", "float32", "uint8")
AXES = ("z", "y", "x")
# The smallest spacing a float can hold would make a grid of any size; a micrometre is finer than any scanner.
_SMALLEST_MM = 1e-3


@dataclass(frozen=True)
class Code:
    """A coded term, for example SCT 108369006 "Neoplasm"."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Terminology:
    """Segmentation category and type, as Slicer and DICOM SEG want them."""

    category: Code
    type: Code


@dataclass(frozen=True)
class LabelSpec:
    """One output channel: value in the label map (1 to 255), name, code, and colour (R, G, B, 0 to 255)."""

    value: int
    name: str
    terminology: Terminology
    color: tuple[int, int, int]


@dataclass(frozen=True)
class Weights:
    """The weights file beside the card: plain file name, sha256 in hex, number format, size in bytes.

    "uint8": the bytes of a program (TorchScript) instead of weights.
    """

    file: str
    sha256: str
    dtype: str
    bytes: int


@dataclass(frozen=True)
class Training:
    """Where the weights come from, enough to make them again and to give credit."""

    data: str
    licence: str
    attribution: str
    patients: tuple[str, ...]
    command: str
    commit: str
    seed: int


@dataclass(frozen=True)
class MetricRow:
    """One measured result; `hd95_mm` is None where no case had a finite one, `crop` says which crop of the data."""

    data: str
    crop: str
    dice: float
    hd95_mm: float | None
    n: int
    note: str = ""


@dataclass(frozen=True)
class ModelCard:
    """The content of `model.json`. Lengths in mm, triples in array order (z, y, x), modalities in the network's order.

    A voxel belongs to a label where its probability is at least `threshold`; components under `smallest_component_ml`
    or under `smallest_component_share` of the label's largest are dropped; `flips` are the axes mirrored at inference,
    `overlap` the share of a window that the next one repeats. With `normalisation` (all modalities or none) the network
    is given scaled values, otherwise HU and SUV. `orientation`: the axes of the network's grid are the patient's (LPS),
    or, left empty, those of the first modality's volume.
    """

    name: str
    version: str
    title: str
    network: str
    arguments: dict[str, Any]
    modalities: tuple[str, ...]
    units: dict[str, str]
    clip: dict[str, tuple[float, float]]
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    labels: tuple[LabelSpec, ...]
    weights: Weights
    training: Training
    licence: str
    not_for: tuple[str, ...]
    threshold: float = 0.5
    smallest_component_ml: float = 0.0
    smallest_component_share: float = 0.0
    fill_holes: bool = False
    flips: tuple[str, ...] = ()
    overlap: float = 0.5
    metrics: tuple[MetricRow, ...] = field(default_factory=tuple)
    normalisation: dict[str, Normalisation] = field(default_factory=dict)
    orientation: str = ""
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Plain values in the order in which a person reads them."""
        first = ("format", "name", "version", "title", "licence", "not_for", "network", "arguments")
        values = asdict(self)
        for name in ("normalisation", "orientation"):
            if not values[name]:
                # Cards without it stay readable for the versions that do not know it.
                del values[name]
        return {**{key: values[key] for key in first}, **{k: v for k, v in values.items() if k not in first}}

    @classmethod
    def from_json(cls, values: Any) -> ModelCard:
        """The card of a parsed `model.json`. Raises `ModelError` naming the field that is missing or wrong."""
        card = Fields(values)
        if card.integer("format") != FORMAT:
            raise ModelError(
                f"The model card has format {values['format']}; this version reads format {FORMAT}.",
                "Update PETCTFusionSeg, or install a model made for this version.",
            )
        card.only(f.name for f in fields(cls))
        modalities = card.texts("modalities", at_least=1)
        return cls(
            format=FORMAT,
            name=_plain_name(card, "name"),
            version=_plain_name(card, "version"),
            title=card.text("title"),
            network=card.text("network"),
            arguments=card.object("arguments").values,
            modalities=_among(card, "modalities", modalities, MODALITIES),
            units=_units(card, modalities),
            clip=_clip(card, modalities),
            spacing_mm=_triple(card.numbers("spacing_mm", 3, low=_SMALLEST_MM)),
            patch=_triple(card.integers("patch", 3, low=1)),
            labels=_labels(card),
            weights=_weights(card.object("weights")),
            training=_training(card.object("training")),
            licence=card.text("licence"),
            not_for=card.texts("not_for", at_least=1),
            threshold=card.number("threshold", 0.0, 1.0),
            smallest_component_ml=card.number("smallest_component_ml", low=0.0),
            smallest_component_share=card.number("smallest_component_share", 0.0, 1.0),
            fill_holes=card.flag("fill_holes"),
            flips=_among(card, "flips", card.texts("flips"), AXES),
            overlap=card.number("overlap", 0.0, 0.95),
            metrics=card.objects("metrics", _metric_row),
            normalisation=_normalisation(card, modalities),
            orientation=_among(card, "orientation", (card.values.get("orientation", ""),), ("", "LPS"))[0],
        )


def read_card(folder: Path | str) -> ModelCard:
    """The card in a model folder. Raises `ModelError` when there is none or it is not valid."""
    path = Path(folder) / CARD_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"There is no model in {Path(folder)}: {CARD_FILE} is missing.", "Choose a folder that holds a model."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"The model card {path} cannot be read: {error}.", "Install the model again.") from error
    return ModelCard.from_json(values)


def write_card(card: ModelCard, folder: Path | str) -> Path:
    """Writes the card into `folder`, whole or not at all, and returns its path.

    What could not be read back is not written: raises `ModelError` as `read_card` would, `OutputError` on a full disk.
    """
    # Through JSON and back, so that the checks see what a reader will see; NaN is not JSON and is refused here.
    try:
        text = json.dumps(card.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The model card cannot be written as JSON: {error}.", "Use finite numbers and texts."
        ) from error
    ModelCard.from_json(json.loads(text))
    path = Path(folder) / CARD_FILE
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".model-", suffix=".json", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        # mkstemp makes files that only their owner may read; a shipped card is for everybody.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(
            f"The model card {path} cannot be written: {error}.", "Free the disk or choose another folder."
        ) from error
    return path


def _plain_name(card: Fields, name: str) -> str:
    """A name that is also a folder's name on every platform."""
    text = card.text(name)
    if not all(c.isascii() and (c.isalnum() or c in "._-+") for c in text) or text.strip(".") != text:
        raise card.error(name, f"is {text!r}; only letters, digits and . _ - + are allowed")
    return text


def _among(card: Fields, name: str, values: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in known:
            raise card.error(name, f"holds {value!r}; known are {', '.join(known)}")
    return values


def _units(card: Fields, modalities: tuple[str, ...]) -> dict[str, str]:
    units = card.object("units")
    _same_names(card, "units", units, modalities)
    return {kind: _among(units, kind, (units.text(kind),), UNITS)[0] for kind in modalities}


def _clip(card: Fields, modalities: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    clip = card.object("clip")
    _same_names(card, "clip", clip, modalities)
    result = {}
    for kind in modalities:
        low, high = clip.numbers(kind, 2)
        if low >= high:
            raise clip.error(kind, f"runs from {low} to {high}; the first must be the smaller")
        result[kind] = (low, high)
    return result


def _normalisation(card: Fields, modalities: tuple[str, ...]) -> dict[str, Normalisation]:
    if "normalisation" not in card.values:
        return {}
    entries = card.object("normalisation")
    _same_names(card, "normalisation", entries, modalities)
    return {kind: read_normalisation(entries.object(kind)) for kind in modalities}


def _same_names(card: Fields, name: str, found: Fields, modalities: tuple[str, ...]) -> None:
    if set(found.values) != set(modalities):
        raise card.error(
            name, f"speaks of {', '.join(sorted(found.values)) or 'nothing'}, not of {', '.join(modalities)}"
        )


def _labels(card: Fields) -> tuple[LabelSpec, ...]:
    labels = card.objects("labels", _label, at_least=1)
    if len({label.value for label in labels}) != len(labels):
        raise card.error("labels", "gives one value to two labels")
    return labels


def _label(label: Fields) -> LabelSpec:
    label.only(("value", "name", "terminology", "color"))
    codes = label.object("terminology")
    codes.only(("category", "type"))
    return LabelSpec(
        value=label.integer("value", 1, 255),
        name=label.text("name"),
        terminology=Terminology(_code(codes.object("category")), _code(codes.object("type"))),
        color=_triple(label.integers("color", 3, 0, 255)),
    )


def _code(code: Fields) -> Code:
    code.only(("scheme", "value", "meaning"))
    for name in ("scheme", "value", "meaning"):
        # Slicer joins the parts of a terminology entry with ~ and ^.
        if set("~^") & set(code.text(name)):
            raise code.error(name, "holds ~ or ^, which separate the parts of a terminology entry")
    return Code(code.text("scheme"), code.text("value"), code.text("meaning"))


def _weights(weights: Fields) -> Weights:
    weights.only(("file", "sha256", "dtype", "bytes"))
    name = weights.text("file")
    if name in (".", "..") or any(c in name for c in "/\\:\0"):
        raise weights.error("file", f"is {name!r}, not the plain name of a file in the model folder")
    if not name.endswith(".safetensors"):
        raise weights.error("file", f"is {name!r}; only .safetensors files are loaded, never a pickle")
    digest = weights.text("sha256").lower()
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise weights.error("sha256", "is not a sha256 of 64 hexadecimal digits")
    dtype = _among(weights, "dtype", (weights.text("dtype"),), DTYPES)[0]
    return Weights(name, digest, dtype, weights.integer("bytes", 1))


def _training(training: Fields) -> Training:
    training.only(f.name for f in fields(Training))
    return Training(
        data=training.text("data"),
        licence=training.text("licence"),
        attribution=training.text("attribution"),
        patients=training.texts("patients"),
        command=training.text("command", empty=True),
        commit=training.text("commit", empty=True),
        seed=training.integer("seed"),
    )


def _metric_row(row: Fields) -> MetricRow:
    row.only(f.name for f in fields(MetricRow))
    return MetricRow(
        data=row.text("data"),
        crop=row.text("crop"),
        dice=row.number("dice", 0.0, 1.0),
        hd95_mm=None if row.value("hd95_mm") is None else row.number("hd95_mm", 0.0, math.inf),
        n=row.integer("n", 1),
        note=row.text("note", empty=True) if "note" in row.values else "",
    )


def _triple(values: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    first, second, third = values
    return first, second, third
