"""The tools of the laws between points: when one holds, and what it ties together.

A law that holds ties the scales of its points: if one is known, all are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from edge_agent.onboard.decode_quantities import EXPONENTS, IMPOSSIBLE, QUANTITIES, Signal, likelihood
from protocols.text import Text

_LAW_BITS = 12.0

_NEIGHBOURS = 48
"""Points among which the partners of one are looked for: makers keep together what belongs together, and the number of
triples in a large device grows with the third power."""


_GUESSED = [code for code, quantity in QUANTITIES.items() if quantity.likely > -2.5]
"""Quantities that a point without partners may be taken for; the others need a law."""


class Ties:
    """Signals whose scales are tied: exponent(signal) = exponent(root) + offset."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        self._root = {id(signal): (signal, 0) for signal in signals}
        self.members = {id(signal): [signal] for signal in signals}

    def offset(self, signal: Signal) -> tuple[Signal, int]:
        """Return the root of `signal` and its offset from it."""
        return self._root[id(signal)]

    def group(self, signal: Signal) -> list[Signal]:
        """Return all signals tied to `signal`, itself among them."""
        return self.members[id(self.offset(signal)[0])]

    def tie(self, one: Signal, other: Signal, difference: int) -> bool:
        """Note that exponent(one) - exponent(other) = `difference`; False where that contradicts what is known."""
        (root, mine), (other_root, theirs) = self.offset(one), self.offset(other)
        if root is other_root:
            return mine - theirs == difference
        moved = mine - theirs - difference
        for member in self.members.pop(id(other_root)):
            self._root[id(member)] = (root, self._root[id(member)][1] + moved)
            self.members[id(root)].append(member)
        return True


def best_quantity(signal: Signal, exponent: int) -> tuple[str, float]:
    """Return the likeliest quantity of `signal` at this scale, with its bits; out of every range costs 30."""
    if signal.kind == "state":
        return "number", -30.0 * abs(exponent)
    if not -6 <= exponent <= 4:
        return signal.code or "number", -60.0
    counts = signal.kind == "counter" and signal.layout.width > 1
    codes = [signal.code] if signal.code else ["energy", "number"] if counts else _GUESSED
    code, bits = max(((code, likelihood(signal, code, exponent)) for code in codes), key=lambda found: found[1])
    return (code, bits) if bits > IMPOSSIBLE else (signal.code or "number", -30.0 - abs(exponent))


def looks(signal: Signal) -> tuple[float, ...]:
    """Return the raw values at the instants at which a law has to hold."""
    return signal.looks


def scale_between(above: Sequence[float], below: Sequence[float], tolerance: float) -> int | None:
    """Return j where |above| is |below| x 10^j at every look within `tolerance` (relative), else None."""
    if not above[0] or not below[0]:
        return None
    j = round(math.log10(abs(above[0] / below[0])))
    level = 10.0**j
    # Nearly all pairs fail at the first look, and there are very many pairs.
    for a, b in zip(above, below, strict=True):
        if not b or abs(abs(a / b) / level - 1) > tolerance:
            return None
    return j


def power_of_ten(ratios: Sequence[float], tolerance: float) -> int | None:
    """Return j where all `ratios` are 10^j within `tolerance` (relative), else None."""
    return scale_between(ratios, (1.0,) * len(ratios), tolerance)


def grain(*signals: Signal) -> float:
    """Return the relative uncertainty that rounding leaves in a product of these signals."""
    return sum(signal.grain for signal in signals)


def quotients(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return |above| / |below| instant by instant; 0 where there is nothing to divide by."""
    return [abs(a / b) if b else 0.0 for a, b in zip(above, below, strict=True)]


def name_signal(signal: Signal, code: str, clue: Text, bits: float = _LAW_BITS) -> None:
    """Take note that `signal` is this quantity, unless it is known already, and why; `bits` is what that is worth."""
    if not signal.code:
        signal.code = code
    if clue not in signal.clues and len(signal.clues) < 3:
        signal.clues.append(clue)
        signal.bits += bits / 2


def exponents(signal: Signal, code: str) -> list[int]:
    """Return the scales at which `signal` may be this quantity, those that manuals use."""
    scales = {*QUANTITIES[code].shares, *QUANTITIES[code].long_shares, 0}
    return [e for e in EXPONENTS if e in scales and likelihood(signal, code, e) > IMPOSSIBLE]


def windows(signals: Sequence[Signal]) -> Iterator[tuple[Signal, Signal, Signal]]:
    """Yield three signals side by side that are read in the same way."""
    by_place = {(signal.table, signal.layout.address): signal for signal in signals}
    for signal in signals:
        width = signal.layout.width
        following = [by_place.get((signal.table, signal.layout.address + i * width)) for i in (1, 2)]
        second, third = following
        if second and third and second.layout.width == third.layout.width == width:
            yield signal, second, third


def nearest(signal: Signal, signals: Sequence[Signal]) -> list[Signal]:
    """Return the signals of the same table nearest to `signal`, at most `_NEIGHBOURS`, without itself."""
    here = [s for s in signals if s.table == signal.table and s is not signal]
    return sorted(here, key=lambda s: abs(s.layout.address - signal.layout.address))[:_NEIGHBOURS]


def law_holds(law: str, *signals: Signal) -> Text:
    """Return the sentence that `law` holds between `signals`."""
    places = ", ".join(signal.place for signal in signals)
    return Text(f"{law} holds with {places}", f"{law} 成立，涉及 {places}")


def mantissa(value: float) -> float:
    """Return the digits of a positive number, 1 to 10."""
    return float(value / 10.0 ** math.floor(math.log10(value)))


def cos_phi_exponent(u: Signal, i: Signal, p: Signal, phases: float = 1.0) -> int | None:
    """Return j where |P| / (phases U I) is 0.6 to 1 times 10^j and much steadier than P, else None."""
    ratios = quotients(looks(p), [phases * a * b for a, b in zip(looks(u), looks(i), strict=True)])
    if min(ratios) <= 0 or max(ratios) / min(ratios) - 1 > max(0.3 * p.spread, 3 * grain(u, i, p)):
        return None
    j = math.ceil(math.log10(max(ratios)) - 0.002)
    return j if min(ratios) / 10.0**j >= 0.6 else None
