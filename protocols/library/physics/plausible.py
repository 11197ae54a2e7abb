"""A believable value for any point the machine models do not know: smooth, in the usual range, counters only rising."""

from __future__ import annotations

from protocols.dictionary.entries import Entry
from protocols.library.physics.seeded import below, drift
from protocols.reading import Value

_USUAL = {
    "AMP": (8.0, 14.0),
    "BAR": (2.0, 4.0),
    "CEL": (30.0, 45.0),
    "HTZ": (49.9, 50.1),
    "HUR": (100.0, 110.0),
    "KEL": (4.0, 8.0),
    "KVA": (5.0, 9.0),
    "KVR": (1.0, 3.0),
    "KWH": (1.0, 3.0),
    "KWT": (4.0, 8.0),
    "MMT": (10.0, 20.0),
    "P1": (40.0, 60.0),
    "RPM": (900.0, 1100.0),
    "SEC": (5.0, 8.0),
    "VLT": (225.0, 235.0),
}
"""What a small factory usually sees, by the unit of the dictionary entry; elsewhere a fifth to two fifths of the range."""

_STEP_S = 60.0


def plausible_value(entry: Entry, name: str, seed: int, seconds: float) -> Value:
    """Return a value of `entry` in its unit for the point `name`, `seconds` after the start.

    Numbers wander smoothly with a period of 60 s; booleans and codes hold for whole minutes; counters start at a seeded
    reading and rise by one an hour (measures) or one in ten seconds (counts), up to the typical maximum.
    """
    if entry.data_type == "STRING":
        return f"{name[:12]}-{below(10000, seed, name):04d}"
    if entry.data_type == "BOOLEAN":
        return below(2, seed, name, int(seconds // _STEP_S)) == 1
    whole = entry.data_type == "INTEGER_COUNT"
    if entry.aggregation == "counter_delta":
        limit = entry.typical_max if entry.typical_max is not None else 1e9
        count = below(10000, seed, name) + seconds / (10.0 if whole else 3600.0)
        return min(int(count) if whole else count, int(limit) if whole else limit)
    if whole and entry.values:
        return sorted(entry.values)[below(len(entry.values), seed, name, int(seconds // _STEP_S))]
    low, high = usual_range(entry)
    value = low + (high - low) * (1 + drift(seed, name, seconds, _STEP_S)) / 2
    return round(value) if whole else value


def usual_range(entry: Entry) -> tuple[float, float]:
    """Return between what values a small factory usually sees `entry`, in its unit."""
    least = 0.0 if entry.typical_min is None else entry.typical_min
    most = least + 10 if entry.typical_max is None else entry.typical_max
    low, high = _USUAL.get(entry.unit, (least, most))
    low, high = max(low, least), min(high, most)
    if low < high and (low, high) != (least, most):
        return low, high
    return least + 0.2 * (most - least), least + 0.4 * (most - least)
