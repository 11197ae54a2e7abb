"""Sentences for people, always in both languages of the product.

A message is written once, where the fact is known, in English and Chinese side by side, so that the two cannot drift
apart and no catalogue of message keys has to be kept. Whoever shows it decides the language.
"""

from __future__ import annotations

import locale
import os
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Text(NamedTuple):
    """One sentence in English and in Chinese."""

    en: str
    zh: str

    def to(self, language: Language) -> str:
        """Return the sentence in `language`."""
        return self.zh if language == "zh" else self.en


def choose_language(wanted: str | None = None) -> Language:
    """Return the language to speak: `wanted` if given, else the one of the shell's locale, else English.

    `wanted` may be any BCP 47 or POSIX tag ("zh", "zh-CN", "zh_CN.UTF-8", "en-GB"); whatever is not Chinese is English.
    """
    for tag in (wanted, os.environ.get("LC_ALL"), os.environ.get("LC_MESSAGES"), os.environ.get("LANG")):
        if tag:
            return "zh" if tag.lower().startswith("zh") else "en"
    tag = locale.getlocale()[0]
    return "zh" if tag and tag.lower().startswith(("zh", "chinese")) else "en"
