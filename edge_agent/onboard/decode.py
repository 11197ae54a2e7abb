"""Proposes how to read a Modbus device nobody has a template of, from samples of its registers: `sunmao-edge decode`.

`decode_layout` finds which registers belong together and how they are read, `decode_physics` what they are to each
other and so their scales. Nothing here is certain: every point carries a confidence and its reasons, and where only
habit speaks for a scale, the other candidates are named in their order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edge_agent.onboard.decode_layout import find_layout
from edge_agent.onboard.decode_physics import explain
from edge_agent.onboard.decode_quantities import EXPONENTS, IMPOSSIBLE, QUANTITIES, Kind, Signal, likelihood
from protocols.modbus.config import BIT_TABLES, ModbusPoint, Table
from protocols.text import Text

Snapshots = Sequence[tuple[float, Mapping[int, int]]]
"""Instants (seconds) with what one table held: address -> raw register, or bit, at that instant."""

FEWEST = 3
"""Snapshots below which nothing can be said."""

_SIGNED_BY_NATURE = {"temperature", "power", "reactive_power", "power_factor"}


class Proposal(NamedTuple):
    """One point as proposed.

    Attributes:
        point: ready for a template or the agent's configuration.
        kind: gauge, counter, state, or constant for what did not change.
        quantity: what it probably is; "number" where nothing tells.
        confidence: that type and order are right, 0..1.
        scale_confidence: that the scale is right, 0..1.
        scales: the candidates for the scale, the proposed one first.
        reasons: the evidence in words.
        value: the last value, by the proposal.
    """

    point: ModbusPoint
    kind: Kind
    quantity: Text
    confidence: float
    scale_confidence: float
    scales: tuple[float, ...]
    reasons: tuple[Text, ...]
    value: float


def decode(snapshots: Mapping[Table, Snapshots]) -> list[Proposal]:
    """Return a proposal for every register and bit seen in all snapshots of its table, by table and address.

    Sixty snapshots over a minute or more are a good measure; with fewer than `FEWEST` nothing is proposed. A register
    missing from a snapshot of its table (its request was not answered) leaves that snapshot out.
    """
    signals: list[Signal] = []
    bits: list[Proposal] = []
    for table, shots in snapshots.items():
        known = set().union(*(held for _, held in shots)) if shots else set()
        whole = [(time, held) for time, held in shots if held.keys() >= known]
        if len(whole) < FEWEST:
            continue
        columns = {address: [held[address] for _, held in whole] for address in sorted(known)}
        if table in BIT_TABLES:
            bits += [_bit(table, address, values) for address, values in columns.items()]
        else:
            times = [time for time, _ in whole]
            signals += [Signal(table, layout, times) for layout in find_layout(columns)]
    explain(signals)
    return sorted([_proposal(signal) for signal in signals] + bits, key=lambda p: (p.point.table, p.point.address))


def point_toml(proposal: Proposal, language: str) -> str:
    """Return the `[[point]]` table of a template for `proposal`, with its reasons as comments in `language`."""
    point = proposal.point
    written: dict[str, Any] = {"name": point.name, "table": point.table, "address": point.address}
    if point.table not in BIT_TABLES:
        written |= {"type": point.type, "order": point.order, "scale": point.scale}
    if point.unit:
        written["unit"] = point.unit
    written["description"] = point.description
    lines = [f"# {reason.zh if language == 'zh' else reason.en}" for reason in proposal.reasons]
    quoted = [f"{key} = {_toml(value)}" for key, value in written.items()]
    return "\n".join([*lines, "[[point]]", *quoted]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _bit(table: Table, address: int, values: Sequence[int]) -> Proposal:
    live = len(set(values)) > 1
    name = Text("on or off", "开关量")
    point = ModbusPoint.model_validate({"name": f"{table}-{address}", "table": table, "address": address})
    return Proposal(
        point, "state" if live else "constant", name, 0.99, 0.99, (1.0,),
        (Text("a table of single bits", "该数据表存放单个位"),), float(values[-1]),
    )  # fmt: skip


def _proposal(signal: Signal) -> Proposal:
    layout, quantity = signal.layout, QUANTITIES[signal.code]
    exponent, unit, name = signal.exponent, quantity.unit, quantity.name
    if not signal.clues:  # the usual range of a quantity is no proof of it: a scale is proposed, a unit is not
        unit = ""
        if signal.code != "number":
            name = Text(f"perhaps {name.en}", f"可能是{name.zh}")
    if unit in _KILO and exponent >= 1:  # a manual that counts in hundreds of watts means tenths of a kilowatt
        exponent, unit = exponent - 3, _KILO[unit]
    kind = layout.type
    if not layout.sign_seen and kind in {"uint16", "uint32"} and signal.code in _SIGNED_BY_NATURE:
        kind = "int16" if kind == "uint16" else "int32"
    point = ModbusPoint.model_validate(
        {
            "name": f"{signal.table}-{layout.address}",
            "table": signal.table,
            "address": layout.address,
            "type": kind,
            "order": layout.order,
            "scale": float(f"1e{exponent}"),
            "unit": unit or None,
            "description": name.en,
        }
    )
    shift = exponent - signal.exponent  # by the change to kilowatts
    others = [e for e in _candidates(signal) if e != signal.exponent]
    scales = (point.scale, *(float(f"1e{e + shift}") for e in others[:2]))
    return Proposal(
        point,
        signal.kind,
        name,
        layout.confidence,
        _scale_confidence(signal),
        scales,
        tuple(_reasons(signal, scales)),
        signal.values[-1] * point.scale,
    )


_KILO = {"WTT": "KWT", "D46": "KVA", "D44": "KVR"}


def _candidates(signal: Signal) -> list[int]:
    """Return the powers of ten that any quantity of this signal allows, likeliest first."""
    scores = {e: max(likelihood(signal, code, e) for code in QUANTITIES) for e in EXPONENTS}
    return sorted((e for e in scores if scores[e] > IMPOSSIBLE), key=lambda e: -scores[e])


def _scale_confidence(signal: Signal) -> float:
    """Return 1 / (1 + 2^-bits): at most 0.97 with a law behind it, at most 0.7 by habit alone."""
    if signal.kind == "constant":
        return 0.3
    return min(0.97 if signal.clues else 0.7, 1 / (1 + math.pow(2.0, -min(signal.bits, 60.0))))


def _reasons(signal: Signal, scales: Sequence[float]) -> list[Text]:
    layout = signal.layout
    reasons = []
    if signal.kind == "constant":
        reasons.append(
            Text("did not change while sampled: type and scale are guesses", "采样期间未变化，类型与比例只是推测")
        )
    elif layout.rival:
        sure = Text("by far", "明显") if layout.margin > 10 else Text("somewhat", "略")
        reasons.append(
            Text(
                f"as {layout.type} {layout.order} it moves in small steps; {sure.en} better than {layout.rival}",
                f"按 {layout.type} {layout.order} 读取时变化平滑，{sure.zh}优于 {layout.rival}",
            )
        )
    if not layout.sign_seen and layout.type.startswith("uint") and signal.kind != "constant":
        reasons.append(Text("no negative value was seen", "采样期间未出现负值，无法判断是否有符号"))
    reasons += signal.clues
    if not signal.clues and signal.whole and len(scales) > 1 and signal.kind != "constant":
        listed = ", ".join(f"{scale:g}" for scale in scales)
        reasons.append(
            Text(
                f"no law decides the scale; candidates in order: {listed}",
                f"没有物理关系可确定比例，候选依次为 {listed}",
            )
        )
    return reasons
