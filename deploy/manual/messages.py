"""Finds the sentences by which the agent says that something is wrong, in its source: what is said, and how to mend it.

Every place that makes one of the four fates (`protocols/errors.py`), a finding of a check or an event is looked at. A
sentence that is not written in place is followed to where it is: a name, a branch, a function of the same file or the
callers of the function it is a parameter of. What cannot be followed is returned as such.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOMS = ("edge_agent", "protocols", "models")
NOT_OF_THE_AGENT = tuple(
    f"models/{name}.py"
    for name in (
        "cli",
        "evaluate",
        *(f"vision/{each}" for each in ("calibrate", "export", "fit", "recalibrate", "recipe", "synthetic", "zoo")),
    )
)
"""What fits and packs models; no agent runs it."""
FATES = {
    "ConfigError": "ConfigError",
    "Unreachable": "Unreachable",
    "Busy": "Unreachable",
    "Refused": "Refused",
    "Rejected": "Refused",
    "Malformed": "Malformed",
}
"""What makes a failure -> its fate."""

_OF_MODELS = {"BundleRefused", "InputError"}
"""Failures of the room of models: reason, then the sentence in both languages."""

MOST_STEPS = 3
"""A sentence is followed over so many names and functions."""

_SAYS_ALREADY = {"what", "mend", "args", "found", "reason"}
"""Attributes of what was said before and is only handed on."""


class Message(NamedTuple):
    """One sentence in both languages; `…` and ‹names› stand for what is known only when it is said."""

    file: str
    fate: str
    en: str
    zh: str
    mend_en: str = ""
    mend_zh: str = ""


class Place(NamedTuple):
    """Where a sentence could not be found out."""

    file: str
    line: int
    written: str


def messages(root: Path) -> tuple[list[Message], list[Place]]:
    """Return all messages of failures and checks below `root`, in the order of the files, and what cannot be listed."""
    found: dict[Message, None] = {}
    lost = []
    for source in _sources(root):
        for call in source.calls():
            fate = source.fate(call)
            if fate is None:
                continue
            if fate == "model":
                said = source.of_model(call)
            else:
                said = source.sentences(
                    _argument(call, 2 if fate == "finding" else 0, "found" if fate == "finding" else "what"), call
                )
            mend = (
                ("", "")
                if fate == "model"
                else next(
                    iter(source.sentences(_argument(call, 3 if fate == "finding" else 1, "mend"), call) or [("", "")])
                )
            )
            if said is None:
                lost.append(Place(source.file, call.lineno, ast.unparse(call)[:100]))
            for en, zh in said or ():
                if says_something(en):  # else it hands on what was said elsewhere
                    found[Message(source.file, fate, en, zh, *mend)] = None
    return list(found), lost


def event_kinds(root: Path) -> tuple[dict[str, list[tuple[str, str]]], list[Place]]:
    """Return the sentences of every kind of event, and the places whose kind cannot be found out."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    lost = []
    for source in _sources(root):
        for call in source.calls():
            kind, text = source.event(call)
            if kind is None:
                continue
            constants = source.constants(kind, call)
            if not constants:
                lost.append(Place(source.file, call.lineno, ast.unparse(call)[:100]))
            for kind in constants:
                said = source.sentences(text, call) or []
                kinds.setdefault(kind, []).extend(each for each in said if each[0] and each not in kinds.get(kind, []))
    return kinds, lost


@lru_cache(maxsize=2)
def _sources(root: Path) -> Sequence[_Source]:
    return [
        _Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
        if path.relative_to(root).as_posix() not in NOT_OF_THE_AGENT
    ]


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if len(call.args) > place and not any(isinstance(each, ast.Starred) for each in call.args[: place + 1]):
        return call.args[place]
    if place == 0 and call.args:
        return call.args[0]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


class _Source:
    """One file, with the functions that its calls stand in."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._tree = ast.parse(text)
        self._within: dict[ast.AST, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self._functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        found = [node for node in ast.walk(self._tree) if isinstance(node, ast.Call)]
        self._calls = sorted(found, key=lambda call: (call.lineno, call.col_offset))
        for node in ast.walk(self._tree):  # outer functions first, so that the innermost one stays
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._functions[node.name] = node
                for inner in ast.walk(node):
                    self._within[inner] = node

    def calls(self) -> list[ast.Call]:
        """Return every call, in the order of the file."""
        return self._calls

    def fate(self, call: ast.Call) -> str | None:
        """Return what kind of message a call makes; None where it makes none."""
        name = getattr(call.func, "id", "")
        if name == "Finding" and len(call.args) > 2 and not self.file.startswith("models/"):
            severity = call.args[1]
            return None if isinstance(severity, ast.Constant) and severity.value == "ok" else "finding"
        if name in _OF_MODELS and len(call.args) == 3:
            return "model"
        if name == "ValueError" and call.args and self._may_be_text(call.args[0]):
            return "ConfigError"  # a validator's, made one by protocols.validation
        return FATES.get(name) if call.args else None

    def of_model(self, call: ast.Call) -> list[tuple[str, str]] | None:
        """Return what a failure of the room of models says; what callers pass where it only completes a sentence."""
        if self._is_parameter("en", call) and self._is_parameter("zh", call):
            return self._pairs_passed(["en", "zh"], call) or None
        if isinstance(call.args[1], ast.Name):
            return None
        return [(_shown(call.args[1]), _shown(call.args[2]))]

    def event(self, call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
        """Return kind and sentence of the event that a call announces; None where it announces none."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name.lstrip("_") == "announce" and len(call.args) == 3:
            return call.args[1], call.args[2]
        if name == "Event" and len(call.args) > 4:
            kind = call.args[3]
            if not (isinstance(kind, ast.Name) and self._is_parameter(kind.id, call)):
                return kind, None
        return None, None

    def sentences(self, written: ast.expr | None, at: ast.AST, depth: int = 0) -> list[tuple[str, str]] | None:
        """Return the sentences that an expression may be; [] where it hands on what was said; None where unknown."""
        found: list[tuple[str, str]] | None = None
        match written:
            case None | ast.Constant(value=None):
                found = []
            case ast.Call():
                found = self._called(written, at, depth)
            case ast.IfExp():
                found = self._together([written.body, written.orelse], at, depth)
            case ast.BoolOp():
                found = self._together(written.values, at, depth)
            case ast.Starred():
                found = self.sentences(written.value, at, depth)
            case ast.Tuple():
                found = self._together(written.elts[:1], at, depth)
            case ast.Attribute(attr=attribute) | ast.Subscript(value=ast.Attribute(attr=attribute)):
                found = [] if attribute in _SAYS_ALREADY else None
            case ast.Name():
                found = self._named(written.id, at, depth)
        return found

    def constants(self, written: ast.expr, at: ast.AST, depth: int = 0) -> list[str]:
        """Return the texts that an expression may be: itself, its branches, or what its name was given."""
        if isinstance(written, ast.Constant):
            return [str(written.value)]
        if isinstance(written, ast.IfExp):
            return [*self.constants(written.body, at, depth), *self.constants(written.orelse, at, depth)]
        if isinstance(written, ast.JoinedStr):
            return [_shown(written)]
        if isinstance(written, ast.Call):
            return [constant for each in written.args for constant in self.constants(each, at, depth)]
        if not isinstance(written, ast.Name) or depth > MOST_STEPS:
            return []
        values = [(each, at) for each in self._given(written.id, at)] or self._passed(written.id, at)
        found = [constant for value, where in values for constant in self.constants(value, where, depth + 1)]
        return list(dict.fromkeys(found))

    def _may_be_text(self, written: ast.expr) -> bool:
        return isinstance(written, ast.Call) and getattr(written.func, "id", "") == "Text"

    def _called(self, call: ast.Call, at: ast.AST, depth: int) -> list[tuple[str, str]] | None:
        function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if function == "Text" and len(call.args) == 2:
            if all(isinstance(each, ast.Name) and self._is_parameter(each.id, at) for each in call.args):
                return self._pairs_passed([each.id for each in call.args if isinstance(each, ast.Name)], at)
            return list(zip(_variants(call.args[0]), _variants(call.args[1]), strict=True))
        if len(call.args) == 2 and all(isinstance(each, (ast.Constant, ast.JoinedStr)) for each in call.args):
            return [(_shown(call.args[0]), _shown(call.args[1]))]  # a function that completes a sentence
        if len(call.args) == 2 and all(
            isinstance(each, ast.Name) and self._is_parameter(each.id, at) for each in call.args
        ):
            return self._pairs_passed([each.id for each in call.args if isinstance(each, ast.Name)], at)
        inside = self._functions.get(function)
        if inside is None or depth > MOST_STEPS:
            return [] if inside is None and function in ("unknown_key", "Text") else None
        returned = [node.value for node in ast.walk(inside) if isinstance(node, ast.Return) and node.value is not None]
        return self._together(returned, inside, depth + 1)

    def _named(self, name: str, at: ast.AST, depth: int) -> list[tuple[str, str]] | None:
        if depth > MOST_STEPS:
            return None
        given = self._given(name, at)
        if given:
            return self._together(given, at, depth + 1)
        passed = self._passed(name, at)
        if passed:
            found = [self.sentences(value, where, depth + 1) for value, where in passed]
            known = [each for each in found if each is not None]
            return [sentence for each in known for sentence in each] if known else None
        return None

    def _together(self, written: Sequence[ast.expr], at: ast.AST, depth: int) -> list[tuple[str, str]] | None:
        found = [self.sentences(each, at, depth) for each in written]
        known = [each for each in found if each is not None]
        return [sentence for each in known for sentence in each] if known else None

    def _given(self, name: str, at: ast.AST) -> list[ast.expr]:
        """Return what a name was given in the function around `at`, else in the whole file."""
        for scope in (self._within.get(at), self._tree):
            if scope is None:
                continue
            values = []
            for node in ast.walk(scope):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, ast.AnnAssign)
                    else []
                )
                for target in targets:
                    values += _assigned(target, getattr(node, "value", None), name)
            if values:
                return values
        return []

    def _is_parameter(self, name: str, at: ast.AST) -> bool:
        function = self._within.get(at)
        return function is not None and name in [each.arg for each in function.args.args]

    def _passed(self, name: str, at: ast.AST) -> list[tuple[ast.expr, ast.AST]]:
        """Return what callers in this file pass for a parameter of the function around `at`."""
        function = self._within.get(at)
        if function is None:
            return []
        parameters = [each.arg for each in function.args.args if each.arg not in ("self", "cls")]
        if name not in parameters:
            return []
        place = parameters.index(name)
        found: list[tuple[ast.expr, ast.AST]] = []
        for call in self.calls():
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if called == function.name:
                value = call.args[place] if len(call.args) > place else _argument(call, 99, name)
                found += [(value, call)] if value is not None else []
        return found

    def _pairs_passed(self, names: Sequence[str], at: ast.AST) -> list[tuple[str, str]]:
        """Return the sentences that callers pass as two parameters, also as one tuple with a star."""
        en, zh = (self._passed(name, at) for name in names)
        other = {call: written for written, call in zh}
        found = []
        for written, call in en:
            if isinstance(written, ast.Starred) and isinstance(written.value, ast.Name):
                tuples = [each for each in self._given(written.value.id, call) if isinstance(each, ast.Tuple)]
                found += [(_shown(each.elts[-2]), _shown(each.elts[-1])) for each in tuples if len(each.elts) > 1]
            elif call in other:
                found.append((_shown(written), _shown(other[call])))
        return found


def _assigned(target: ast.expr, value: ast.expr | None, name: str) -> list[ast.expr]:
    if value is None:
        return []
    if isinstance(target, ast.Name):
        return [value] if target.id == name else []
    if isinstance(target, ast.Tuple):
        for place, each in enumerate(target.elts):
            if isinstance(each, ast.Name) and each.id == name:
                return [value.elts[place]] if isinstance(value, ast.Tuple) else [value]
    return []


def _variants(written: ast.expr) -> list[str]:
    """Return the texts of both branches where a text is chosen by a condition; else the one it is."""
    if isinstance(written, ast.IfExp):
        return [*_variants(written.body), *_variants(written.orelse)]
    return [_shown(written)]


def says_something(text: str) -> bool:
    """Whether a text has words of its own besides what is put into it."""
    return re.search(r"\w", re.sub(r"‹[^›]*›|…", "", text)) is not None


def _shown(written: ast.expr) -> str:
    """Return a text with ‹names› for what is put into it."""
    if isinstance(written, ast.Constant):
        return str(written.value)
    if isinstance(written, ast.JoinedStr):
        return "".join(_shown(each) for each in written.values)
    if isinstance(written, ast.FormattedValue):
        return _shown(written.value)
    if isinstance(written, ast.BinOp):
        return _shown(written.left) + _shown(written.right)
    if isinstance(written, ast.Name):
        return f"‹{written.id}›"
    return f"‹{written.attr}›" if isinstance(written, ast.Attribute) else "…"
