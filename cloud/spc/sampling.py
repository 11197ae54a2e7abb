"""Acceptance sampling by attributes: single sampling plans of ISO 2859-1 (GB/T 2828.1), normal and tightened, and switching.

The master tables follow from two sequences, which is how the standard builds them: sample sizes and AQLs both grow by about
10^(1/5), so that a diagonal has the same acceptance number, and a cell between two diagonals points to another plan: tables
2-A and 2-B, the same as II-A and II-B of MIL-STD-105E.
Reduced inspection, double and multiple plans are not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log
from typing import Literal, NamedTuple, get_args

Level = Literal["S-1", "S-2", "S-3", "S-4", "I", "II", "III"]
Severity = Literal["normal", "tightened"]
State = Literal["normal", "tightened", "discontinued"]

LETTERS = "ABCDEFGHJKLMNPQRS"
"""S is no lot's letter: tightened inspection alone points to it."""
SIZES = (2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000, 3150)
AQLS = (0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25, 0.40, 0.65, 1.0, 1.5, 2.5, 4.0, 6.5, 10.0)
"""Per cent nonconforming."""

_LOTS: tuple[tuple[int, str], ...] = (
    # Largest lot, letters of S-1 S-2 S-3 S-4 I II III (ISO 2859-1:1999, table 1).
    (8, "AAAAAAB"),
    (15, "AAAAABC"),
    (25, "AABBBCD"),
    (50, "ABBCCDE"),
    (90, "BBCCCEF"),
    (150, "BBCDDFG"),
    (280, "BCDEEGH"),
    (500, "BCDEFHJ"),
    (1200, "CCEFGJK"),
    (3200, "CDEGHKL"),
    (10_000, "CDFGJLM"),
    (35_000, "CDFHKMN"),
    (150_000, "DEGJLNP"),
    (500_000, "DEGJMPQ"),
    (10**12, "DEHKNQR"),
)
_ACCEPT: dict[Severity, dict[int, int]] = {
    # Acceptance numbers by steps from the diagonal of 0; the cells between have arrows.
    "normal": {0: 0, 3: 1, 4: 2, 5: 3, 6: 5, 7: 7, 8: 10, 9: 14, 10: 21},
    "tightened": {1: 0, 4: 1, 5: 2, 6: 3, 7: 5, 8: 8, 9: 12, 10: 18},
}
_ZERO = 14
"""Index of size and index of AQL add up to this on the diagonal of 0 of normal inspection: n = 13 at AQL 1.0."""


class SamplingPlan(NamedTuple):
    """Inspect `size` parts of the lot; accept it with at most `accept` nonconforming ones. `letter`: of the table row used."""

    letter: str
    size: int
    accept: int

    @property
    def reject(self) -> int:
        """The lot is rejected from so many on."""
        return self.accept + 1


def code_letter(lot: int, level: Level) -> str:
    """Return the code letter of a lot of 2 parts or more."""
    column = get_args(Level).index(level)
    return next(letters[column] for most, letters in _LOTS if lot <= most)


def plan(lot: int, level: Level, aql: float, severity: Severity = "normal") -> SamplingPlan:
    """Return the plan for a lot, `aql` one of `AQLS`. A sample as large as the lot means inspecting all of it."""
    row, column = LETTERS.index(code_letter(lot, level)), AQLS.index(aql)
    found = _nearest(row, column, severity)
    return SamplingPlan(LETTERS[found], min(SIZES[found], lot), _ACCEPT[severity][found + column - _ZERO])


def _nearest(row: int, column: int, severity: Severity) -> int:
    """Return the row whose plan a cell has: its own, or the one its arrow points to."""
    accept = _ACCEPT[severity]
    step = row + column - _ZERO
    zero, one = sorted(accept)[:2]
    last = max(accept)
    # Tightened, two parts of which none may fail are not enough at AQL 10: that cell has an arrow too.
    if step in accept and (severity, row, step) != ("tightened", 0, zero):
        return row
    if step < zero:
        return row + zero - step  # arrow down
    if step > last:
        return row + last - step  # arrow up
    up, down = row + zero - step, row + one - step
    if severity == "tightened":
        return down if down < len(SIZES) else up
    # The cell next to 0 points up to it, the other down to 1; at the table's edge there is one way only.
    return down if up < 0 or (step > zero + 1 and down < len(SIZES) - 1) else up


def acceptance(plan: SamplingPlan, share: float) -> float:
    """Return the probability that a lot with this share of nonconforming parts is accepted (binomial)."""
    if share <= 0:
        return 1.0
    ways = lgamma(plan.size + 1)
    return sum(
        exp(ways - lgamma(k + 1) - lgamma(plan.size - k + 1) + k * log(share) + (plan.size - k) * log(1 - share))
        for k in range(min(plan.accept, plan.size) + 1)
    )


def severity_after(accepted: Sequence[bool]) -> State:
    """Return how the next lot is inspected after these, oldest first (ISO 2859-1, 9.3).

    Two of five in a row, or fewer, not accepted: tightened. Five in a row accepted under tightened: normal again. Five not
    accepted under tightened, counted together: inspection is discontinued until the supplier has improved.
    """
    state: State = "normal"
    recent: list[bool] = []
    failed = 0
    for each in accepted:
        recent.append(each)
        if state == "normal" and recent[-5:].count(False) >= 2:
            state, recent, failed = "tightened", [], 0
        elif state == "tightened":
            failed += not each
            if failed >= 5:
                return "discontinued"
            if len(recent) >= 5 and all(recent[-5:]):
                state, recent = "normal", []
    return state
