"""Who may use the pages: everybody at the box itself; over the network whoever has typed the PIN from its terminal.

There is no default password (ETSI EN 303 645, 5.1-1): the PIN is made at random for each start, tries are limited, and
too many wrong ones close the door until the pages are started again. A page of another site cannot use the visitor's
browser to get in: requests must name this host, and what changes anything must come from our own pages.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from http.cookies import SimpleCookie
from ipaddress import ip_address
from time import monotonic
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "sunmao_pairing"
PIN_DIGITS = 8
MOST_TRIES = 20
"""Wrong PINs in all before pairing closes: a guesser's chance stays below one in a million."""

_FREE_TRIES, _WAIT_S = 3, 10.0
"""After so many wrong PINs each further try has to wait."""

_OPEN_PATHS = ("/pair", "/look/", "/language/")


class Pairing:
    """The PIN of this start and the browsers that have shown it.

    Args:
        needed: False lets everybody in, for a host only this box can reach.
        clock: seconds, for tests.
    """

    def __init__(self, needed: bool, clock: Callable[[], float] = monotonic) -> None:
        self.needed = needed
        self.pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"
        self._clock = clock
        self._wrong = 0
        self._next_try = 0.0
        self._tokens: set[str] = set()

    @property
    def closed(self) -> bool:
        """True once too many wrong PINs were tried."""
        return self._wrong >= MOST_TRIES

    @property
    def wait_s(self) -> float:
        """Seconds until the next try is taken."""
        return max(0.0, self._next_try - self._clock())

    def pair(self, pin: str) -> str | None:
        """Return the token of a browser that has shown the PIN; None for a wrong one, or one tried too soon."""
        if self.closed or self.wait_s > 0:
            return None
        if secrets.compare_digest("".join(pin.split()).encode(), self.pin.encode()):
            self._wrong = 0
            token = secrets.token_urlsafe(32)
            self._tokens.add(token)
            return token
        self._wrong += 1
        if self._wrong >= _FREE_TRIES:
            self._next_try = self._clock() + _WAIT_S
        return None

    def knows(self, token: str) -> bool:
        """Return whether a browser with this token has paired since the start."""
        return not self.needed or token in self._tokens


class Gate:
    """Stands before the pages, their web socket included, and lets in whom `Pairing` knows."""

    def __init__(self, app: ASGIApp, pairing: Pairing, local_only: bool) -> None:
        self._app = app
        self._pairing = pairing
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        safe = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        foreign = origin is not None and urlsplit(origin).netloc != host and not safe
        if foreign or (self._local_only and not is_local(host)):
            await self._refuse(scope, receive, send)
        elif scope["path"].startswith(_OPEN_PATHS) or self._pairing.knows(_token(headers)):
            await self._app(scope, receive, send)
        elif safe and not scope["path"].startswith("/_nicegui"):
            await RedirectResponse("/pair", 303)(scope, receive, send)
        else:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
        else:
            await PlainTextResponse("Forbidden", 403)(scope, receive, send)


def is_local(host: str) -> bool:
    """Return whether a Host header names this box to itself; another name means another site's page (DNS rebinding)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _token(headers: Headers) -> str:
    cookie: SimpleCookie = SimpleCookie()
    cookie.load(headers.get("cookie", ""))
    return cookie[COOKIE].value if COOKIE in cookie else ""
