"""Tenants, users, their credentials and invitations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.core.keyset import BY_ID_NEWEST, Window

Row = dict[str, Any]
Taken = UniqueViolation
"""Raised where a name, e-mail, credit code or id exists already."""

_USER_COLUMNS = "id, email, role, language, created_at, disabled_at"
_INVITATION_COLUMNS = "id, role, note, created_by, created_at, expires_at, used_by"


async def find_log_in(connection: AsyncConnection, email: str) -> Row | None:
    """Return tenant_id, user_id, password_hash and role of the enabled user with this e-mail, whatever the tenant."""
    return await _one(connection, "SELECT * FROM find_log_in(%s)", [email])


async def find_token(connection: AsyncConnection, token_hash: bytes) -> Row | None:
    """Return whose unexpired session or API token this is, whatever the tenant."""
    return await _one(connection, "SELECT * FROM find_token(%s)", [token_hash])


async def insert_tenant(connection: AsyncConnection, tenant: UUID, name: str, credit_code: str | None) -> None:
    """Insert the tenant the transaction is in."""
    await connection.execute(
        "INSERT INTO tenant (id, name, credit_code) VALUES (%s, %s, %s)", [tenant, name, credit_code]
    )


async def is_registered(connection: AsyncConnection, credit_code: str) -> bool:
    """Return whether a tenant has the code. Runs outside any tenant."""
    cursor = await connection.execute("SELECT is_registered(%s)", [credit_code])
    (found,) = await cursor.fetchone() or (False,)
    return bool(found)


async def update_credit_code(connection: AsyncConnection, credit_code: str) -> str | None:
    """Set the credit code of the transaction's tenant and return the one before; raises Taken if another has it."""
    before = await select_tenant(connection)
    await connection.execute("UPDATE tenant SET credit_code = %s WHERE id = current_tenant()", [credit_code])
    return str(before["credit_code"]) if before["credit_code"] else None


async def select_tenant(connection: AsyncConnection) -> Row:
    """Return name and credit_code of the transaction's tenant."""
    row = await _one(connection, "SELECT name, credit_code FROM tenant WHERE id = current_tenant()", [])
    return row or {"name": "", "credit_code": None}


async def insert_user(
    connection: AsyncConnection, user: UUID, *, email: str, password_hash: str, role: str, language: str | None
) -> Row:
    """Insert a user and return them as `select_users` does; raises Taken if anybody has this e-mail."""
    row = await _one(
        connection,
        f"""
        INSERT INTO user_account (id, tenant_id, email, password_hash, role, language)
        VALUES (%s, current_tenant(), %s, %s, %s, %s) RETURNING {_USER_COLUMNS}
        """,  # noqa: S608 - our own text
        [user, email, password_hash, role, language],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return row


async def select_users(connection: AsyncConnection, window: Window) -> list[Row]:
    """Return the tenant's users, by e-mail."""
    (after,) = window.after or ("",)
    return await _all(
        connection,
        f"SELECT {_USER_COLUMNS} FROM user_account"  # noqa: S608 - our own text
        " WHERE tenant_id = current_tenant() AND email > %s::text ORDER BY email LIMIT %s",
        [after, window.limit],
    )


async def disable_user(connection: AsyncConnection, user: UUID) -> str:
    """Disable a user and end their sessions, tokens and open invitations; return the e-mail.

    The caller has locked the row.
    """
    row = await _one(
        connection,
        "UPDATE user_account SET disabled_at = COALESCE(disabled_at, now())"
        " WHERE tenant_id = current_tenant() AND id = %s RETURNING email",
        [user],
    )
    await connection.execute("DELETE FROM access_token WHERE tenant_id = current_tenant() AND user_id = %s", [user])
    await _withdraw_invitations(connection, user)
    assert row is not None  # noqa: S101 - the caller has locked the row
    return str(row["email"])


async def select_user(connection: AsyncConnection, user: UUID) -> Row | None:
    """Return one user."""
    return await _one(
        connection,
        f"SELECT {_USER_COLUMNS} FROM user_account WHERE tenant_id = current_tenant() AND id = %s",  # noqa: S608
        [user],
    )


async def lock_roles(connection: AsyncConnection, user: UUID) -> dict[UUID, str]:
    """Return the roles of `user` and of all enabled owners, and let nobody change them until the transaction ends."""
    rows = await _all(
        connection,
        """
        SELECT id, role FROM user_account
        WHERE tenant_id = current_tenant() AND (id = %s OR (role = 'owner' AND disabled_at IS NULL))
        ORDER BY id FOR UPDATE
        """,
        [user],
    )
    return {row["id"]: row["role"] for row in rows}


async def update_role(connection: AsyncConnection, user: UUID, role: str) -> str:
    """Set a user's role and end the open invitations they made with the old one; return the e-mail."""
    await _withdraw_invitations(connection, user)
    row = await _one(
        connection,
        "UPDATE user_account SET role = %s WHERE tenant_id = current_tenant() AND id = %s RETURNING email",
        [role, user],
    )
    assert row is not None  # noqa: S101 - the caller has locked the row
    return str(row["email"])


async def update_password(connection: AsyncConnection, user: UUID, password_hash: str) -> None:
    """Set a user's password."""
    await connection.execute(
        "UPDATE user_account SET password_hash = %s WHERE tenant_id = current_tenant() AND id = %s",
        [password_hash, user],
    )


async def bind_subject(connection: AsyncConnection, user: UUID, subject: str) -> bool:
    """Bind a user to what a log-in provider calls them; False if they are bound to another name already."""
    cursor = await connection.execute(
        """
        UPDATE user_account SET oidc_subject = %(subject)s
        WHERE tenant_id = current_tenant() AND id = %(user)s AND coalesce(oidc_subject, %(subject)s) = %(subject)s
        """,
        {"user": user, "subject": subject},
    )
    return cursor.rowcount == 1


async def delete_sessions(connection: AsyncConnection, user: UUID, keep: UUID | None = None) -> None:
    """End a user's sessions but the one to `keep`; API tokens go on."""
    await connection.execute(
        """
        DELETE FROM access_token WHERE tenant_id = current_tenant() AND user_id = %(user)s AND kind = 'session'
                                   AND id IS DISTINCT FROM %(keep)s
        """,
        {"user": user, "keep": keep},
    )


async def update_language(connection: AsyncConnection, user: UUID, language: str | None) -> None:
    """Set a user's language."""
    await connection.execute(
        "UPDATE user_account SET language = %s WHERE tenant_id = current_tenant() AND id = %s", [language, user]
    )


async def insert_token(
    connection: AsyncConnection,
    token: UUID,
    *,
    user: UUID,
    kind: str,
    name: str,
    token_hash: bytes,
    scopes: Sequence[str],
    expires_at: datetime,
) -> Row:
    """Insert a session or API token, drop the user's expired ones, and return the new one as `select_tokens` does."""
    await connection.execute(
        "DELETE FROM access_token WHERE tenant_id = current_tenant() AND user_id = %s AND expires_at < now()", [user]
    )
    row = await _one(
        connection,
        """
        INSERT INTO access_token (id, tenant_id, user_id, kind, name, hash, scopes, expires_at)
        VALUES (%s, current_tenant(), %s, %s, %s, %s, %s, %s)
        RETURNING id, name, scopes, created_at, expires_at
        """,
        [token, user, kind, name, token_hash, list(scopes), expires_at],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return row


async def select_tokens(connection: AsyncConnection, user: UUID, window: Window) -> list[Row]:
    """Return a user's API tokens, newest first."""
    (after,) = window.after or BY_ID_NEWEST
    return await _all(
        connection,
        """
        SELECT id, name, scopes, created_at, expires_at FROM access_token
        WHERE tenant_id = current_tenant() AND user_id = %s AND kind = 'api' AND id < %s::uuid
        ORDER BY id DESC LIMIT %s
        """,
        [user, after, window.limit],
    )


async def delete_token(connection: AsyncConnection, user: UUID, token: UUID) -> bool:
    """End a session or API token of `user`; False if there is no such token."""
    cursor = await connection.execute(
        "DELETE FROM access_token WHERE tenant_id = current_tenant() AND user_id = %s AND id = %s", [user, token]
    )
    return cursor.rowcount == 1


async def end_session(connection: AsyncConnection, token: UUID, grace: timedelta) -> bool:
    """Have a session end after `grace` at the latest; False if there is no such session."""
    cursor = await connection.execute(
        """
        UPDATE access_token SET expires_at = LEAST(expires_at, now() + %s)
        WHERE tenant_id = current_tenant() AND id = %s AND kind = 'session'
        """,
        [grace, token],
    )
    return cursor.rowcount == 1


async def insert_invitation(
    connection: AsyncConnection,
    invitation: UUID,
    *,
    role: str,
    note: str,
    token_hash: bytes,
    code_hash: bytes,
    created_by: UUID,
    days: int,
    grants: Sequence[Mapping[str, str]],
) -> Row:
    """Insert an invitation and return it as `select_invitations` does."""
    row = await _one(
        connection,
        f"""
        INSERT INTO invitation (id, tenant_id, role, note, token_hash, code_hash, created_by, expires_at, grants)
        VALUES (%s, current_tenant(), %s, %s, %s, %s, %s, now() + %s * interval '1 day', %s)
        RETURNING {_INVITATION_COLUMNS}
        """,  # noqa: S608 - our own text
        [invitation, role, note, token_hash, code_hash, created_by, days, Jsonb(list(grants))],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return row


async def select_invitations(connection: AsyncConnection, window: Window) -> list[Row]:
    """Return the tenant's invitations, newest first."""
    (after,) = window.after or BY_ID_NEWEST
    return await _all(
        connection,
        f"SELECT {_INVITATION_COLUMNS} FROM invitation"  # noqa: S608 - our own text
        " WHERE tenant_id = current_tenant() AND id < %s::uuid ORDER BY id DESC LIMIT %s",
        [after, window.limit],
    )


async def delete_invitation(connection: AsyncConnection, invitation: UUID) -> bool:
    """Delete an invitation that is not used; False if there is no such."""
    cursor = await connection.execute(
        "DELETE FROM invitation WHERE tenant_id = current_tenant() AND id = %s AND used_by IS NULL", [invitation]
    )
    return cursor.rowcount == 1


async def find_invitation(connection: AsyncConnection, token_hash: bytes) -> Row | None:
    """Return tenant_id and id of the invitation with this token, whatever the tenant."""
    return await _one(connection, "SELECT * FROM find_invitation(%s)", [token_hash])


async def lock_open_invitation(connection: AsyncConnection, invitation: UUID, most_wrong: int) -> Row | None:
    """Return role, code_hash and grants of an invitation that may be used, and hold it; None if it may not."""
    return await _one(
        connection,
        """
        SELECT role, code_hash, grants FROM invitation
        WHERE tenant_id = current_tenant() AND id = %s AND used_by IS NULL AND expires_at > now() AND wrong < %s
        FOR UPDATE
        """,
        [invitation, most_wrong],
    )


async def count_wrong_code(connection: AsyncConnection, invitation: UUID) -> None:
    """Remember that an invitation's token came with a wrong code."""
    await connection.execute(
        "UPDATE invitation SET wrong = wrong + 1 WHERE tenant_id = current_tenant() AND id = %s", [invitation]
    )


async def use_invitation(connection: AsyncConnection, invitation: UUID, user: UUID) -> None:
    """Use an invitation up."""
    await connection.execute(
        "UPDATE invitation SET used_by = %s WHERE tenant_id = current_tenant() AND id = %s", [user, invitation]
    )


async def _withdraw_invitations(connection: AsyncConnection, user: UUID) -> None:
    await connection.execute(
        "DELETE FROM invitation WHERE tenant_id = current_tenant() AND created_by = %s AND used_by IS NULL", [user]
    )


async def _one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
