"""A real database for the cloud's tests: each test module gets its own, copied from a migrated template.

The whole suite runs twice: on the embedded PostgreSQL and on TimescaleDB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cloud.core.db import Database, prepare
from cloud.core.embedded import EmbeddedPostgres

APP_PASSWORD = "for-tests-only-" + "0" * 32


@dataclass(frozen=True)
class Cluster:
    """A running server with a migrated template database."""

    owner_dsn: str
    template: str

    def fresh(self) -> str:
        """Create a database of the present schema and return its owner's DSN."""
        name = f"t_{uuid4().hex}"
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self.template}"')
        return make_conninfo(self.owner_dsn, dbname=name)

    def drop(self, dsn: str) -> None:
        """Drop a database made by `fresh`."""
        name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def embedded_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("cloud") / "postgres")
    owner_dsn = server.start()
    try:
        yield _with_template(owner_dsn)
    finally:
        server.stop()


def _with_template(owner_dsn: str) -> Cluster:
    name = f"template_{uuid4().hex}"
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    prepare(make_conninfo(owner_dsn, dbname=name), APP_PASSWORD)
    return Cluster(owner_dsn, name)


@pytest.fixture(scope="session", params=["embedded"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return request.getfixturevalue(f"{request.param}_cluster")


@pytest.fixture(scope="module")
def owner_dsn(cluster: Cluster) -> Iterator[str]:
    """DSN of the owner of this module's database: for looking behind row-level security."""
    dsn = cluster.fresh()
    yield dsn
    cluster.drop(dsn)


@pytest.fixture(scope="module")
def app_dsn(owner_dsn: str) -> str:
    return make_conninfo(owner_dsn, user="sunmao_app", password=APP_PASSWORD)


@pytest.fixture
async def db(app_dsn: str) -> AsyncIterator[Database]:
    """The app's own pool on this module's database."""
    async with Database(app_dsn) as database:
        yield database
