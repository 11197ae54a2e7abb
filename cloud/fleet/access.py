"""Turns an agent's token into an AgentPrincipal, for the operations of the uplink."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from cloud.core.errors import Unauthenticated
from cloud.core.principal import AgentPrincipal, Scope
from cloud.fleet.service import Fleet
from protocols.text import Text

_bearer = HTTPBearer(auto_error=False, scheme_name="agent", description="An agent's 15-minute token.")


def fleet_of(request: Request) -> Fleet:
    """Return the running cloud's fleet domain."""
    return cast(Fleet, request.app.state.fleet)


async def _agent(
    demanded: SecurityScopes,
    fleet: Annotated[Fleet, Depends(fleet_of)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> AgentPrincipal:
    principal = await fleet.resolve(bearer.credentials) if bearer else None
    if principal is None:
        raise Unauthenticated(
            Text("The agent's token is missing, expired or revoked.", "网关令牌缺失、已过期或已被吊销。")
        )
    return principal


AgentCaller = Annotated[AgentPrincipal, Security(_agent, scopes=[Scope.AGENT])]
FleetDoor = Annotated[Fleet, Depends(fleet_of)]
