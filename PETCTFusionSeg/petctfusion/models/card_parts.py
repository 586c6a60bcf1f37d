"""The parts of a model card and how they are read: labels, weights, members, training, metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from petctfusion.models.fields import Fields

DTYPES = ("float16", "bfloat16", "float32", "uint8")


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
class ClickGuidance:
    """Three channels follow the modalities: foreground clicks, background clicks, and the mask that they correct.

    Those of clicks hold exp(-d^2 / (2 `radius_mm`^2)), d being the distance to the nearest click in mm.
    """

    radius_mm: float


@dataclass(frozen=True)
class Member:
    """A model of an ensemble: which one, the sha256 of its weights, and how much its probability counts (above 0)."""

    name: str
    version: str
    sha256: str
    weight: float

    @property
    def reference(self) -> str:
        """`name@version`, which `find_model` understands."""
        return f"{self.name}@{self.version}"


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


def read_labels(card: Fields) -> tuple[LabelSpec, ...]:
    """The labels of a card, one per channel. Like all readers here it raises `ModelError` naming the field."""
    labels = card.objects("labels", _label, at_least=1)
    if len({label.value for label in labels}) != len(labels):
        raise card.error("labels", "gives one value to two labels")
    return labels


def read_weights(weights: Fields) -> Weights:
    """The description of a weights file."""
    weights.only(("file", "sha256", "dtype", "bytes"))
    name = weights.text("file")
    if name in (".", "..") or any(c in name for c in "/\\:\0"):
        raise weights.error("file", f"is {name!r}, not the plain name of a file in the model folder")
    if not name.endswith(".safetensors"):
        raise weights.error("file", f"is {name!r}; only .safetensors files are loaded, never a pickle")
    dtype = among(weights, "dtype", (weights.text("dtype"),), DTYPES)[0]
    return Weights(name, _sha256(weights), dtype, weights.integer("bytes", 1))


def read_clicks(card: Fields) -> ClickGuidance | None:
    """How clicks are shown to the network; None in a card that does not speak of them."""
    if "clicks" not in card.values:
        return None
    clicks = card.object("clicks")
    clicks.only(("radius_mm",))
    radius_mm = clicks.number("radius_mm", 0.0)
    if radius_mm == 0.0:
        raise clicks.error("radius_mm", "is 0; a click must reach further than its point")
    return ClickGuidance(radius_mm)


def read_members(card: Fields) -> tuple[Member, ...]:
    """The members of an ensemble, two or more different ones."""
    members = card.objects("members", _member)
    if len(members) < 2:
        raise card.error("members", "names fewer than two models")
    if len({member.reference for member in members}) != len(members):
        raise card.error("members", "names one model twice")
    return members


def read_training(training: Fields) -> Training:
    """Where the weights come from."""
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


def read_metric_row(row: Fields) -> MetricRow:
    """One measured result."""
    row.only(f.name for f in fields(MetricRow))
    return MetricRow(
        data=row.text("data"),
        crop=row.text("crop"),
        dice=row.number("dice", 0.0, 1.0),
        hd95_mm=None if row.value("hd95_mm") is None else row.number("hd95_mm", 0.0, math.inf),
        n=row.integer("n", 1),
        note=row.text("note", empty=True) if "note" in row.values else "",
    )


def plain_name(card: Fields, name: str) -> str:
    """A name that is also a folder's name on every platform."""
    text = card.text(name)
    if not all(c.isascii() and (c.isalnum() or c in "._-+") for c in text) or text.strip(".") != text:
        raise card.error(name, f"is {text!r}; only letters, digits and . _ - + are allowed")
    return text


def among(card: Fields, name: str, values: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """`values`, all of them `known`."""
    for value in values:
        if value not in known:
            raise card.error(name, f"holds {value!r}; known are {', '.join(known)}")
    return values


def triple(values: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """Three values with the type of three values."""
    first, second, third = values
    return first, second, third


def _label(label: Fields) -> LabelSpec:
    label.only(("value", "name", "terminology", "color"))
    codes = label.object("terminology")
    codes.only(("category", "type"))
    return LabelSpec(
        value=label.integer("value", 1, 255),
        name=label.text("name"),
        terminology=Terminology(_code(codes.object("category")), _code(codes.object("type"))),
        color=triple(label.integers("color", 3, 0, 255)),
    )


def _code(code: Fields) -> Code:
    code.only(("scheme", "value", "meaning"))
    for name in ("scheme", "value", "meaning"):
        # Slicer joins the parts of a terminology entry with ~ and ^.
        if set("~^") & set(code.text(name)):
            raise code.error(name, "holds ~ or ^, which separate the parts of a terminology entry")
    return Code(code.text("scheme"), code.text("value"), code.text("meaning"))


def _member(member: Fields) -> Member:
    member.only(f.name for f in fields(Member))
    weight = member.number("weight", 0.0)
    if weight == 0.0:
        raise member.error("weight", "is 0; leave the member out instead")
    return Member(plain_name(member, "name"), plain_name(member, "version"), _sha256(member), weight)


def _sha256(entry: Fields) -> str:
    digest = entry.text("sha256").lower()
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise entry.error("sha256", "is not a sha256 of 64 hexadecimal digits")
    return digest
