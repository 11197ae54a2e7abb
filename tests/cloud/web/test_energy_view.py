"""How the tree of meters is cut where a site has very many - without a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

from nicegui import Client, ui

from cloud.energy.schemas import Figure, TreeNode
from cloud.web.energy_view import MOST_BRANCHES, show_tree


def node(name: str, used: float, children: list[TreeNode], kind: Literal["meter", "rest"] = "meter") -> TreeNode:
    energy = Figure(value=used, unit="kWh", inputs=[], completeness=1.0, formula="")
    return TreeNode(kind=kind, id=None, name=name, energy=energy, share=0.1, children=children)


def shown(tree: list[TreeNode]) -> str:
    visit: Any = SimpleNamespace(say=lambda text, **values: text.to("en").format(**values))
    with Client(ui.page("/energy"), request=None) as client:
        show_tree(visit, SimpleNamespace(tree=tree))  # type: ignore[arg-type]
        return " | ".join(str(element._text) for element in client.elements.values() if element._text)


def test_of_very_many_meters_the_largest_are_shown_and_what_the_others_used() -> None:
    many = [node(f"m{number}", number, []) for number in range(1, MOST_BRANCHES + 4)]
    for tree in (many, [node("grid", 1000, [*many[::-1], node("", 7, [], "rest")])]):
        text = shown(tree)
        assert f"m{MOST_BRANCHES + 3} |" in text
        assert "m4 |" in text
        assert "m3 |" not in text
        assert "3 others | 6.00 kWh" in text
    assert text.index("3 others") < text.index("Not sub-metered")


def test_few_stand_as_they_come() -> None:
    text = shown([node("b", 1, []), node("a", 2, [])])
    assert text.index("b |") < text.index("a |")
    assert "others" not in text
