"""The two failures of this room, as sentences for people in both languages of the product.

This room imports nothing of ours, so that a model can be made and judged on a machine that has nothing else installed;
whoever uses it turns these into the errors of their own room.
"""

from __future__ import annotations

import locale
import os
from typing import Literal

Language = Literal["en", "zh"]


def choose_language(wanted: str | None = None) -> Language:
    """Return the language to speak: `wanted` if given, else the one of the shell's locale, else English."""
    for tag in (wanted, os.environ.get("LC_ALL"), os.environ.get("LC_MESSAGES"), os.environ.get("LANG")):
        if tag:
            return "zh" if tag.lower().startswith("zh") else "en"
    tag = locale.getlocale()[0]
    return "zh" if tag and tag.lower().startswith(("zh", "chinese")) else "en"


class ModelError(Exception):
    """A failure a person can act on: what is wrong and where, with the mend in the same sentence.

    Args:
        reason: the stable name of the failure, for programs ("altered", "operator", "no_pictures").
        en: one sentence in English.
        zh: the same sentence in Chinese.
    """

    def __init__(self, reason: str, en: str, zh: str) -> None:
        super().__init__(en)
        self.reason = reason
        self.en = en
        self.zh = zh

    def explain(self, language: Language) -> str:
        """Return the sentence in `language`."""
        return self.zh if language == "zh" else self.en


class BundleRefused(ModelError):
    """A model that must not run here. `reason` names the rule it breaks."""


class InputError(ModelError):
    """Pictures, a recipe or a key that cannot be used."""
