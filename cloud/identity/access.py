"""Turns the credential of a request into a Principal; how an operation declares what it demands.

    async def list_sites(principal: Reader, ...): ...

A browser's session cookie and a bearer token carry the same secret. A cookie is sent by the browser whatever page asks,
so a changing request that comes with one must also come from our own pages: its Origin, where sent, must be our host.
"""

from __future__ import annotations

from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from cloud.core.errors import Forbidden, Unauthenticated
from cloud.core.principal import Principal, Scope
from cloud.identity.service import Identity
from protocols.text import Text

SESSION_COOKIE = "sunmao_session"

PUBLIC: dict[str, list[object]] = {"security": []}
"""`openapi_extra` of an operation that takes no credential."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="A session's or API token.")
_cookie = APIKeyCookie(name=SESSION_COOKIE, auto_error=False, scheme_name="session", description="A browser's session.")


def identity_of(request: Request) -> Identity:
    """Return the running cloud's identity domain."""
    return cast(Identity, request.app.state.identity)


async def _principal(
    request: Request,
    demanded: SecurityScopes,
    identity: Annotated[Identity, Depends(identity_of)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Principal:
    token = bearer.credentials if bearer else cookie
    principal = await identity.resolve(token) if token else None
    if principal is None:
        raise Unauthenticated
    if bearer is None and request.method not in _SAFE_METHODS:
        _refuse_foreign_origin(request)
    if not principal.scopes.issuperset(map(Scope, demanded.scopes)):
        raise Forbidden(
            Text(
                f"This needs the scope {demanded.scope_str}; ask an administrator of your company.",
                f"该操作需要 {demanded.scope_str} 权限,请联系本企业管理员。",
            )
        )
    return principal


def _refuse_foreign_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden(Text("The request comes from another site's page.", "请求来自其他网站的页面。"))


Reader = Annotated[Principal, Security(_principal, scopes=[Scope.READ])]
Admin = Annotated[Principal, Security(_principal, scopes=[Scope.ADMIN])]
IdentityDoor = Annotated[Identity, Depends(identity_of)]
