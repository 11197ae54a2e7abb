"""The door to the database: every statement on tenant data runs inside `Database.tenant`.

The pool logs in as `sunmao_app`, a role that row-level security binds. A transaction names its tenant with
`set_config('sunmao.tenant', ..., true)`, which PostgreSQL forgets at its end; without it every table looks empty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from cloud.core.errors import Forbidden
from cloud.core.migrate import migrate, pending, unreachable
from cloud.core.principal import TenantScope
from cloud.core.replica import Behind, Replica, mark_of
from cloud.core.roles import APP_ROLE
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text

__all__ = ["AsyncConnection", "Database", "enter", "prepare"]

MAX_CONNECTIONS = 10
T = TypeVar("T")


def prepare(dsn: str, app_password: str) -> str:
    """Bring the database at `dsn` up to date and return the DSN of the app role in it.

    `dsn` is the owner's, or already the app role's; then nothing is migrated and a missing migration is an error.

    Raises ConfigError or Unreachable.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        given = {}
    if given.get("user") != APP_ROLE:
        migrate(dsn, app_password)
        return make_conninfo(dsn, user=APP_ROLE, password=app_password)
    if missing := pending(dsn):
        raise ConfigError(
            Text(f"the database lacks {len(missing)} migrations", f"数据库缺少 {len(missing)} 个升级步骤"),
            Text("run: sunmao-cloud migrate --dsn <owner's DSN>", "请运行:sunmao-cloud migrate --dsn <所有者的 DSN>"),
            key="--dsn",
        )
    return dsn


class Database:
    """A pool of connections of the app role. Use as `async with Database(dsn) as db`.

    `replica` is the DSN of a replica that `read` may ask; None where there is none.
    """

    def __init__(self, dsn: str, replica: str | None = None) -> None:
        self.dsn = dsn
        self._replica = Replica(replica) if replica else None
        self._pool = AsyncConnectionPool(
            dsn, min_size=1, max_size=MAX_CONNECTIONS, open=False, timeout=10, kwargs={"autocommit": True}
        )

    async def __aenter__(self) -> Database:
        try:
            async with await AsyncConnection.connect(self.dsn, connect_timeout=10) as connection:
                await _refuse_powerful_role(connection)
                await _refuse_forgetful_server(connection)
        except psycopg.OperationalError as error:
            raise unreachable(self.dsn, error) from error
        await self._pool.open(wait=True)
        if self._replica is not None:
            await self._replica.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._replica is not None:
            await self._replica.close()
        await self._pool.close()

    async def ping(self) -> None:
        """Raise an OperationalError unless the database answers."""
        async with self.door() as connection:
            await connection.execute("SELECT 1")

    @asynccontextmanager
    async def tenant(self, scope: TenantScope) -> AsyncIterator[AsyncConnection]:
        """One transaction inside the tenant of `scope`: committed at the end, rolled back on an exception.

        It shows what the person of the scope reaches; raises Forbidden if it writes what they do not.
        """
        with _no_further_than_reached():
            async with self.door() as connection:
                await enter(connection, scope)
                yield connection

    async def read(self, scope: TenantScope, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Return what `work` reads in one transaction inside the tenant of `scope`; it writes nothing, and may be done twice.

        The replica answers where there is one that knows all that was committed before. What it does not answer in time, breaks
        off, or finds in a file that is gone since, the database itself does.
        """
        if self._replica is not None and not self._replica.rests:
            with suppress(Behind, psycopg.OperationalError, SunmaoError), _no_further_than_reached():
                async with self.look_up() as primary:
                    mark = await mark_of(primary)
                async with self._replica.as_of(mark) as connection:
                    await enter(connection, scope)
                    return await work(connection)
        async with self.tenant(scope) as connection:
            return await work(connection)

    @asynccontextmanager
    async def snapshot(self, scope: TenantScope) -> AsyncIterator[AsyncConnection]:
        """As `tenant`, but all statements see the data of one instant."""
        with _no_further_than_reached():
            async with self.door() as connection:
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                await enter(connection, scope)
                yield connection

    @asynccontextmanager
    async def door(self) -> AsyncIterator[AsyncConnection]:
        """One transaction of no tenant: all tables look empty, only the SECURITY DEFINER look-ups answer."""
        async with self._pool.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def look_up(self) -> AsyncIterator[AsyncConnection]:
        """As `door`, for a single statement: it is a transaction of its own, and so one round trip."""
        async with self._pool.connection() as connection:
            yield connection


async def enter(connection: AsyncConnection, scope: TenantScope) -> None:
    """Put the rest of the running transaction inside the tenant of `scope`, as far as its person reaches."""
    if scope.person is None:
        await connection.execute("SELECT set_config('sunmao.tenant', %s, true)", [str(scope.tenant_id)])
    else:
        await connection.execute("SELECT enter_tenant(%s, %s, %s)", [scope.tenant_id, scope.person, scope.demand])


@contextmanager
def _no_further_than_reached() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        if (
            error.diag.source_function != "ExecWithCheckOptions"
        ):  # what a policy refuses; else a right is missing: a bug
            raise
        raise Forbidden(
            Text(
                "Your role does not allow this here, or there is no such place; ask a manager of your company.",
                "您的角色不允许在此处执行该操作，或该位置不存在，请联系本企业管理者。",
            )
        ) from error


async def _refuse_powerful_role(connection: AsyncConnection) -> None:
    cursor = await connection.execute(
        """
        SELECT current_user, rolsuper OR rolbypassrls OR pg_has_role(current_user, relowner, 'MEMBER')
        FROM pg_roles, pg_class WHERE rolname = current_user AND pg_class.oid = 'tenant'::regclass
        """
    )
    role, powerful = await cursor.fetchone() or ("", True)
    if powerful:
        raise ConfigError(
            Text(
                f"database role '{role}' is not bound by row-level security",
                f"数据库角色“{role}”不受行级安全约束",
            ),
            Text(
                f"let the cloud log in as {APP_ROLE}: neither superuser, nor owner of the tables, nor BYPASSRLS",
                f"请以 {APP_ROLE} 登录：不得为超级用户、表的所有者，也不得具有 BYPASSRLS",
            ),
            key="--dsn",
        )


async def _refuse_forgetful_server(connection: AsyncConnection) -> None:
    """Raise ConfigError if the server says "committed" before it is on the disk: agents delete what we acknowledge."""
    cursor = await connection.execute(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' ORDER BY name"
    )
    if found := await cursor.fetchone():
        raise ConfigError(
            Text(
                f"the database server runs with {found[0]} = off: a power cut would lose what agents have deleted",
                f"数据库服务器设置了 {found[0]} = off，断电将丢失网关已删除的数据",
            ),
            Text(f"set {found[0]} = on in postgresql.conf", f"请在 postgresql.conf 中设置 {found[0]} = on"),
            key="--dsn",
        )
