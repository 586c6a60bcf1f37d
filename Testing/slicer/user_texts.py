"""Finds texts that a user reads and that do not go through `_()`, by looking at the source alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

# Methods whose string arguments, and attributes whose string values, are shown.
_SHOWN_BY_CALL = {
    "say", "setText", "setToolTip", "setTitle", "setWindowTitle", "setStatusTip", "setPlaceholderText", "addItem",
    "insertItem", "addAction", "addTab", "setHorizontalHeaderLabels", "setVerticalHeaderLabels", "showStatusMessage",
    "confirmOkCancelDisplay", "confirmYesNoDisplay", "errorDisplay", "warningDisplay", "infoDisplay", "QLabel",
    "QPushButton", "QCheckBox", "QAction", "QGroupBox", "QTableWidgetItem",
}  # fmt: skip
_SHOWN_BY_ATTRIBUTE = {
    "text", "toolTip", "title", "windowTitle", "statusTip", "placeholderText", "accessibleName", "specialValueText",
    "statusLabel",
}  # fmt: skip
_NOT_SHOWN_BY_CALL = {"debug", "info", "warning", "error", "exception", "getLogger", "search", "match", "compile"}
# Mistakes of programmers, which no user can make.
_FOR_PROGRAMMERS = {"ValueError", "TypeError", "KeyError", "AttributeError", "RuntimeError", "AssertionError"}
_HARMLESS = {"_", "translate", *_FOR_PROGRAMMERS}
_MARKUP = re.compile(r"<[^>]*>|&\w+;")
_WORD = re.compile(r"[A-Za-z]{2,}")
_SENTENCE = re.compile(r"[A-Z][a-z]+[,.:]? [A-Za-z(\"{]|[a-z]+ [a-z]+ [a-z]+")


def untranslated(path: Path, everywhere: bool) -> list[str]:
    """`file:line: text` of every text in a Python file that is shown and not translated.

    Looked at are arguments and attributes of widgets and the sentences of errors; with `everywhere` also every other
    literal that reads like a sentence, docstrings and log messages apart.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    texts = [*_shown(tree), *(_sentences(tree, parents) if everywhere else ())]
    found = {
        (text.lineno, text.value)
        for text in texts
        if _WORD.search(_MARKUP.sub("", text.value)) and not _insideCall(text, parents, _HARMLESS)
    }
    return [f"{path.name}:{line}: {text!r}" for line, text in sorted(found)]


def mistranslated(path: Path) -> list[str]:
    """`file:line` of every `_()` whose argument is no plain literal: the tools that collect texts cannot read it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _nameOf(node.func) == "_"]
    return [
        f"{path.name}:{call.lineno}"
        for call in calls
        if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.Constant)
    ]


def _shown(tree: ast.AST) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _nameOf(node.func) in _SHOWN_BY_CALL:
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                yield from _literals(argument)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute) and target.attr in _SHOWN_BY_ATTRIBUTE for target in node.targets
        ):
            yield from _literals(node.value)
        elif isinstance(node, ast.Call) and re.search(r"(?<!^)Error$", _nameOf(node.func)):
            for argument in node.args:
                yield from (text for text in _literals(argument) if " " in text.value)


def _sentences(tree: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.Constant]:
    for text in _literals(tree):
        unseen = isinstance(parents.get(text), ast.Expr | ast.Assert)
        if not unseen and _SENTENCE.match(text.value) and not _insideCall(text, parents, _NOT_SHOWN_BY_CALL):
            yield text


def _literals(node: ast.AST) -> Iterator[ast.Constant]:
    """String constants below a node, those of f-strings included."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one


def _insideCall(node: ast.AST, parents: dict[ast.AST, ast.AST], names: set[str]) -> bool:
    above = parents.get(node)
    while above is not None:
        if isinstance(above, ast.Call) and _nameOf(above.func) in names:
            return True
        above = parents.get(above)
    return False


def _nameOf(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
