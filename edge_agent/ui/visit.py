"""One look at a page: which language is read, and the workplace it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from protocols.text import LANGUAGES, Language, Text

if TYPE_CHECKING:
    from edge_agent.ui.workplace import Workplace

COOKIE = "sunmao_language"
"""Remembers the choice made with the switch; it overrides what the browser asks for."""


@dataclass(frozen=True)
class Visit:
    """A technician on a page."""

    request: Request
    language: Language
    workplace: Workplace

    @property
    def here(self) -> str:
        """The page's own address, to come back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def say(self, text: Text, **values: object) -> str:
        """Return `text` in the reader's language, with `values` in its braces."""
        return text.to(self.language).format(**values) if values else text.to(self.language)


def language_of(request: Request) -> Language:
    """Return the language chosen with the switch, else the one the browser prefers, else English."""
    chosen = request.cookies.get(COOKIE)
    for language in LANGUAGES:
        if chosen == language:
            return language
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()
        for language in LANGUAGES:
            if tag.startswith(language):
                return language
    return "en"
