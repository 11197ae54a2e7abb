"""One-time codes, made to be read out over the phone and typed on a box or a page."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U. Twelve characters are 60 bits."""
_GROUPS, _GROUP = 3, 4
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code() -> str:
    """Return a random code such as K7QF-3XWD-9MPA."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def canonical(typed: str) -> str:
    """Return what was meant by `typed`: case, separators and lookalikes do not matter."""
    return "".join(typed.upper().translate(_LOOKALIKES).replace("-", " ").split())
