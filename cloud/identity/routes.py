"""HTTP of the identity domain."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from cloud.core.access import PUBLIC, SESSION_COOKIE, Admin, Engineer, Reader, address_of
from cloud.core.errors import language_of
from cloud.core.keyset import BY_ID_NEWEST
from cloud.core.paging import Paged
from cloud.core.principal import Scope
from cloud.identity.schemas import (
    ApiToken,
    ApiTokenRequest,
    AuditFilter,
    AuditPage,
    AuditQuery,
    AuditVerdict,
    Board,
    BoardRequest,
    Grant,
    GrantsRequest,
    Invitation,
    InvitationRequest,
    JoinRequest,
    LanguageRequest,
    Line,
    LineChange,
    LinePage,
    LineRequest,
    LogInRequest,
    Me,
    NewApiToken,
    NewBoard,
    NewInvitation,
    PasswordRequest,
    Permission,
    ReachPage,
    RoleRequest,
    Session,
    Site,
    SiteChange,
    SiteRequest,
    User,
    UserRequest,
)
from cloud.identity.service import SESSION_LIFE, Identity

router = APIRouter(prefix="/api/v1", tags=["identity"])


def identity_of(request: Request) -> Identity:
    """Return the running cloud's identity domain."""
    return cast(Identity, request.app.state.identity)


IdentityDoor = Annotated[Identity, Depends(identity_of)]


@router.post("/sessions", status_code=201, openapi_extra=PUBLIC)
async def log_in(request: Request, response: Response, body: LogInRequest, identity: IdentityDoor) -> Session:
    """Sign in. The session's token is in the answer and, for browsers, in a cookie; an earlier session ends."""
    session = await identity.log_in(
        body.email, body.password, address_of(request), old_token=request.cookies.get(SESSION_COOKIE)
    )
    set_session_cookie(response, request, session)
    return session


def set_session_cookie(response: Response, request: Request, session: Session) -> None:
    """Give the browser its session: unreadable by scripts, not sent along from other sites' forms."""
    response.set_cookie(
        SESSION_COOKIE,
        session.token,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


@router.delete("/sessions/current", status_code=204)
async def log_out(principal: Reader, response: Response, identity: IdentityDoor) -> None:
    """Sign out."""
    await identity.log_out(principal)
    response.delete_cookie(SESSION_COOKIE)


@router.get("/me")
async def me(principal: Reader, identity: IdentityDoor) -> Me:
    """Who the credential belongs to."""
    return await identity.me(principal)


@router.put("/me/language", status_code=204)
async def set_language(principal: Reader, body: LanguageRequest, identity: IdentityDoor) -> None:
    """Choose the language of pages; null follows the browser."""
    await identity.set_language(principal, body.language)


@router.put("/me/password", status_code=204)
async def change_password(principal: Reader, body: PasswordRequest, identity: IdentityDoor) -> None:
    """Choose another password. The caller's other sessions end."""
    await identity.change_password(principal, body)


@router.get("/sites")
async def list_sites(principal: Reader, identity: IdentityDoor) -> list[Site]:
    """The company's sites, by name."""
    return await identity.sites(principal.scope)


@router.post("/sites", status_code=201)
async def create_site(principal: Admin, body: SiteRequest, identity: IdentityDoor) -> Site:
    """Add a site."""
    return await identity.create_site(principal.scope, body, principal.actor)


@router.patch("/sites/{site_id}")
async def change_site(principal: Admin, site_id: UUID, body: SiteChange, identity: IdentityDoor) -> Site:
    """Call a site otherwise."""
    return await identity.plant.change_site(principal.scope, site_id, body, principal.actor)


@router.get("/lines")
async def list_lines(
    principal: Reader,
    identity: IdentityDoor,
    *,
    site_id: UUID | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> LinePage:
    """Lines of one site or of all, oldest first."""
    return await identity.plant.lines(principal.scope, site_id, after=after, limit=limit)


@router.post("/lines", status_code=201)
async def create_line(principal: Engineer, body: LineRequest, identity: IdentityDoor) -> Line:
    """Add a line to a site. Equipment is placed in it by `PATCH /equipment/{equipment_id}`."""
    return await identity.plant.create_line(principal.scope, body, principal.actor)


@router.get("/lines/{line_id}")
async def get_line(principal: Reader, line_id: UUID, identity: IdentityDoor) -> Line:
    """One line."""
    return await identity.plant.line(principal.scope, line_id)


@router.patch("/lines/{line_id}")
async def change_line(principal: Engineer, line_id: UUID, body: LineChange, identity: IdentityDoor) -> Line:
    """Rename a line, or move it to another site while no equipment stands in it."""
    return await identity.plant.change_line(principal.scope, line_id, body, principal.actor)


@router.delete("/lines/{line_id}", status_code=204)
async def remove_line(principal: Engineer, line_id: UUID, identity: IdentityDoor) -> None:
    """Remove a line in which no equipment stands any more."""
    await identity.plant.remove_line(principal.scope, line_id, principal.actor)


@router.get("/users")
async def list_users(principal: Admin, identity: IdentityDoor, page: Paged) -> list[User]:
    """The company's users, by e-mail."""
    return page.cut(await identity.users(principal.scope, page.window(("",))), lambda one: (one.email,))


@router.post("/users", status_code=201)
async def create_user(principal: Admin, body: UserRequest, identity: IdentityDoor) -> User:
    """Add a user, with no higher role than the caller's."""
    return await identity.create_user(principal.scope, body, principal.actor, principal.role)


@router.put("/users/{user_id}/role", status_code=204)
async def change_role(principal: Admin, user_id: UUID, body: RoleRequest, identity: IdentityDoor) -> None:
    """Give a user another role, no higher than the caller's. Their sessions end; the last owner remains one."""
    await identity.change_role(principal, user_id, body.role)


@router.get("/users/{user_id}/grants")
async def list_grants(principal: Admin, user_id: UUID, identity: IdentityDoor) -> list[Grant]:
    """A user's roles by place, where they are other than in the whole company."""
    return await identity.grants.of(principal.scope, user_id)


@router.put("/users/{user_id}/grants")
async def replace_grants(principal: Admin, user_id: UUID, body: GrantsRequest, identity: IdentityDoor) -> list[Grant]:
    """Say anew where a user has which role. The nearest grant wins; where none is, the role of the company holds.

    Their sessions end. Who shall see one line only has the role `none` and a grant there.
    """
    return await identity.grants.replace(principal, user_id, body)


@router.get("/users/{user_id}/reach")
async def list_reach(
    principal: Admin,
    user_id: UUID,
    identity: IdentityDoor,
    *,
    after: Annotated[str, Query(max_length=1000)] = "",
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> ReachPage:
    """A user's role at every place of the plant, and what decides it."""
    return await identity.grants.reach(principal.scope, user_id, after=after, limit=limit)


@router.delete("/users/{user_id}", status_code=204)
async def disable_user(principal: Admin, user_id: UUID, identity: IdentityDoor) -> None:
    """End a user's access, at once and everywhere. The account's acts remain in the audit log."""
    await identity.disable_user(principal, user_id)


@router.get("/permissions:check")
async def check_permission(
    principal: Reader,
    identity: IdentityDoor,
    action: Annotated[Scope, Query(description="The scope an operation declares in this document.")],
    user_id: Annotated[UUID | None, Query(description="Of whom; of the caller otherwise.")] = None,
    place_id: Annotated[
        UUID | None, Query(description="Where: a site, a line or a piece of equipment; the whole company otherwise.")
    ] = None,
) -> Permission:
    """Whether somebody may do something, and why. Who may not administrate can ask about themselves only."""
    return await identity.permissions.check(principal, user_id, action, place_id)


@router.get("/invitations")
async def list_invitations(principal: Admin, identity: IdentityDoor, page: Paged) -> list[Invitation]:
    """The company's invitations, newest first."""
    listed = await identity.invitations.invitations(principal.scope, page.window(BY_ID_NEWEST))
    return page.cut(listed, lambda one: (one.id,))


@router.post("/invitations", status_code=201)
async def invite(principal: Admin, body: InvitationRequest, identity: IdentityDoor) -> NewInvitation:
    """Invite a person. Token and code are shown this once; give them by two ways. Good once."""
    return await identity.invitations.invite(principal, body)


@router.delete("/invitations/{invitation_id}", status_code=204)
async def withdraw_invitation(principal: Admin, invitation_id: UUID, identity: IdentityDoor) -> None:
    """Withdraw an invitation that is not used."""
    await identity.invitations.withdraw(principal, invitation_id)


@router.post("/invitations/join", status_code=201, openapi_extra=PUBLIC)
async def join(request: Request, body: JoinRequest, identity: IdentityDoor) -> User:
    """Use an invitation: become a user of the company that invited. Then sign in."""
    return await identity.invitations.join(body, address_of(request))


@router.get("/boards")
async def list_boards(principal: Engineer, identity: IdentityDoor, page: Paged) -> list[Board]:
    """The company's wall boards, newest first."""
    listed = await identity.boards.boards(principal.scope, page.window(BY_ID_NEWEST))
    return page.cut(listed, lambda one: (one.id,))


@router.post("/boards", status_code=201)
async def create_board(principal: Engineer, body: BoardRequest, identity: IdentityDoor) -> NewBoard:
    """Make a wall board. Its code, typed at `/board` on the screen, is shown this once; it opens this board only."""
    return await identity.boards.create(principal, body)


@router.delete("/boards/{board_id}", status_code=204)
async def withdraw_board(principal: Engineer, board_id: UUID, identity: IdentityDoor) -> None:
    """Withdraw a wall board: its screens go dark within seconds."""
    await identity.boards.withdraw(principal, board_id)


@router.get("/tokens")
async def list_tokens(principal: Reader, identity: IdentityDoor, page: Paged) -> list[ApiToken]:
    """The caller's own API tokens, newest first."""
    return page.cut(await identity.tokens.listed(principal, page.window(BY_ID_NEWEST)), lambda one: (one.id,))


@router.post("/tokens", status_code=201)
async def create_token(principal: Reader, body: ApiTokenRequest, identity: IdentityDoor) -> NewApiToken:
    """Make an API token. It is shown this once."""
    return await identity.tokens.create(principal, body)


@router.delete("/tokens/{token_id}", status_code=204)
async def delete_token(principal: Reader, token_id: UUID, identity: IdentityDoor) -> None:
    """End an API token of the caller's."""
    await identity.tokens.delete(principal, token_id)


@router.get("/audit")
async def list_audit(
    principal: Admin,
    identity: IdentityDoor,
    wanted: Annotated[AuditQuery, Query()],
) -> AuditPage:
    """Important acts, newest first, 100 a page. `next` goes into `before` with the same filter."""
    return await identity.audit_log.page(principal.scope, wanted.filter, wanted.before)


@router.get("/audit/export", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}})
async def export_audit(
    request: Request,
    principal: Admin,
    identity: IdentityDoor,
    wanted: Annotated[AuditFilter, Query()],
) -> StreamingResponse:
    """Important acts as CSV for a spreadsheet, newest first; headings follow Accept-Language."""
    content = identity.audit_log.csv(principal.scope, wanted, language_of(request))
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(content, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/audit/verdict")
async def verify_audit(principal: Admin, identity: IdentityDoor) -> AuditVerdict:
    """Whether any entry was edited, removed, moved, added or cut off. Reads the whole log."""
    return await identity.audit_log.verify(principal.scope)
