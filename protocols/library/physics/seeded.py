"""Randomness as a pure function: the same seed, name and index give the same number in every process and version."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import floor
from typing import TypeVar

T = TypeVar("T")


def unit_interval(seed: int, name: str, index: int = 0) -> float:
    """Return a number in [0, 1), uniform over indices and independent between names."""
    digest = blake2b(f"{seed}/{name}/{index}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def below(limit: int, seed: int, name: str, index: int = 0) -> int:
    """Return a whole number in [0, limit)."""
    return int(unit_interval(seed, name, index) * limit)


def shuffled(items: Sequence[T], seed: int, name: str, index: int = 0) -> list[T]:
    """Return `items` in an order of their own for each index."""
    order = sorted(range(len(items)), key=lambda i: unit_interval(seed, f"{name}/{i}", index))
    return [items[i] for i in order]


def drift(seed: int, name: str, seconds: float, period_s: float) -> float:
    """Return a smooth random walk in [-1, 1]: value noise on a lattice of `period_s`, joined by 3u^2 - 2u^3."""
    cell = floor(seconds / period_s)
    u = seconds / period_s - cell
    here, there = (2 * unit_interval(seed, name, i) - 1 for i in (cell, cell + 1))
    return here + (there - here) * u * u * (3 - 2 * u)
