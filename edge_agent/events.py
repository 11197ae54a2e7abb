"""Things that happen at the edge and that people should hear of: one log line here, one event in the cloud."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from uuid import UUID

from protocols.reading import now_us
from protocols.text import Language, Text
from protocols.uplink.messages import Event

Announce = Callable[[str, str, Text], None]
"""Announces (device or "", kind, sentence)."""

_log = logging.getLogger("sunmao.edge")


def uuid7() -> str:
    """Return a new UUID version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then random bits."""
    bits = (now_us() // 1000 & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10))
    return str(UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def _storable(sentence: str) -> str:
    """Return `sentence` as every database holds it; it may quote a file name or an answer that is no Unicode."""
    return sentence.encode("utf-8", "replace").decode().replace("\0", "?")


def announcer(add_event: Callable[[Event], None], language: Language) -> Announce:
    """Return what logs a sentence in `language` and adds it, in both languages, as an event."""

    def announce(device: str, kind: str, text: Text) -> None:
        said = Text(_storable(text.en), _storable(text.zh))
        _log.warning("%s%s", f"{device}: " if device else "", said.to(language))
        add_event(Event(uuid7(), device, now_us(), kind, said.en, said.zh))

    return announce
