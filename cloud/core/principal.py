"""Who is asking, and the tenant they may act in.

A `TenantScope` is made in six places only: when a token has been resolved (identity), when an agent has proved its key or
a person enters values at a site's desk (fleet), when a worker has shown its token
(compute), where a live grant joins two companies (sharing), where who has a package is told that it was
withdrawn (shelf), and by the operator's command line. Everything else takes
it as its first argument and passes it to
`Database.tenant`, the single door to tenant data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from protocols.text import Language


class Scope(StrEnum):
    """What an operation of the API demands. Every operation declares exactly one."""

    PUBLIC = "public"
    """No credential: health checks, log-in, enrolment (which bring their own proof)."""
    READ = "read"
    """See the tenant's data."""
    OPERATE = "operate"
    """Have a word on what happens at the machines: judge parts."""
    ENGINEER = "engineer"
    """Connect and configure: enrolment codes, agents and their configurations."""
    ADMIN = "admin"
    """Administrate the company: people and their roles, sites, the audit log."""
    AGENT = "agent"
    """An enrolled edge agent: deliver data."""
    WORKER = "worker"
    """A provider's worker: run the jobs of its offer."""


class Role(StrEnum):
    """What a user may do inside the tenant; each has all the rights of the one before.

    An owner may do what a manager may, and besides make and unmake owners. A company always keeps one. Who has none may do
    what they are granted in places of the plant, and nothing else.
    """

    NONE = "none"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    MANAGER = "manager"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        """How far up the role is: 0 for none."""
        return list(Role).index(self)

    @property
    def scopes(self) -> frozenset[Scope]:
        """What the role may do."""
        return frozenset([Scope.READ, Scope.OPERATE, Scope.ENGINEER, Scope.ADMIN][: self.rank])


@dataclass(frozen=True, slots=True)
class TenantScope:
    """Permission to act inside one tenant, and nowhere else.

    Attributes:
        person: on whose behalf; the database then shows what this user reaches, see 0061_grants.sql. None is the whole
            tenant: an agent, an upkeep task, the operator's command line.
        demand: the scope the operation demands; the person has to have it wherever the operation touches something.
    """

    tenant_id: UUID
    person: UUID | None = None
    demand: Scope = Scope.READ


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a program that acts for one: a resolved session or API token.

    Attributes:
        token_id: the session or API token that was presented.
        role: the user's role for the whole company.
        scopes: what the credential allows somewhere in the plant; never more than the user's roles do.
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

    def demanding(self, demand: Scope) -> Principal:
        """Return the principal for an operation that demands `demand`: it reaches what they have that scope for."""
        return replace(self, scope=replace(self.scope, demand=demand))


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


@dataclass(frozen=True, slots=True)
class WorkerPrincipal:
    """A worker that has shown the token of an offer that is open."""

    scope: TenantScope
    offer_id: UUID
