"""One installation of the cloud: its folder, its secrets and its database, made ready to be used."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import make_conninfo

from cloud.core.db import prepare
from cloud.core.embedded import EmbeddedPostgres
from cloud.core.migrate import unreachable
from cloud.core.principal import TenantScope
from cloud.core.roles import APP_ROLE
from cloud.core.settings import Settings, load_secrets
from protocols.errors import ConfigError
from protocols.text import Text


class Installation:
    """Use as `with Installation(settings) as here`: loads the secrets, starts or finds the database, migrates it.

    Attributes:
        secrets: see `Secrets`.
        dsn: the app role's; what `Database` takes.
    """

    def __init__(self, settings: Settings) -> None:
        settings.refuse_unset_dsn()
        self._embedded = EmbeddedPostgres(settings.postgres_folder) if settings.dsn is None else None
        self._owner_dsn = settings.dsn or ""
        self.secrets = load_secrets(settings.data)
        self.dsn = ""

    def __enter__(self) -> Installation:
        if self._embedded:
            self._owner_dsn = self._embedded.start()
        try:
            self.dsn = prepare(self._owner_dsn, self.secrets.database_password)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def as_owner(self, statement: LiteralString, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that only the database's owner may run; raises ConfigError for another DSN."""
        try:
            with psycopg.connect(self._owner_dsn) as connection:
                return connection.execute(statement, values).fetchall()
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigError(
                Text("only the database's owner may do this", "只有数据库所有者可以执行该操作"),
                Text("give the owner's DSN", "请提供所有者的 DSN"),
                key="--dsn",
            ) from error
        except psycopg.OperationalError as error:
            raise unreachable(self._owner_dsn, error) from error

    def replica(self, dsn: str | None) -> str | None:
        """Return the DSN of the app role in the replica at `dsn`, None where there is none; raises ConfigError for no DSN."""
        if not dsn:
            return None
        try:
            return make_conninfo(dsn, user=APP_ROLE, password=self.secrets.database_password)
        except psycopg.ProgrammingError as error:
            why = str(error).strip()
            raise ConfigError(
                Text(f"this is no DSN of a database: {why}", f"不是有效的数据库连接串：{why}"),
                Text("write it as postgresql://host:port/database", "请写成 postgresql://主机:端口/数据库"),
                key="--read-dsn",
            ) from error

    def tenants(self) -> list[tuple[TenantScope, str]]:
        """Return every tenant with its name; raises ConfigError unless the DSN is the owner's."""
        return [(TenantScope(tenant), name) for tenant, name in self.as_owner("SELECT id, name FROM list_tenants()")]

    def tenant(self, wanted: str | None) -> TenantScope:
        """Return the tenant of this name or id, or the only one there is; for the operator's command line.

        Raises ConfigError if there is no such tenant, or if `wanted` is None and there is not exactly one.
        """
        tenants = self.tenants()
        found = [scope for scope, name in tenants if wanted in (None, name, str(scope.tenant_id))]
        if len(found) == 1:
            return found[0]
        names = ", ".join(f"{name} ({scope.tenant_id})" for scope, name in tenants) or "-"
        raise ConfigError(
            Text(
                f"no single tenant '{wanted or ''}'; there are: {names}", f"无法确定租户“{wanted or ''}”；现有：{names}"
            ),
            Text(
                "name one by --tenant, or create one: sunmao-cloud tenant create",
                "请用 --tenant 指定，或先创建租户：sunmao-cloud tenant create",
            ),
            key="--tenant",
        )

    def _stop(self) -> None:
        if self._embedded:
            self._embedded.stop()
