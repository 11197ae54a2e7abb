"""All sheets are on every page, so a class belongs to one of them: two that style it would undo each other."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "cloud" / "web" / "static"
SHARED = {"theme", "frame"}
"""Sheets every page builds on; the others may add to what these define."""


def owners(sheets: dict[str, str]) -> dict[str, set[str]]:
    """Return which sheets have a rule that begins with each class."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, text in sheets.items():
        plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for selectors in re.findall(r"([^{}]+)\{", plain):
            for selector in selectors.split(","):
                if begin := re.match(r"\s*\.([\w-]+)", selector):
                    found[begin[1]].add(name)
    return found


def clashes(sheets: dict[str, str]) -> dict[str, set[str]]:
    """Return the classes that more than one page's sheet styles."""
    return {name: sheets - SHARED for name, sheets in owners(sheets).items() if len(sheets - SHARED) > 1}


NARROWED = {"field", "figures", "notice"}
"""Of the theme, and only narrowed to a place of their own by the sheets of pages."""


def test_a_class_is_styled_by_one_sheet() -> None:
    sheets = {path.stem: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}
    assert {name: found for name, found in clashes(sheets).items() if name not in NARROWED} == {}


@pytest.mark.parametrize(
    ("one", "other", "found"), [(".a { x: 1 }", ".a > b { x: 2 }", {"a"}), (".a { }", ".b .a { }", set())]
)
def test_a_class_of_two_sheets_is_caught(one: str, other: str, found: set[str]) -> None:
    assert set(clashes({"one": one, "other": other})) == found
