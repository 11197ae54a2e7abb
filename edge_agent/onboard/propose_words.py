"""Finds the known words that an unknown Latin word was meant to be: glued, shortened or misspelled ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

SHORTEST_PREFIX = 4
SHORTEST_SKELETON = 3
"""Letters that a word cut short ("accum") and a word without its vowels ("rdy") have at least."""

SHORTEST_FRONT, SHORTEST_HEAD = 3, 5
"""Letters that the parts of a German compound have at least, of which only the second is known."""

VOWELS = frozenset("aeiou")
SOUND_ALIKE = (VOWELS | {"y"}, frozenset("ckq"), frozenset("sz"), frozenset("fv"))


class Vocabulary:
    """Known words with what they mean; `repair` leads unknown words back to them.

    `single` are those of the words that people write as one: only these are shortened. `nouns` are those of them that
    may be the head of a compound.
    """

    def __init__(self, meaning: Mapping[str, tuple[str, ...]], single: Iterable[str], nouns: Iterable[str]) -> None:
        self._words = frozenset(meaning)
        self._nouns = frozenset(nouns)
        meaning = {word: meaning[word] for word in single}
        self._prefixes = _unambiguous(
            (word[:length], word, meaning[word])
            for word in meaning
            for length in range(SHORTEST_PREFIX, len(word))
            if len(word) > SHORTEST_PREFIX + 1
        )
        self._skeletons = _unambiguous(
            (skeleton, word, meaning[word])
            for word in meaning
            if len(word) > 3 and len(skeleton := _skeleton(word)) >= SHORTEST_SKELETON
        )
        self._repaired: dict[str, tuple[str, ...]] = {}

    def repair(self, word: str) -> tuple[str, ...]:
        """Return the known words that `word` was meant to be; () where it is not known at all."""
        if word not in self._repaired:
            self._repaired[word] = (
                self._singular(word)
                or self._abbreviated(word)
                or split(word, self._words)
                or self._cut_short(word)
                or _nearest(word, self._words)
            )
        return self._repaired[word]

    def head(self, word: str) -> str:
        """Return the known word that a German compound ends with, "pumpe" of "heizkreispumpe"; "" where there is none."""
        ends = (word[at:] for at in range(SHORTEST_FRONT, len(word) - SHORTEST_HEAD + 1))
        return next((end for end in ends if end in self._nouns), "")

    def _singular(self, word: str) -> tuple[str, ...]:
        stems = [word.removesuffix(ending) for ending in ("s", "es") if word.endswith(ending)]
        return next(((stem,) for stem in stems if stem in self._words), ())

    def _abbreviated(self, word: str) -> tuple[str, ...]:
        if len(word) < SHORTEST_SKELETON + (word[0] in VOWELS) or VOWELS & set(word[1:]):
            return ()
        found = self._skeletons.get(_skeleton(word))
        return (found,) if found else ()

    def _cut_short(self, word: str) -> tuple[str, ...]:
        found = self._prefixes.get(word)
        return (found,) if found else ()


def _unambiguous(entries: Iterable[tuple[str, str, tuple[str, ...]]]) -> dict[str, str]:
    """Return short form -> the shortest word for it, of those short forms that can mean one thing only."""
    found: dict[str, dict[tuple[str, ...], str]] = defaultdict(dict)
    for short, word, means in entries:
        known = found[short].get(means)
        if known is None or (len(word), word) < (len(known), known):
            found[short][means] = word
    return {short: next(iter(words.values())) for short, words in found.items() if len(words) == 1}


def _skeleton(word: str) -> str:
    """Return `word` without the vowels after its first letter, doubled letters once: "flt" for "fault"."""
    letters = [word[0]]
    for letter in word[1:]:
        if letter not in VOWELS and letter != letters[-1]:
            letters.append(letter)
    return "".join(letters)


def split(word: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return known words of which `word` is made without a gap, as few as possible; () where there are none."""
    best: list[tuple[str, ...] | None] = [()] + [None] * len(word)
    for end in range(3, len(word) + 1):
        for start in range(end - 2):
            before = best[start]
            if before is None or word[start:end] not in known:
                continue
            found = best[end]
            if found is None or len(before) + 1 < len(found):
                best[end] = (*before, word[start:end])
    return best[-1] or ()


def _nearest(word: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return the one known word that differs by one letter (two in long words) and begins alike; short ones end alike."""
    if len(word) < 5:
        return ()
    allowed = 1 if len(word) < 11 else 2
    last = word[-1] if len(word) < 7 else ""
    alike = sorted(
        (gap, other)
        for other in known
        if other[0] == word[0] and other.endswith(last) and abs(len(other) - len(word)) <= allowed and len(other) > 4
        if len(other) != len(word) or len(word) > 7 or sorted(other) == sorted(word)
        if (gap := _edits(word, other, allowed)) <= allowed
    )
    return (alike[0][1],) if alike else ()


def _swap(letter: str, opposite: str, most: int) -> int:
    """Return what writing `letter` for `opposite` costs: 1 for letters that sound alike, too much for any other.

    "Invertor" and "indikator" are misspelled; "laser" is no lager, "change" no charge and "warming" no warning.
    """
    if letter == opposite:
        return 0
    return 1 if any(letter in alike and opposite in alike for alike in SOUND_ALIKE) else most + 1


def _edits(one: str, other: str, most: int) -> int:
    """Return the Damerau-Levenshtein distance (optimal string alignment), or more than `most` as soon as it exceeds it."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        following = [i]
        for j, opposite in enumerate(other, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + _swap(letter, opposite, most))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == opposite:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        if min(following) > most:
            return most + 1
        before, row = row, following
    return row[-1]
