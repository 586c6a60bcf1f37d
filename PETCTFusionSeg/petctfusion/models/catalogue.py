"""Public PET/CT weights that can be downloaded: what is known of each, and how surely. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from petctfusion.errors import ModelError
from petctfusion.models.fields import Fields
from petctfusion.models.foreign import Provenance, read_document

CATALOGUE = Path(__file__).resolve().parent.parent / "resources" / "catalogue.json"
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-."


@dataclass(frozen=True)
class CatalogueEntry:
    """One archive of weights. `evidence` says where these facts come from, `runs` what is known of running it here.

    `url` is empty where no single file is known; `bytes` is None and `md5` empty where none is published. `verified`:
    address and licence are named by several independent sources. `channels`: what the network's channels are.
    """

    name: str
    title: str
    page: str
    licence: str
    verified: bool
    evidence: str
    channels: tuple[str, ...]
    data: str
    citation: str
    runs: str
    url: str = ""
    bytes: int | None = None
    md5: str = ""

    @property
    def stated_licence(self) -> str:
        """The licence, with the doubt where there is one."""
        return self.licence if self.verified else f"{self.licence} (as reported, not verified)"

    def provenance(self, sha256: str) -> Provenance:
        """What the card says of the model from an archive with this checksum."""
        attribution = f"{self.citation}; {self.page}; archive sha256 {sha256}"
        return Provenance(self.stated_licence, self.data, attribution)


def read_catalogue(path: Path | None = None) -> tuple[CatalogueEntry, ...]:
    """The entries of the package's catalogue, or of one of your own. Raises `ModelError` naming what is wrong."""
    document = read_document(path or CATALOGUE)
    document.hint = "Correct the catalogue."
    entries = document.objects("entries", _entry)
    if len({entry.name for entry in entries}) != len(entries):
        raise document.error("entries", "gives one name to two entries")
    return entries


def find_entry(name: str, path: Path | None = None) -> CatalogueEntry:
    """The entry of that name. Raises `ModelError` with the known names."""
    entries = read_catalogue(path)
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries) or "none"
    raise ModelError(f"There is no {name!r} in the catalogue.", f"Its entries: {known}.")


def _entry(entry: Fields) -> CatalogueEntry:
    entry.only(field.name for field in fields(CatalogueEntry))
    given = entry.values
    name, url, md5 = entry.text("name"), "", ""
    if set(name) - set(_NAME) or name.strip(".") != name:
        raise entry.error("name", f"is {name!r}; only small letters, digits, - and . are allowed")
    if "url" in given:
        url = entry.text("url")
        if not url.startswith(("https://", "http://")):
            raise entry.error("url", "is no address of the web (https://...)")
    if "md5" in given:
        md5 = entry.text("md5").lower()
        if len(md5) != 32 or set(md5) - set("0123456789abcdef"):
            raise entry.error("md5", "is not 32 hexadecimal digits")
    return CatalogueEntry(
        name=name,
        title=entry.text("title"),
        page=entry.text("page"),
        licence=entry.text("licence"),
        verified=entry.flag("verified"),
        evidence=entry.text("evidence"),
        channels=entry.texts("channels"),
        data=entry.text("data"),
        citation=entry.text("citation"),
        runs=entry.text("runs"),
        url=url,
        bytes=entry.integer("bytes", 1) if "bytes" in given else None,
        md5=md5,
    )
