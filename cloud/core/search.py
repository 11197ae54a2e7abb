"""Finds things by what people type: names in either language, pinyin or its initials, codes, where they stand."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

MOST_TYPED = 100
"""Characters that are looked at of what somebody types."""

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


def words_of(typed: str) -> list[str]:
    """Return the words somebody typed, as they are compared."""
    return folded(typed[:MOST_TYPED]).split()


def rank(word: str, texts: Iterable[tuple[int, str]]) -> int | None:
    """Return how far from the best `word` describes numbered `texts`: a low number and a beginning come first; None if not."""
    ranks = [2 * number + (not form.startswith(word)) for number, text in texts for form in forms(text) if word in form]
    return min(ranks, default=None)


class Search(Generic[K]):
    """Things by the texts that describe them, the most telling text first."""

    def __init__(self, described: Iterable[tuple[K, Sequence[str]]]) -> None:
        self._described = [(key, tuple(enumerate(texts))) for key, texts in described]

    def find(self, typed: str, most: int) -> list[K]:
        """Return at most `most` things that every word of `typed` describes, best first; none where nothing is typed."""
        words = words_of(typed)
        if not words:
            return []
        found = []
        for place, (key, texts) in enumerate(self._described):
            ranks = [rank(word, texts) for word in words]
            if None not in ranks:
                found.append((sum(one for one in ranks if one is not None), place, key))
        return [key for _, _, key in sorted(found, key=lambda each: each[:2])[:most]]
