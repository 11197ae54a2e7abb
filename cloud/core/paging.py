"""Lists of the API in pages: `limit` and `cursor` in the query, the address of the next page in the `Link` header (RFC 8288).

    async def list_things(principal: Reader, page: Paged) -> list[Thing]:
        return page.cut(await things(principal.scope, page.window(BY_NAME)), lambda one: (one.name, one.id))

The body stays the plain array it was before there were pages.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from cloud.core.errors import Invalid
from cloud.core.keyset import Key, Window
from cloud.core.search import MOST_TYPED
from protocols.text import Text

MOST = 1000
"""Rows of a page, also of one that names no limit."""

_T = TypeVar("_T")
_LAST_INTEGER = 2**31 - 1
_NO_CURSOR = Text(
    "`cursor` is none that this list gave: follow the address in the Link header of the page before.",
    "cursor 不是此列表给出的值：请使用上一页 Link 响应头中的地址。",
)


class Page:
    """Which page of a list a request asks for."""

    def __init__(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=MOST, description="Rows of a page.")] = MOST,
        cursor: Annotated[
            str, Query(max_length=2000, description="As in the `Link` header (rel=next) of the page before.")
        ] = "",
    ) -> None:
        self._request, self._response = request, response
        self.limit, self._cursor = limit, cursor

    def window(self, first: Key) -> Window:
        """Return what to read; `first` is a key before all others, whose types a cursor must have. Raises Invalid."""
        return Window(_key(self._cursor, first) if self._cursor else first, self.limit + 1)

    def cut(self, rows: Sequence[_T], key: Callable[[_T], Key]) -> list[_T]:
        """Return the page of `rows` as read for `window`, and tell where the next one is, if there is one."""
        shown = list(rows[: self.limit])
        if len(rows) > self.limit:
            text = json.dumps([part if isinstance(part, int) else str(part) for part in key(shown[-1])])
            cursor = urlsafe_b64encode(text.encode()).decode().rstrip("=")
            _link(self._request, self._response, limit=self.limit, cursor=cursor)
        return shown


class Older:
    """The same header for lists whose next page is asked for by `before`, which the last row of this one says."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request, self._response = request, response

    def after(self, rows: list[_T], most: int, last: Callable[[_T], UUID | int]) -> list[_T]:
        """Return `rows`; where they are `most`, as many as a page has, tell where those before `last` of them are."""
        if len(rows) == most:
            _link(self._request, self._response, before=str(last(rows[-1])))
        return rows


Paged = Annotated[Page, Depends()]
Typed = Annotated[
    str,
    Query(
        max_length=MOST_TYPED,
        description="Words, each part of a name in English or Chinese, of its pinyin or the initials of that, of a code "
        "or of where it stands. The best `limit` are given, best first, without a next page.",
    ),
]
Aged = Annotated[Older, Depends()]


def _link(request: Request, response: Response, **query: str | int) -> None:
    url = request.url.include_query_params(**query)
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'


def _key(cursor: str, first: Key) -> Key:
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        found = tuple(_part(part, like) for part, like in zip(parts, first, strict=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(_NO_CURSOR) from error
    return found


def _part(part: object, like: str | int | UUID) -> str | int | UUID:
    if isinstance(like, UUID):
        return UUID(str(part))
    if isinstance(like, int) and type(part) is int and 0 <= part <= _LAST_INTEGER:
        return part
    if isinstance(like, str) and isinstance(part, str) and b"\0" not in part.encode():  # what PostgreSQL takes as text
        return part
    raise ValueError(part)
