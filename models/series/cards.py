"""Cards and gates that all models of series share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from models.card import LimitCard, TensorCard
from models.conformal import conformal_quantile, wilson_interval
from models.errors import InputError
from models.graph import FLOAT, Signature

PARITY_LIMIT = 1e-4
"""Largest difference between the numpy definition and the graph (relative above 1)."""


def limit_card(healthy: npt.NDArray[np.float64], rate: float, margin: float, independent: int) -> LimitCard:
    """Return the limit that a share `rate` of `healthy` scores exceeds, times `margin`; `independent`: how many count."""
    value, _ = conformal_quantile(healthy, rate)
    value = float(np.float32(margin * value))  # as the graph holds it
    measured = float(np.mean(healthy > value))
    low, high = wilson_interval(measured * independent, independent)
    return LimitCard(
        value=value, wanted=rate, measured=measured, low=low, high=high, provisional=independent < 1 / rate - 1
    )


def tensor_cards(signature: Signature) -> list[TensorCard]:
    """Return the card's words for a graph's inputs or outputs."""
    return [
        TensorCard(name, "float32" if kind == FLOAT else "int64", list(shape))
        for name, (kind, shape) in signature.items()
    ]


def recipe_card(recipe: msgspec.Struct, found: Mapping[str, str | float] = {}) -> dict[str, str | int | float]:
    """Return what the card keeps of a recipe, and of what the fit chose itself."""
    kept = {key: value for key, value in msgspec.to_builtins(recipe).items() if key not in {"name", "version"}}
    return kept | dict(found)


def gap_of(pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> float:
    """Return the largest difference of (answer, expected), relative where the expected is above 1."""
    gap = 0.0
    for answer, expected in pairs:
        wanted = np.asarray(expected)
        gap = max(gap, float(np.max(np.abs(answer - wanted) / np.maximum(np.abs(wanted), 1))))
    return gap


def gate(parity: float) -> float:
    """Return `parity` if it is small enough for a release; raises InputError otherwise."""
    if not parity <= PARITY_LIMIT:
        raise InputError(
            "parity",
            f"no release: the graph differs from its definition by {parity:.1e}, more than {PARITY_LIMIT:g}",
            f"不予发布：计算图与定义相差 {parity:.1e}，超过 {PARITY_LIMIT:g}",
        )
    return parity
