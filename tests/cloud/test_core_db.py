"""The tenant door: what a transaction may see, and which roles may serve."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cloud.core.db import Database, prepare
from cloud.core.principal import TenantScope
from protocols.errors import ConfigError, Unreachable

pytestmark = pytest.mark.both_databases


async def _tenant(db: Database) -> TenantScope:
    scope = TenantScope(uuid4())
    async with db.tenant(scope) as connection:
        await connection.execute("INSERT INTO tenant (id, name) VALUES (%s, 'T')", [scope.tenant_id])
    return scope


async def _visible(db: Database, scope: TenantScope) -> list[object]:
    async with db.tenant(scope) as connection:
        return [row[0] for row in await (await connection.execute("SELECT id FROM tenant")).fetchall()]


async def test_a_transaction_sees_its_own_tenant_only(db: Database) -> None:
    first, second = await _tenant(db), await _tenant(db)
    assert await _visible(db, first) == [first.tenant_id]
    assert await _visible(db, second) == [second.tenant_id]


async def test_without_a_tenant_nothing_is_visible(db: Database) -> None:
    await _tenant(db)
    async with db.door() as connection:
        assert await (await connection.execute("SELECT id FROM tenant")).fetchall() == []


async def test_the_owner_may_migrate_and_may_not_serve(owner_dsn: str) -> None:
    with pytest.raises(ConfigError, match="not bound by row-level security"):
        async with Database(owner_dsn):
            pass


async def test_a_server_that_acknowledges_before_it_has_written_may_not_serve(owner_dsn: str, app_dsn: str) -> None:
    database = sql.Identifier(conninfo_to_dict(owner_dsn)["dbname"])
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(database))
        try:
            with pytest.raises(ConfigError, match="synchronous_commit = off"):
                async with Database(app_dsn):
                    pass
        finally:
            owner.execute(sql.SQL("ALTER DATABASE {} RESET synchronous_commit").format(database))


async def test_the_app_role_is_taken_as_it_is(app_dsn: str) -> None:
    assert prepare(app_dsn, "unused") == app_dsn


async def test_a_server_that_does_not_answer_is_one_clear_line(app_dsn: str) -> None:
    with pytest.raises(Unreachable, match="does not answer") as failure:
        async with Database("host=127.0.0.1 port=1 dbname=x user=sunmao_app password=canary"):
            pass
    assert "canary" not in str(failure.value)
