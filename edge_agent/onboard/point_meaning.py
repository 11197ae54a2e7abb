"""What an imported point is: the entry filled in where nobody wrote one, and where unit and range contradict it."""

from __future__ import annotations

from edge_agent.onboard.propose import SURE, Proposal
from protocols.dictionary.entries import Entry, load_dictionary
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.text import Text


def fill_in(proposal: Proposal | None, unit: str | None) -> tuple[str | None, Text | None]:
    """Return the entry to take over unread, and what to tell a person about it.

    Args:
        proposal: of a point without an entry.
        unit: the point's unit, None where it has none.
    """
    if proposal is None or proposal.property is None:
        return None, None
    said = f"{proposal.property} ({proposal.confidence:.0%})"
    why = _unfit(load_dictionary()[proposal.property], unit, proposal.confidence)
    if why is not None:
        return None, Text(f"perhaps {said}, not filled in: {why.en}", f"可能是 {said}，未填入：{why.zh}")
    return proposal.property, Text(
        f"proposed {said}: {proposal.reason.en}", f"按建议填入 {said}：{proposal.reason.zh}"
    )  # fmt: skip


def contradiction(point: PointConfig) -> Text | None:
    """Return how a point's unit contradicts its entry; None where it does not."""
    if point.property is None:
        return None
    entry = load_dictionary()[point.property]
    try:
        entry.conversion_from(point.unit or entry.unit)
    except ConfigError as error:
        mend = Text(f" - {error.mend.en}", f" - {error.mend.zh}") if error.mend else Text("", "")
        return Text(
            f"unit and entry '{entry.code}' contradict each other: {error.what.en}{mend.en}",
            f"单位与条目“{entry.code}”矛盾：{error.what.zh}{mend.zh}",
        )
    return None


def wider_range(point: PointConfig) -> Text | None:
    """Return how far a point's own range reaches beyond what is usual for its entry; None where it does not."""
    if point.property is None:
        return None
    entry = load_dictionary()[point.property]
    factor, offset = entry.conversion_from(point.unit or entry.unit)
    low, high = (None if bound is None else bound * factor + offset for bound in (point.low, point.high))
    below = low is not None and entry.typical_min is not None and low < entry.typical_min
    above = high is not None and entry.typical_max is not None and high > entry.typical_max
    if not below and not above:
        return None
    own, usual = _span(low, high, entry), _span(entry.typical_min, entry.typical_max, entry)
    return Text(
        f"the device's range {own} is wider than usual for '{entry.code}', {usual}; the device's counts",
        f"设备量程 {own} 超出“{entry.code}”的常见范围 {usual}；以设备量程为准",
    )


def _unfit(entry: Entry, unit: str | None, confidence: float) -> Text | None:
    """Say why a person has to decide; None where the proposal can be taken unread."""
    if confidence < SURE:
        return Text("not sure enough", "把握不足")
    if entry.values:
        return Text("compare the device's codes with the dictionary's first", "请先核对设备代码与字典代码")
    try:
        entry.conversion_from(unit or entry.unit)
    except ConfigError as error:
        return error.what
    return None


def _span(low: float | None, high: float | None, entry: Entry) -> str:
    bounds = ["…" if bound is None else f"{bound:g}" for bound in (low, high)]
    return f"{bounds[0]}..{bounds[1]} {entry.unit}"
