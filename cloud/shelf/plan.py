"""What installing, updating or removing a package does to what a company has. Pure.

Three ways are compared: what the package brought, what there is now, and what the new version brings. What nobody has
changed follows the package; what the company has changed, or taken out, stays as the company has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cloud.core.audit import canonical
from cloud.shelf.schemas import Action, Item, Kind, Step
from protocols.text import Text

Definition = dict[str, Any]
Held = Mapping[tuple[Kind, str], Text]
"""What is not taken out though nobody has changed it, by kind and target, with the reason."""

_CHANGED = Text("you have changed it", "您已修改过")
_GONE = Text("you have taken it out", "您已删除")


class Wanted(NamedTuple):
    """One thing a package brings: `definition` is compared, and `refused` says why it cannot be had.

    Attributes:
        bound: how many of the company's points it applies to now; None where that says nothing.
        part: of the package, as its kind needs it to make it.
    """

    kind: Kind
    key: str
    name: str
    definition: Definition
    part: Any
    bound: int | None = None
    refused: Text | None = None


def steps_of(
    wanted: Sequence[Wanted], items: Sequence[Item], now: Mapping[tuple[Kind, str], Definition], held: Held
) -> list[Step]:
    """Return what the package does: `items` is what it brought before, `now` what there is of that, by kind and target."""
    before = {(item.kind, item.key): item for item in items}
    steps = [_put(one, before.get((one.kind, one.key)), now) for one in wanted]
    kept = {(one.kind, one.key) for one in wanted}
    return [*steps, *removal_of([item for item in items if (item.kind, item.key) not in kept], now, held)]


def removal_of(items: Sequence[Item], now: Mapping[tuple[Kind, str], Definition], held: Held) -> list[Step]:
    """Return what taking out `items` does."""
    return list(_removed(items, now, held))


def _put(one: Wanted, item: Item | None, now: Mapping[tuple[Kind, str], Definition]) -> Step:
    action: Action
    why: Text | None = None
    if item is None:
        action, why = ("refuse", one.refused) if one.refused else ("add", None)
    else:
        there = now.get((item.kind, item.target))
        if there is None:
            action, why = "keep", _GONE
        elif there != item.base:
            action, why = "keep", _CHANGED
        elif one.refused and one.kind in ("rule", "view") and one.name != item.name:
            action, why = "keep", one.refused  # it would have a name that something else has
        else:
            action = "same" if one.definition == item.base else "update"
    return _step(one, action, why, one.bound)


def _removed(items: Sequence[Item], now: Mapping[tuple[Kind, str], Definition], held: Held) -> Iterator[Step]:
    for item in items:
        there = now.get((item.kind, item.target))
        if there is None:
            continue
        why = _CHANGED if there != item.base else held.get((item.kind, item.target))
        yield _step(item, "leave" if why else "remove", why)


def _step(of: Wanted | Item, action: Action, why: Text | None, bound: int | None = None) -> Step:
    said = why or Text("", "")
    return Step(
        kind=of.kind, key=of.key, name=of.name, action=action, reason_en=said.en, reason_zh=said.zh, bound=bound
    )


def digest_of_plan(package: str, steps: Sequence[Step]) -> str:
    """Return what a plan is confirmed by; another one as soon as it would do anything else. How many are bound may move."""
    told = [step.model_dump(exclude={"bound"}) for step in steps]
    return hashlib.sha256(canonical([package, told]).encode()).hexdigest()
