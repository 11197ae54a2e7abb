"""The four fates of a failure. Every room turns a library's exception into one of these, once, where it happens.

SunmaoError
 +-- ConfigError   we were told something wrong      -> stop, say which key and how to mend it        exit 2
 +-- Unreachable   nobody answered                   -> retry with back-off, log once, once when back exit 3
 +-- Refused       the other side answered "no"      -> ask a human; retry slowly                     exit 3
 +-- Malformed     the other side answered nonsense  -> drop the connection, count it, never guess    exit 3
"""

from __future__ import annotations

from typing import ClassVar

from protocols.text import Language, Text


class SunmaoError(Exception):
    """A failure a person can act on.

    Args:
        what: what went wrong and where (name the device, the file, the address).
        mend: what the reader can do about it.
        key: the configuration key, point or address concerned, in the notation its owner uses.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: Text, mend: Text | None = None, *, key: str | None = None) -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend
        self.key = key

    def explain(self, language: Language) -> str:
        """Return one line for a person: where, what, and how to mend it."""
        where = f"{self.key}: " if self.key else ""
        mend = f" - {self.mend.to(language)}" if self.mend else ""
        return f"{where}{self.what.to(language)}{mend}"

    def __str__(self) -> str:
        return self.explain("en")


class ConfigError(SunmaoError):
    """Wrong configuration. Retrying cannot help; the message names the key and the mend."""

    exit_code = 2


class Unreachable(SunmaoError):
    """No answer from the other side. Retry with back-off.

    `answered`: something took the connection and then failed, so that each further try costs it work; it is tried ever
    more slowly, unlike an address where nobody listens.
    """

    exit_code = 3
    answered = False


class Refused(SunmaoError):
    """A clear "no": not trusted, not allowed, not supported. A human has to act."""

    exit_code = 3


class Malformed(SunmaoError):
    """An answer that breaks the protocol. The connection is dropped and no value is taken from it."""

    exit_code = 3
