"""Who is asking, and the tenant they may act in.

A `TenantScope` is made in three places only: when a token has been resolved (identity), when an agent has proved its key
(fleet), and by the operator's command line. Everything else takes it as its first argument and passes it to
`Database.tenant`, the single door to tenant data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from protocols.text import Language


class Scope(StrEnum):
    """What an operation of the API demands. Every operation declares exactly one."""

    PUBLIC = "public"
    """No credential: health checks, log-in, enrolment (which bring their own proof)."""
    READ = "read"
    """A signed-in person, or an API token: see the tenant's data."""
    ADMIN = "admin"
    """A signed-in administrator: invite users, issue enrolment codes, revoke agents."""
    AGENT = "agent"
    """An enrolled edge agent: deliver data."""


class Role(StrEnum):
    """What a user may do inside the tenant."""

    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class TenantScope:
    """Permission to act inside one tenant, and nowhere else."""

    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a program that acts for one: a resolved session or API token.

    Attributes:
        token_id: the session or API token that was presented.
        scopes: what the credential allows; never more than the user's role.
    """

    scope: TenantScope
    user_id: UUID
    token_id: UUID
    email: str
    role: Role
    language: Language | None
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """The name written to the audit log."""
        return f"user:{self.email}"


@dataclass(frozen=True, slots=True)
class AgentPrincipal:
    """An edge agent that has proved its key within the last 15 minutes and is not revoked."""

    scope: TenantScope
    agent_id: UUID
    name: str
    site_id: UUID

    @property
    def actor(self) -> str:
        """The name written to the audit log."""
        return f"agent:{self.agent_id}"
