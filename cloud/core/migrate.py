"""Brings a database to the schema this version needs, and its roles to the rights this version grants."""

from __future__ import annotations

from pathlib import Path
from time import sleep
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from yoyo import get_backend, read_migrations

from cloud.core.roles import APP_ROLE
from protocols.errors import ConfigError, Unreachable
from protocols.text import Text

MIGRATIONS = Path(__file__).parents[1] / "migrations"

_CONNECT_TIMEOUT_S = 10


def migrate(owner_dsn: str, app_password: str) -> list[str]:
    """Apply what is missing, as the owner of the database; return the ids applied.

    Safe to run from several processes at once: one works, the others wait. `app_password` becomes the app role's.

    Raises Unreachable if the server does not answer and ConfigError if it refuses the owner's rights.
    """
    try:
        # yoyo takes a URL; every connection parameter may stand in its query part.
        backend = get_backend(f"postgresql+psycopg:///?{urlencode(_parameters(owner_dsn))}")
        try:
            with backend.lock():
                missing = backend.to_apply(read_migrations(str(MIGRATIONS)))
                backend.apply_migrations(missing)
                applied = [migration.id for migration in missing]
        finally:
            backend.connection.close()
        with psycopg.connect(owner_dsn, autocommit=True) as connection:
            _let_app_in(connection, app_password)
    except psycopg.OperationalError as error:
        raise unreachable(owner_dsn, error) from error
    except psycopg.Error as error:
        raise ConfigError(
            Text(f"the database cannot be migrated: {error}", f"数据库无法升级：{error}"),
            Text(
                "the DSN's role must own the database and have CREATEROLE",
                "DSN 中的角色须为数据库所有者并具有 CREATEROLE 权限",
            ),
            key="--dsn",
        ) from error
    return applied


def pending(dsn: str) -> list[str]:
    """Return the ids of migrations this version has and the database lacks. Any role may ask.

    Raises Unreachable if the server does not answer.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
            row = connection.execute("SELECT to_regclass('public._yoyo_migration') IS NOT NULL").fetchone()
            done = set()
            if row and row[0]:
                done = {name for (name,) in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from error
    return [migration.id for migration in read_migrations(str(MIGRATIONS)) if migration.id not in done]


def unreachable(dsn: str, error: Exception) -> Unreachable:
    """Return the one line for a database that does not answer; the DSN's password is not in it."""
    known = conninfo_to_dict(dsn)
    where = f"{known.get('host') or 'localhost'}:{known.get('port') or 5432}/{known.get('dbname') or ''}"
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return Unreachable(
        Text(f"database {where} does not answer: {first_line}", f"数据库 {where} 无应答：{first_line}"),
        Text("check the address, the password and that the server runs", "请检查地址、密码以及数据库服务是否已启动"),
        key="--dsn",
    )


def _parameters(dsn: str) -> dict[str, str]:
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            Text(f"not a PostgreSQL connection string: {error}", f"不是有效的 PostgreSQL 连接串：{error}"),
            Text(
                "use postgresql://user:password@host:port/database",
                "格式：postgresql://user:password@host:port/database",
            ),
            key="--dsn",
        ) from error
    return {"connect_timeout": str(_CONNECT_TIMEOUT_S), **given}


def _let_app_in(connection: psycopg.Connection, password: str) -> None:
    """Set the app role's password, and let it read which migrations are done (`pending`).

    The server gets a hash: servers are often told to log such statements.
    """
    role = sql.Identifier(APP_ROLE)
    hashed = connection.pgconn.encrypt_password(password.encode(), APP_ROLE.encode(), b"scram-sha-256").decode()
    for last in (False, False, False, False, True):
        try:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(hashed)))
            break
        except psycopg.errors.InternalError:  # "tuple concurrently updated": another process starts at this moment
            if last:
                raise
            sleep(0.2)
    connection.execute(sql.SQL("GRANT SELECT ON _yoyo_migration TO {}").format(role))
