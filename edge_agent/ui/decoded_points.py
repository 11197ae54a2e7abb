"""Gives the points inferred from an unknown device's registers their names, and so something to propose an entry from.

What `decode` proves by physics - a voltage, a frequency - is a quantity, not yet a meaning. Three like quantities side
by side are the phases of a three-phase system, as meters lay them out (a fourth beside them, near their sum, is the
total); anything else keeps the quantity's name. A quantity that rests on habit alone ("perhaps a percentage") is named
so and never counts as sure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from edge_agent.onboard.browse_list import unit_text
from edge_agent.onboard.decode import Proposal
from edge_agent.onboard.point_list import Point, PointList
from edge_agent.onboard.propose import SURE, propose
from edge_agent.onboard.propose_memory import Memory
from edge_agent.ui.drafts import DraftPoint
from protocols.modbus.config import BIT_TABLES
from protocols.text import Text

_HIGH_VOLTAGE_V = 300.0
"""Three mains voltages above it are those between the phases (400 V systems), below it those to neutral (230 V)."""

_PERHAPS = "perhaps "


def decoded_points(proposals: Sequence[Proposal], kind: str = "", memory: Memory | None = None) -> list[DraftPoint]:
    """Return a draft of every proposal of `decode`, with the dictionary entry proposed for it.

    An entry is as sure as the weakest of type, scale and meaning. What did not change while sampled is left out: its
    type is a guess, and a guess must not go out as a value.
    """
    names = _names(proposals)
    listed = PointList(
        [
            Point(_own_name(proposal), name=f"{name.en} {name.zh}", unit=unit_text(proposal.point.unit))
            for proposal, name in zip(proposals, names, strict=True)
        ],
        kind=kind,
    )
    meanings = propose(listed, memory)
    points = []
    for proposal, name in zip(proposals, names, strict=True):
        meaning = meanings[_own_name(proposal)]
        guessed = name.en.startswith(_PERHAPS) or proposal.kind == "constant"
        confidence = min(proposal.confidence, proposal.scale_confidence, meaning.confidence)
        if guessed:
            confidence = min(confidence, SURE - 0.01)
        point = proposal.point
        fields: dict[str, object] = {"table": point.table, "address": point.address}
        if point.table not in BIT_TABLES:
            fields |= {"type": point.type, "order": point.order}
        points.append(
            DraftPoint(
                name=_own_name(proposal),
                fields=fields | {"description": f"{name.zh} {name.en}"},
                unit=point.unit,
                scale=point.scale,
                code=meaning.property,
                confidence=round(confidence, 3) if meaning.property else 0.0,
                reason=_reason(proposal, meaning.reason if meaning.property else None),
                nearest=meaning.nearest,
                included=proposal.kind != "constant",
                said=f"{name.en} {name.zh}",
            )
        )
    _doubt_twins(points)
    return points


def _doubt_twins(points: Sequence[DraftPoint]) -> None:
    """Let nobody be sure where two points of one machine seem to be the same thing."""
    counts = Counter(point.code for point in points if point.code)
    for point in points:
        if point.code and counts[point.code] > 1:
            point.confidence = min(point.confidence, SURE - 0.01)


def _own_name(proposal: Proposal) -> str:
    return f"{proposal.point.table}-{proposal.point.address}"


def _reason(proposal: Proposal, meaning: Text | None) -> Text:
    """Say how it is read, then the evidence, each law once, then why the entry."""
    kind = f"{proposal.point.type} {proposal.point.order}"
    reasons = [*proposal.reasons]
    if not reasons or kind not in reasons[0].en:
        reasons.insert(0, Text(f"read as {kind}", f"按 {kind} 读取"))
    laws = {re.split(r", | holds with ", reason.en)[0]: reason for reason in reversed(reasons)}
    reasons = [reason for reason in reasons if reason in laws.values()] + ([meaning] if meaning else [])
    return Text("; ".join(reason.en for reason in reasons), "；".join(reason.zh for reason in reasons))


def _names(proposals: Sequence[Proposal]) -> list[Text]:
    names = [proposal.quantity for proposal in proposals]
    for first, count in _runs(proposals):
        if count not in {3, 4}:
            continue
        run = proposals[first : first + count]
        phases, quantity = run[:3], run[0].quantity
        total = count == 4 and _near(run[3].value, sum(p.value for p in phases))
        if count == 4 and not total:
            continue
        between = run[0].point.unit == "VLT" and min(p.value for p in phases) > _HIGH_VOLTAGE_V
        for number, (phase, pair) in enumerate(zip("ABC", ("AB", "BC", "CA"), strict=True)):
            names[first + number] = _of_phase(quantity, pair if between else phase, between)
        if total:
            names[first + 3] = Text(f"total {quantity.en}", f"总{quantity.zh}")
    return names


def _of_phase(quantity: Text, phase: str, between: bool) -> Text:
    if quantity.en == "mains voltage":
        return (
            Text(f"line voltage U{phase.lower()}", f"{phase} 线电压")
            if between
            else Text(f"phase {phase} voltage", f"{phase}相电压")
        )
    return Text(f"phase {phase} {quantity.en}", f"{phase}相{quantity.zh}")


def _runs(proposals: Sequence[Proposal]) -> list[tuple[int, int]]:
    """Return (first, count) of proposals side by side that are of one proved quantity and one type."""
    runs: list[tuple[int, int]] = []
    start = 0
    for place in range(1, len(proposals) + 1):
        if place < len(proposals) and _follows(proposals[place - 1], proposals[place]):
            continue
        if not proposals[start].quantity.en.startswith((_PERHAPS, "number")):
            runs.append((start, place - start))
        start = place
    return runs


def _follows(one: Proposal, other: Proposal) -> bool:
    return (
        one.quantity == other.quantity
        and one.kind != "constant" != other.kind
        and (one.point.table, one.point.type) == (other.point.table, other.point.type)
        and other.point.address == one.point.address + one.point.width
    )


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 0.05 * max(abs(one), abs(other))
