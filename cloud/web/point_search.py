"""Finds points by what people type: names in either language, pinyin or its initials, codes, machines and where they stand."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@lru_cache(maxsize=20_000)
def forms(text: str) -> tuple[str, ...]:
    """Return how `text` may be typed: folded, as pinyin without tones or blanks, and as the initials of the pinyin."""
    plain = folded(text)
    if plain.isascii():
        return (plain,)
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415 - its dictionary takes a second to load

    return (plain, "".join(lazy_pinyin(plain)), "".join(lazy_pinyin(plain, style=Style.FIRST_LETTER)))


def folded(text: str) -> str:
    """Return `text` as it is compared: full-width letters as narrow ones, upper case as lower (Unicode NFKC, case fold)."""
    return unicodedata.normalize("NFKC", text).casefold()


class PointSearch(Generic[K]):
    """Things by the texts that describe them, the most telling text first."""

    def __init__(self, described: Iterable[tuple[K, Sequence[str]]]) -> None:
        self._described = [(key, tuple(texts)) for key, texts in described]

    def find(self, typed: str, most: int) -> list[K]:
        """Return at most `most` things that every word of `typed` describes, best first; none where nothing is typed."""
        words = folded(typed).split()
        if not words:
            return []
        found = []
        for place, (key, texts) in enumerate(self._described):
            ranks = [_rank(word, texts) for word in words]
            if None not in ranks:
                found.append((sum(rank for rank in ranks if rank is not None), place, key))
        return [key for _, _, key in sorted(found, key=lambda each: each[:2])[:most]]


def _rank(word: str, texts: Sequence[str]) -> int | None:
    """Return how far from the best `word` describes `texts`: an early text and its beginning come first."""
    ranks = [
        2 * number + (not form.startswith(word))
        for number, text in enumerate(texts)
        for form in forms(text)
        if word in form
    ]
    return min(ranks, default=None)
