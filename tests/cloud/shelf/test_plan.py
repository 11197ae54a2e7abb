"""The three-way comparison: what was brought, what there is, what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.core.errors import Invalid
from cloud.shelf.builtin import built_in
from cloud.shelf.package import MAX_PACKAGE_BYTES, read_package, version_of
from cloud.shelf.plan import Wanted, digest_of_plan, removal_of, steps_of
from cloud.shelf.schemas import Item
from protocols.text import Text

TAKEN = Text("you have one of this name already", "本企业已有同名项")


def wanted(key: str, value: int, name: str = "", refused: Text | None = None) -> Wanted:
    return Wanted("rule", key, name or key, {"value": value}, None, 0, refused)


def brought(key: str, value: int) -> Item:
    return Item(kind="rule", key=key, name=key, target=f"id-{key}", base={"value": value})


@pytest.mark.parametrize(
    ("base", "now", "new", "action"),
    [
        (None, None, 1, "add"),
        (1, 1, 1, "same"),
        (1, 1, 2, "update"),
        (1, 5, 2, "keep"),
        (1, 5, 1, "keep"),
        (1, None, 2, "keep"),
        (1, 1, None, "remove"),
        (1, 5, None, "leave"),
        (1, None, None, None),
    ],
)
def test_three_ways(base: int | None, now: int | None, new: int | None, action: str | None) -> None:
    items = [] if base is None else [brought("a", base)]
    there: dict[Any, Any] = {} if now is None else {("rule", "id-a"): {"value": now}}
    steps = steps_of([] if new is None else [wanted("a", new)], items, there, {})
    assert [step.action for step in steps] == ([action] if action else [])


def test_a_new_name_that_is_taken_stays_away_and_what_is_held_stays() -> None:
    there: dict[Any, Any] = {("rule", "id-a"): {"value": 1}}
    (renamed,) = steps_of([wanted("a", 2, "B", TAKEN)], [brought("a", 1)], there, {})
    assert (renamed.action, renamed.reason_zh) == ("keep", TAKEN.zh)
    (same,) = steps_of([wanted("a", 2, "a", TAKEN)], [brought("a", 1)], there, {})
    assert same.action == "update", "it is itself that has the name"
    (held,) = removal_of([brought("a", 1)], there, {("rule", "id-a"): TAKEN})
    assert held.action == "leave"


def test_a_plan_is_another_as_soon_as_it_does_anything_else() -> None:
    one, two = ([wanted("a", 1)._replace(bound=n) for n in (0, 7)][i] for i in (0, 1))
    plans = [steps_of([each], [], {}, {}) for each in (one, two)]
    assert digest_of_plan("p", plans[0]) == digest_of_plan("p", plans[1]), "how many points there are may move"
    assert digest_of_plan("q", plans[0]) != digest_of_plan("p", plans[0])
    changed = steps_of([wanted("a", 1, refused=TAKEN)], [], {}, {})
    assert digest_of_plan("p", changed) != digest_of_plan("p", plans[0])


def test_a_document_is_refused_by_name() -> None:
    package = next(iter(built_in().values())).package
    assert read_package(package.document) == package
    for document, why in (
        ("[1", "no JSON"),
        ("{}", "manifest"),
        (package.document.replace('"threshold"', '"nonsense"', 1), "contents.rules"),
        (package.document.replace('"spindle_load"', '"spindle"', 1), "'spindle' is no released entry"),
        (package.document.replace('"rules":[', '"more":1,"rules":[', 1), "contents.more"),
        (package.document.replace('"format":1', '"format":2'), "format"),
        ("[" * 100_000, "no JSON"),
        (" " * (MAX_PACKAGE_BYTES + 1), "above"),
    ):
        with pytest.raises(Invalid) as refused:
            read_package(document)
        assert why in refused.value.detail.en, refused.value.detail
    assert version_of("1.10.0") > version_of("1.9.9")
