"""The SQL of the shelf. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every, one

Taken = UniqueViolation
"""Raised for a version that is there already."""

_PACKAGE = (
    "id, tenant_id AS provider_id, provider, code, version, digest, public_key, manifest, published_at, withdrawn_at,"
    " tenant_id = current_tenant() AS mine"
)
_INSTALLATION = (
    "id, provider_id, code, package_id, version, language, manifest, provider, items, installed_by, installed_at"
)


async def select_packages(connection: AsyncConnection, limit: int) -> list[Row]:
    """Return the highest version of each package that is not withdrawn, and all of one's own, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_PACKAGE} FROM shelf_package p WHERE tenant_id = current_tenant() OR (withdrawn_at IS NULL
            AND NOT EXISTS (SELECT FROM shelf_package h WHERE h.tenant_id = p.tenant_id AND h.code = p.code
                            AND h.version > p.version AND h.withdrawn_at IS NULL))
        ORDER BY id DESC LIMIT %s
        """,  # noqa: S608 - our own text
        [limit],
    )


async def select_package(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return a package with its document and signature."""
    return await one(
        connection,
        f"SELECT {_PACKAGE}, document, signature FROM shelf_package WHERE id = %s",  # noqa: S608
        [identity],
    )


async def select_withdrawn(connection: AsyncConnection) -> set[UUID]:
    """Return which of the installed packages are withdrawn."""
    rows = await every(
        connection,
        """
        SELECT p.id FROM shelf_package p JOIN shelf_installation i ON i.package_id = p.id
        WHERE i.tenant_id = current_tenant() AND p.withdrawn_at IS NOT NULL
        """,
    )
    return {row["id"] for row in rows}


async def select_own(connection: AsyncConnection, code: str) -> list[Row]:
    """Return the versions of one's own package, highest first."""
    return await every(
        connection,
        f"SELECT {_PACKAGE} FROM shelf_package WHERE tenant_id = current_tenant() AND code = %s"  # noqa: S608
        " ORDER BY version DESC",
        [code],
    )


async def count_own(connection: AsyncConnection) -> int:
    """Return how many versions the tenant has published."""
    row = await one(connection, "SELECT count(*) AS n FROM shelf_package WHERE tenant_id = current_tenant()")
    return int(row["n"]) if row else 0


async def insert_package(connection: AsyncConnection, row: Row) -> None:
    """Publish a package under the tenant's name; raises Taken."""
    await connection.execute(
        """
        INSERT INTO shelf_package (id, tenant_id, provider, code, version, digest, public_key, signature, manifest, document)
        SELECT %(id)s, t.id, t.name, %(code)s, %(version)s, %(digest)s, %(public_key)s, %(signature)s, %(manifest)s,
               %(document)s
        FROM tenant t WHERE t.id = current_tenant()
        """,
        row | {"manifest": Jsonb(row["manifest"]), "version": list(row["version"])},
    )


async def withdraw(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Take one's own package off the shelf; returns it, None if there is none there."""
    return await one(
        connection,
        f"""
        UPDATE shelf_package SET withdrawn_at = now()
        WHERE tenant_id = current_tenant() AND id = %s AND withdrawn_at IS NULL RETURNING {_PACKAGE}
        """,  # noqa: S608 - our own text
        [identity],
    )


async def installers(connection: AsyncConnection, package: UUID) -> list[UUID]:
    """Return who has the tenant's package installed: to tell them, and for nothing else."""
    return [row["id"] for row in await every(connection, "SELECT shelf_installers(%s) AS id", [package])]


async def select_counts(connection: AsyncConnection) -> dict[str, int]:
    """Return how many have each of the tenant's packages installed, by code."""
    return {row["code"]: row["installed"] for row in await every(connection, "SELECT * FROM shelf_counts()")}


async def select_installations(connection: AsyncConnection, identity: UUID | None = None) -> list[Row]:
    """Return what the tenant has installed, newest first, or one."""
    return await every(
        connection,
        f"""
        SELECT {_INSTALLATION} FROM shelf_installation
        WHERE tenant_id = current_tenant() AND (%(id)s::uuid IS NULL OR id = %(id)s) ORDER BY id DESC
        """,  # noqa: S608 - our own text
        {"id": identity},
    )


async def lock_installation(connection: AsyncConnection, provider: UUID, code: str) -> Row | None:
    """Return what is installed of a package, and keep others from changing it or installing it meanwhile."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('shelf'), hashtext(current_tenant()::text))")
    return await one(
        connection,
        f"""
        SELECT {_INSTALLATION} FROM shelf_installation
        WHERE tenant_id = current_tenant() AND provider_id = %s AND code = %s
        """,  # noqa: S608 - our own text
        [provider, code],
    )


async def put_installation(connection: AsyncConnection, row: Row) -> Row:
    """Note what is installed of a package, in place of what was."""
    columns = _INSTALLATION.removesuffix(", installed_at")
    values = ", ".join(f"%({name})s" for name in columns.split(", "))
    (stored,) = await every(
        connection,
        f"""
        INSERT INTO shelf_installation (tenant_id, {columns}) VALUES (current_tenant(), {values})
        ON CONFLICT (tenant_id, provider_id, code) DO UPDATE
        SET package_id = excluded.package_id, version = excluded.version, manifest = excluded.manifest,
            provider = excluded.provider, items = excluded.items, installed_by = excluded.installed_by, installed_at = now()
        RETURNING {_INSTALLATION}
        """,  # noqa: S608 - our own text
        row | {"manifest": Jsonb(row["manifest"]), "items": Jsonb(row["items"]), "version": list(row["version"])},
    )
    return stored


async def delete_installation(connection: AsyncConnection, identity: UUID) -> None:
    """Forget an installation."""
    await connection.execute(
        "DELETE FROM shelf_installation WHERE tenant_id = current_tenant() AND id = %s", [identity]
    )
