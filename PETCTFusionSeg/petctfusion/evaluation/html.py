"""One HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from html import escape

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #222; background: #fff;
  margin: 0 auto; padding: 1.5rem 2rem 3rem; max-width: 84rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .3rem 0; } .quiet { color: #555; } code { font-size: .9em; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; padding: 0; }
.facts div { border: 1px solid #ddd; border-radius: 6px; padding: .5rem .9rem; min-width: 9rem; }
.facts b { display: block; font-size: 1.35rem; font-weight: 600; } .facts span { color: #555; font-size: .85rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .84rem; }
th, td { padding: .22rem .42rem; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th { font-weight: 600; border-bottom: 2px solid #999; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; }
td.words, th.words, .words th { text-align: left; white-space: normal; }
tbody tr:nth-child(even) { background: #fafafa; } .none { color: #B34700; }
.wide { overflow-x: auto; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.2rem; }
.small { grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); }
figure { margin: 0; } svg { width: 100%; height: auto; font: 12px system-ui, "DejaVu Sans", sans-serif; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: 0; }
dt { font-weight: 600; } dd { margin: 0; }
.failed { border-left: 4px solid #D55E00; padding-left: .9rem; }
@media print { @page { size: A4 landscape; margin: 12mm; } body { padding: 0; max-width: none; font-size: 11px; }
  table { font-size: 8.5px; } th, td { padding: .12rem .3rem; } .wide { overflow: visible; }
  figure, tr, .facts div { break-inside: avoid; } h2 { break-after: avoid; } thead { display: table-header-group; }
  .plots { grid-template-columns: 1fr 1fr; } .small { grid-template-columns: 1fr 1fr 1fr; } }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """The page as text; empty parts are left out."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{chr(10).join(part for part in parts if part)}\n</body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A heading and what is below it (HTML)."""
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>"


def figures(pictures: Iterable[str]) -> str:
    """SVG pictures, empty ones left out."""
    return "".join(f"<figure>{picture}</figure>" for picture in pictures if picture)


def table(headings: Iterable[str], rows: Iterable[str], words: int = 0) -> str:
    """A table out of rows made by `row`; wider than the page it scrolls. The first `words` columns hold text."""
    head = _cells("th", headings, words)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def row(cells: Iterable[str], words: int = 0) -> str:
    """Cells of text, escaped here; the first is flush left, and so are the first `words`, which may be broken."""
    return f"<tr>{_cells('td', cells, words)}</tr>"


def _cells(tag: str, cells: Iterable[str], words: int) -> str:
    marks = (' class="words"' if place < words else "" for place in itertools.count())
    return "".join(f"<{tag}{mark}>{escape(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=False))


def definition_list(items: Iterable[tuple[str, str]]) -> str:
    """Terms and sentences."""
    return f"<dl>{''.join(f'<dt>{escape(term)}</dt><dd>{escape(text)}</dd>' for term, text in items)}</dl>"
