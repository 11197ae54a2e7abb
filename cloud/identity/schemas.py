"""What the identity domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.core.instants import Instant
from cloud.core.principal import Role, Scope, TenantScope
from protocols.text import Language

Email = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254, examples=["manager@example.com"])
Password = Field(min_length=10, max_length=128, description="At least 10 characters.")
Name = Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]+$")


class LogInRequest(BaseModel):
    """E-mail and password."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=254)
    password: str = Field(max_length=128)


class Session(BaseModel):
    """A signed-in session. `token` goes into `Authorization: Bearer`; browsers get it as a cookie as well."""

    token: str
    expires_at: datetime


class Me(BaseModel):
    """Who is asking."""

    user_id: UUID
    email: str
    role: Role
    language: Language | None
    tenant_id: UUID
    tenant: str
    trial: bool = Field(description="The company's unified social credit code is not registered yet.")


class Site(BaseModel):
    """A place of the tenant. Its time zone (IANA name) decides where its days begin."""

    id: UUID
    name: str
    time_zone: str


class SiteRequest(BaseModel):
    """A new site."""

    model_config = ConfigDict(extra="forbid")

    name: str = Name
    time_zone: str = Field("Asia/Shanghai", max_length=64, description="IANA name.")


class SiteChange(BaseModel):
    """What a site shall be called. Its time zone stays: days that are rolled up begin at its midnight."""

    model_config = ConfigDict(extra="forbid")

    name: str = Name


class Line(BaseModel):
    """A line (work centre) of a site, and how many pieces of equipment stand in it."""

    id: UUID
    site_id: UUID
    name: str
    path: str = Field(description="Where it is, e.g. `Suzhou / Line 1`.")
    created_at: datetime
    equipment: int


class LinePage(BaseModel):
    """Lines, oldest first. `next` goes into `after`; null on the last page."""

    items: list[Line]
    next: UUID | None


class LineRequest(BaseModel):
    """A new line."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    name: str = Name


class LineChange(BaseModel):
    """What shall be otherwise about a line; what is left out stays. A line with equipment in it keeps its site."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]+$")
    site_id: UUID | None = None


class User(BaseModel):
    """A person of the tenant."""

    id: UUID
    email: str
    role: Role
    language: Language | None
    created_at: datetime
    disabled_at: datetime | None


class UserRequest(BaseModel):
    """A new user."""

    model_config = ConfigDict(extra="forbid")

    email: str = Email
    password: str = Password
    role: Role = Role.VIEWER
    language: Language | None = None


PlaceKind = Literal["site", "line", "equipment"]
GrantedRole = Literal[Role.NONE, Role.VIEWER, Role.OPERATOR, Role.ENGINEER]


class GrantRequest(BaseModel):
    """A role at one place and in everything there; `none` takes away what is given above it."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(description="Of a site, a line or a piece of equipment.")
    role: GrantedRole


class GrantsRequest(BaseModel):
    """All the grants a user shall have."""

    model_config = ConfigDict(extra="forbid")

    grants: list[GrantRequest] = Field(max_length=500)


class Grant(BaseModel):
    """A user's role at one place and in everything there, but where a nearer grant says otherwise."""

    kind: PlaceKind
    id: UUID
    path: str = Field(description="Where it is, e.g. `Suzhou / Line 1 / Press 3`.")
    role: GrantedRole


class Reach(BaseModel):
    """A user's role at one place, and what decides it."""

    kind: PlaceKind
    id: UUID
    name: str
    path: str
    role: Role
    decided_by: Literal["company", "site", "line", "equipment"] = Field(
        description="The role for the whole company, or a grant at a place of this kind."
    )
    decided_at: str | None = Field(description="Path of the place of that grant.")


class ReachPage(BaseModel):
    """A user's role at every place of the plant, by path. `next` goes into `after`; null on the last page."""

    items: list[Reach]
    next: str | None


class Permission(BaseModel):
    """Whether a user may do what demands the scope `action`, and why."""

    subject: UUID
    action: Scope
    allowed: bool
    at: str | None = Field(description="Path of the place asked about; null for the whole company.")
    role: Role = Field(description="The user's role there.")
    decided_by: Literal["company", "site", "line", "equipment"] = Field(
        description="The role for the whole company, or a grant at a place of this kind."
    )
    decided_at: str | None = Field(description="Path of the place of that grant.")
    least_role: Role | None = Field(
        description="The first role that may; null for what no role is needed for, or helps."
    )
    why_en: str
    why_zh: str


class Invitation(BaseModel):
    """An invitation as listed; its token and its code are shown only once, when it is made."""

    id: UUID
    role: Role
    note: str
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    used_by: UUID | None


class InvitationRequest(BaseModel):
    """A new invitation."""

    model_config = ConfigDict(extra="forbid")

    role: Role = Role.VIEWER
    note: str = Field("", max_length=120, description="For whom it is; for those who read the list.")
    days: int = Field(7, ge=1, le=30, description="Days until it expires.")
    grants: list[GrantRequest] = Field([], max_length=20, description="Other roles by place; with the role `none` all.")


class NewInvitation(Invitation):
    """An invitation just made. `token` goes into a link; `code` is told the person by another way, as by phone."""

    token: str
    code: str


class JoinRequest(BaseModel):
    """Both halves of an invitation, and who uses it."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=128)
    code: str = Field(max_length=64)
    email: str = Email
    password: str = Password
    language: Language | None = None


class RoleRequest(BaseModel):
    """A user's new role."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class PasswordRequest(BaseModel):
    """The caller's password, and the one to take its place."""

    model_config = ConfigDict(extra="forbid")

    current: str = Field(max_length=128)
    new: str = Password


class LanguageRequest(BaseModel):
    """The language to show pages in; null follows the browser."""

    model_config = ConfigDict(extra="forbid")

    language: Language | None


class ApiToken(BaseModel):
    """An API token as listed; the secret itself is shown only once, when it is made."""

    id: UUID
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime


class ApiTokenRequest(BaseModel):
    """A new API token for the caller, with no more than the caller's own scopes."""

    model_config = ConfigDict(extra="forbid")

    name: str = Name
    scopes: list[Scope] = Field([Scope.READ], min_length=1, max_length=4)
    days: int = Field(90, ge=1, le=365, description="Days until it expires.")


class NewApiToken(ApiToken):
    """An API token just made. `token` is never shown again."""

    token: str


class AuditEntry(BaseModel):
    """One important act. `hash` is the SHA-256 of the hash of the entry before it and of this one's content."""

    id: int = Field(description="Number in the company's log, from 1 without gaps.")
    at: datetime
    actor: str
    act: str
    subject: str
    address: str = Field(description="Network address it came from; empty for the operator's command line.")
    detail: dict[str, Any]
    hash: str


class AuditFilter(BaseModel):
    """Which entries are wanted."""

    act: str = Field("", max_length=80, description="Beginning of the act, e.g. `user.`.")
    actor: str = Field("", max_length=254, description="Part of who did it.")
    start: Instant | None = Field(None, description="Inclusive.")
    end: Instant | None = Field(None, description="Exclusive.")


class AuditQuery(AuditFilter):
    """A page of the entries that are wanted."""

    before: int | None = Field(None, description="The `next` of the page before this one.")

    @property
    def filter(self) -> AuditFilter:
        """The filter alone."""
        return AuditFilter(act=self.act, actor=self.actor, start=self.start, end=self.end)


class AuditVerdict(BaseModel):
    """Whether the log is whole; if not, the number of the first entry that is wrong, and what is wrong with it."""

    entries: int
    whole: bool
    entry: int | None
    fault_en: str | None
    fault_zh: str | None


class AuditPage(BaseModel):
    """Audit entries, newest first. `next` goes into `before` for the older ones; null on the last page."""

    items: list[AuditEntry]
    next: int | None


class BoardRequest(BaseModel):
    """A new wall board."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*$")
    site_id: UUID | None = Field(None, description="What it shows: a site,")
    line_id: UUID | None = Field(None, description="or a line; neither: the whole company.")
    language: Language = "zh"
    turn_s: int = Field(15, ge=5, le=600, description="Seconds a part of the plant stays before the next one.")

    @model_validator(mode="after")
    def _one_place(self) -> BoardRequest:
        if self.site_id and self.line_id:
            raise ValueError("a board shows a site or a line, not both / 看板只能显示一个站点或一条产线")
        return self


class Board(BaseModel):
    """A wall board as listed; its code is shown only once, when it is made. `shown_at` is to the minute."""

    id: UUID
    name: str
    site_id: UUID | None
    line_id: UUID | None
    language: Language
    turn_s: int
    created_by: str
    created_at: datetime
    shown_at: datetime | None


class NewBoard(Board):
    """A board just made. Whoever has the code sees what the board shows, and nothing else, until it is withdrawn."""

    code: str


class ShownBoard(NamedTuple):
    """A board that is being shown: of which tenant, and what."""

    scope: TenantScope
    tenant: str
    board: Board
