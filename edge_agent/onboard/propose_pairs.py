"""Puts in numbers how near an entry comes to a point: what is worth the same whichever entry it is (`propose_rank`).

How near its readings come and what is amiss with them, whether type, access and class of equipment agree, how alike the
texts are, and whether another point of the device is a better match for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from edge_agent.onboard.propose_concepts import Described
from edge_agent.onboard.propose_context import Device
from edge_agent.onboard.propose_match import PARTS
from edge_agent.onboard.propose_nearest import Nearest
from edge_agent.onboard.propose_text import plain_letters
from protocols.dictionary.entries import Entry, load_dictionary

PAIR_SIGNALS = (
    *("score", "score_high", "score_full", "fits", "fit_score", "lacking", "ruled_out", "not_holding", "evidence"),
    *("left_quantity", "left_subject", "left_qualifier", "left_role", "left_phase", "left_machine"),
    *("preference", "anywhere", "ahead", "behind", "unit_agrees", "unit_missing"),
    *("bool_for_bool", "bool_for_other", "other_for_bool", "text_for_text", "text_for_other"),
    *("written_measure", "written_setting", "read_command", "usual", "own_kind", "generic"),
    *("alike", "alike_share", "better_sibling", "good_sibling", "unknown_fit"),
)
"""The signals by name, in the order of their weights."""

LATIN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
HAN = re.compile(r"[\u3400-\u9fff]+")
"""Words of Latin letters, camelCase and digits parted, and runs of Chinese characters."""

SETTABLE = ("setpoint", "limit", "target", "override", "mode", "remote", "autotune", "address")
"""Parts of the codes of entries whose points somebody sets."""

HIGH, FULL, GOOD = 0.6, 0.93, 0.8
"""Scores from which on more counts twice, that are as good as a whole match, and at which a sibling is good."""


def pair_signals(
    point: Described, device: Device, near: Mapping[str, Nearest], best_of: Mapping[str, float]
) -> dict[str, tuple[float, ...]]:
    """Return for each entry of `near` its signals beside `point`, in the order of PAIR_SIGNALS, each of the order of one.

    `best_of`: the best score that any point of the device has for each entry it fits.
    """
    beside = _Beside(point, device, near, best_of)
    return {code: beside.signals(code) for code in near}


class _Beside:
    """One point, beside which entries are held."""

    def __init__(
        self, point: Described, device: Device, near: Mapping[str, Nearest], best_of: Mapping[str, float]
    ) -> None:
        self._point, self._device, self._near, self._best_of = point, device, near, best_of
        scores = sorted((found.score for found in near.values() if not found.amiss), reverse=True)
        self._top, self._second = [*scores, 0.0, 0.0][:2]
        self._usual = {"generic", "sensor", *device.kinds}.union(*(PARTS.get(kind, ()) for kind in device.kinds))
        self._words = _words(f"{point.point.name} {point.point.description[:80]}")
        self._unknown = min(2.0, sum(point.unknown.values())) / 2.0

    def signals(self, code: str) -> tuple[float, ...]:
        """Return the signals of the entry `code`."""
        entry, found = load_dictionary()[code], self._near[code]
        named = {**self._nearness(found, code), **self._types(entry), **self._texts(code)}
        return tuple(float(named[name]) for name in PAIR_SIGNALS)

    def _nearness(self, found: Nearest, code: str) -> dict[str, float]:
        fits = not found.amiss
        best = self._best_of.get(code, 0.0)
        return {
            "score": found.score,
            "score_high": max(0.0, found.score - HIGH),
            "score_full": found.score > FULL,
            "fits": fits,
            "fit_score": fits * found.score,
            "lacking": min(found.lacking, 2) / 2,
            "ruled_out": min(found.ruled_out, 2) / 2,
            "not_holding": min(found.not_holding, 2) / 2,
            "evidence": min(found.evidence, 3.0) / 3,
            **{
                f"left_{name}": min(found.left.get(name, 0.0), 2.0) / 2
                for name in ("quantity", "subject", "qualifier", "role", "phase")
            },
            "left_machine": found.left.get("machine", 0.0),
            "preference": 1.0 - found.reading.preference,
            "anywhere": found.reading.anywhere,
            "ahead": self._top - self._second if fits and found.score >= self._top else 0.0,
            "behind": fits * (self._top - found.score),
            "better_sibling": max(0.0, best - found.score) if fits else 0.0,
            "good_sibling": best > GOOD,
            "unknown_fit": fits * self._unknown,
        }

    def _types(self, entry: Entry) -> dict[str, float]:
        flags = self._point.flags
        boolean, text, written = "#bool" in flags, "#text" in flags, {"#writable", "#access"} <= flags
        physical = entry.data_type == "REAL_MEASURE" and entry.unit != "C62"
        settable = entry.quantity_kind in {"command", "control_parameter"} or any(p in entry.code for p in SETTABLE)
        return {
            "unit_agrees": physical and bool(self._point.unit_quantity),
            "unit_missing": physical and not self._point.unit_quantity,
            "bool_for_bool": boolean and entry.data_type == "BOOLEAN",
            "bool_for_other": boolean and entry.data_type != "BOOLEAN",
            "other_for_bool": not boolean and entry.data_type == "BOOLEAN",
            "text_for_text": text and entry.data_type == "STRING",
            "text_for_other": text and entry.data_type != "STRING",
            "written_measure": written and not settable,
            "written_setting": written and settable,
            "read_command": "#writable" not in flags and entry.quantity_kind == "command",
            "usual": entry.equipment_class in self._usual,
            "own_kind": entry.equipment_class in self._device.kinds[:1],
            "generic": entry.equipment_class == "generic",
        }

    def _texts(self, code: str) -> dict[str, float]:
        mine, theirs = self._words, _entry_words(code)
        shared = len(mine & theirs)
        return {
            "alike": 2 * shared / (len(mine) + len(theirs)) if shared else 0.0,
            "alike_share": shared / len(mine) if shared else 0.0,
        }


@cache
def _entry_words(code: str) -> frozenset[str]:
    entry = load_dictionary()[code]
    return _words(f"{code.replace('_', ' ')} {entry.name.en} {entry.name.zh}")


def _words(text: str) -> frozenset[str]:
    """Return the Latin words of `text` and its pairs of neighbouring Chinese characters."""
    plain = plain_letters(text)
    words = {word.lower() for word in LATIN.findall(plain) if not word.isdigit()}
    return frozenset(words | {run[at : at + 2] for run in HAN.findall(plain) for at in range(len(run) - 1)})
