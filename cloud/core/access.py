"""Turns the credential of a request into who is asking; how an operation declares what it demands.

    async def list_sites(principal: Reader, ...): ...

The domains that know credentials put their resolvers into `app.state.resolvers` (`Resolvers`).

A browser's session cookie and a bearer token carry the same secret. A cookie is sent by the browser whatever page asks,
so a changing request that comes with one must also come from our own pages: its Origin, where sent, must be our host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from cloud.core.errors import Forbidden, Unauthenticated
from cloud.core.limits import RateLimit
from cloud.core.principal import AgentPrincipal, Principal, Scope, WorkerPrincipal
from protocols.text import Text

SESSION_COOKIE = "sunmao_session"

PUBLIC: dict[str, list[object]] = {"security": []}
"""`openapi_extra` of an operation that takes no credential."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="A session's or API token.")
_cookie = APIKeyCookie(name=SESSION_COOKIE, auto_error=False, scheme_name="session", description="A browser's session.")
_agent_bearer = HTTPBearer(auto_error=False, scheme_name="agent", description="An agent's 15-minute token.")
_worker_bearer = HTTPBearer(auto_error=False, scheme_name="worker", description="The token of an offer of computing.")


@dataclass(frozen=True)
class Resolvers:
    """Who a token belongs to, or None if it is nobody's (any more)."""

    principal: Callable[[str], Awaitable[Principal | None]]
    agent: Callable[[str], Awaitable[AgentPrincipal | None]]
    worker: Callable[[str], Awaitable[WorkerPrincipal | None]]


async def _resolvers(request: Request) -> Resolvers:
    # async, as others asked of every request: a plain function would be handed to a thread, which costs more than it does.
    return cast(Resolvers, request.app.state.resolvers)


def address_of(request: Request) -> str:
    """Return the network address a request comes from; what tries are counted by."""
    return request.client.host if request.client else "unknown"


def token_of(request: Request) -> str | None:
    """Return the token that a request of a person carries, from wherever it may come."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else request.cookies.get(SESSION_COOKIE)


async def _principal(
    request: Request,
    demanded: SecurityScopes,
    resolvers: Annotated[Resolvers, Depends(_resolvers)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Principal:
    token = bearer.credentials if bearer else cookie
    principal = await resolvers.principal(token) if token else None
    if principal is None:
        raise Unauthenticated
    _count(request, principal)
    if bearer is None and request.method not in _SAFE_METHODS:
        _refuse_foreign_origin(request)
    (demand,) = map(Scope, demanded.scopes)
    if demand not in principal.scopes:
        raise Forbidden(
            Text(
                f"This needs the scope {demanded.scope_str}; ask a manager of your company.",
                f"该操作需要 {demanded.scope_str} 权限，请联系本企业管理者。",
            )
        )
    return principal.demanding(demand)


def _count(request: Request, principal: Principal) -> None:
    """Count the request against what its company may ask of this process; raises TooMany."""
    rate: RateLimit = request.app.state.api_rate
    company = str(principal.scope.tenant_id)
    try:
        rate.spend(company)
    finally:
        request.state.rate_headers = rate.headers(company)


def _refuse_foreign_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden(Text("The request comes from another site's page.", "请求来自其他网站的页面。"))


async def _agent(
    demanded: SecurityScopes,
    resolvers: Annotated[Resolvers, Depends(_resolvers)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_agent_bearer)],
) -> AgentPrincipal:
    principal = await resolvers.agent(bearer.credentials) if bearer else None
    if principal is None:
        raise Unauthenticated(
            Text("The agent's token is missing, expired or revoked.", "网关令牌缺失、已过期或已被吊销。")
        )
    return principal


async def _worker(
    demanded: SecurityScopes,
    resolvers: Annotated[Resolvers, Depends(_resolvers)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_worker_bearer)],
) -> WorkerPrincipal:
    principal = await resolvers.worker(bearer.credentials) if bearer else None
    if principal is None:
        raise Unauthenticated(
            Text("The worker's token is missing, or its offer is closed.", "缺少算力节点令牌，或对应的算力已下架。")
        )
    return principal


def _still_valid(
    resolvers: Annotated[Resolvers, Depends(_resolvers)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Callable[[], Awaitable[bool]]:
    token = bearer.credentials if bearer else cookie

    async def check() -> bool:
        return token is not None and await resolvers.principal(token) is not None

    return check


Reader = Annotated[Principal, Security(_principal, scopes=[Scope.READ])]
Operator = Annotated[Principal, Security(_principal, scopes=[Scope.OPERATE])]
Engineer = Annotated[Principal, Security(_principal, scopes=[Scope.ENGINEER])]
Admin = Annotated[Principal, Security(_principal, scopes=[Scope.ADMIN])]
AgentCaller = Annotated[AgentPrincipal, Security(_agent, scopes=[Scope.AGENT])]
WorkerCaller = Annotated[WorkerPrincipal, Security(_worker, scopes=[Scope.WORKER])]
StillValid = Annotated[Callable[[], Awaitable[bool]], Depends(_still_valid)]
"""Asks again whether the caller's credential is valid; for answers that take longer than a moment."""
