"""Real databases and a real server for the cloud's tests. Each test module gets a database of its own.

All run on the embedded PostgreSQL; those marked `both_databases` on TimescaleDB besides.
"""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from uuid import UUID, uuid4

import httpx
import psutil
import psycopg
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cloud.app import create_app
from cloud.core.db import Database, prepare
from cloud.core.embedded import EmbeddedPostgres
from cloud.core.port import listen
from cloud.core.principal import TenantScope
from cloud.core.settings import Secrets
from cloud.fleet.schemas import CodeRequest
from cloud.fleet.service import Fleet
from cloud.identity import passwords
from cloud.identity.schemas import SiteRequest, UserRequest
from cloud.identity.service import Identity
from cloud.notify.settings import NotifySettings
from tests.doubles.agent import AgentDouble

SECRETS = Secrets(signing_key="s" * 43, lookup_key="l" * 43, database_password="d" * 43)
PASSWORD = "correct horse battery"
TIMESCALE = Path(__file__).parents[2] / "deploy" / "dev" / "timescaledb.sh"


@contextmanager
def roles_alone() -> Iterator[None]:
    """Migrate while no other test process does: roles belong to the server, which several of them may use."""
    with (Path(gettempdir()) / "sunmao-test-roles.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass
class Cluster:
    """A running server; `migrated` is a database of it to copy others from."""

    owner_dsn: str
    migrated: str | None = None

    def empty(self, like: str = "template0") -> str:
        """Create a database without any table, or one like another, and return its owner's DSN."""
        name = f"t_{uuid4().hex}"
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
        return make_conninfo(self.owner_dsn, dbname=name)

    def fresh(self) -> str:
        """Create a migrated database and return its owner's DSN."""
        if self.migrated is None:
            dsn = self.empty()
            with roles_alone():
                prepare(dsn, SECRETS.database_password)
            self.migrated = str(conninfo_to_dict(dsn)["dbname"])
            with psycopg.connect(dsn, autocommit=True) as connection:
                # TimescaleDB's own workers would stay connected, and what somebody is connected to cannot be copied.
                if connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone():
                    connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
            with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
                connection.execute(f'ALTER DATABASE "{self.migrated}" ALLOW_CONNECTIONS false')
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [self.migrated]
                )
        return self.empty(like=self.migrated)

    def drop(self, dsn: str) -> None:
        """Drop a database made by `fresh`."""
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{conninfo_to_dict(dsn)["dbname"]}" WITH (FORCE)')


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Let a hash cost a thousandth: argon2 is meant to be slow, and every test founds companies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1))
        yield


def quick_folder() -> str | None:
    """Where a commit waits for no disk, if there is plenty of memory; None for the usual place. No test here cuts the power."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    plenty = psutil.virtual_memory().available > 8e9 and memory.is_dir() and shutil.disk_usage(memory).free > 4e9
    return str(memory) if plenty else None


@pytest.fixture(scope="session")
def embedded_cluster() -> Iterator[Cluster]:
    # Not pytest's own folder: another run makes that unreadable to the user PostgreSQL runs as.
    with TemporaryDirectory(prefix="sunmao-test-", dir=quick_folder()) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            yield Cluster(server.start())
        finally:
            server.stop()


@pytest.fixture(scope="session")
def timescale_cluster() -> Iterator[Cluster]:
    """Debian's TimescaleDB, shared with whoever else uses it; skipped with a reason where it cannot be had."""
    started = subprocess.run([TIMESCALE, "start"], capture_output=True, text=True, check=False)
    if started.returncode:
        pytest.skip(f"NO TIMESCALEDB: {started.stderr.strip()}")
    dsn = subprocess.run([TIMESCALE, "dsn"], capture_output=True, text=True, check=True).stdout.strip()
    cluster = Cluster(dsn)
    yield cluster
    if cluster.migrated:
        cluster.drop(make_conninfo(dsn, dbname=cluster.migrated))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" not in metafunc.fixturenames:
        return
    kinds = [pytest.param("embedded")]
    if metafunc.definition.get_closest_marker("both_databases"):
        kinds.append(pytest.param("timescale", marks=pytest.mark.timescale))
    metafunc.parametrize("cluster", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
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
    return make_conninfo(owner_dsn, user="sunmao_app", password=SECRETS.database_password)


@pytest.fixture
async def db(app_dsn: str) -> AsyncIterator[Database]:
    """The app's own pool on this module's database."""
    async with Database(app_dsn) as database:
        yield database


@pytest.fixture(scope="module")
def cold_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the folder for readings that have left this module's database."""
    return tmp_path_factory.mktemp("cold").as_uri()


@pytest.fixture(scope="module")
def notify_settings() -> NotifySettings:
    """What the operator has set for sending; modules that send override it."""
    return NotifySettings()


@pytest.fixture(scope="module")
def cloud_app(app_dsn: str, cold_store: str, notify_settings: NotifySettings) -> FastAPI:
    """The application on this module's database."""
    return create_app(app_dsn, SECRETS, cold_store, notify_settings)


@pytest.fixture(scope="module")
def cloud_url(cloud_app: FastAPI) -> Iterator[str]:
    """A cloud on this module's database, served over TCP from a thread of its own."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(cloud_app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        httpx.get(f"{url}/readyz", timeout=20).raise_for_status()
        yield url
    finally:
        cloud_app.state.telemetry.end_streams()
        server.should_exit = True
        thread.join()
        listening.close()


@dataclass
class Company:
    """A tenant with a site and an owner, signed in at the cloud under test."""

    scope: TenantScope
    site_id: UUID
    email: str
    token: str
    http: httpx.AsyncClient
    _fleet: Fleet

    async def code(self, minutes: int = 60) -> str:
        return (await self._fleet.create_code(self.scope, CodeRequest(site_id=self.site_id, minutes=minutes), "t")).code

    @asynccontextmanager
    async def agent(self, name: str = "workshop-1") -> AsyncIterator[AgentDouble]:
        """An enrolled agent with a token."""
        agent = AgentDouble(str(self.http.base_url), name)
        async with agent.http:
            await agent.enrol(await self.code())
            await agent.log_in()
            yield agent


NewCompany = Callable[[], Awaitable[Company]]


@pytest.fixture
async def new_company(cloud_url: str, db: Database) -> AsyncIterator[NewCompany]:
    """Founds companies of unlike names."""
    clients: list[httpx.AsyncClient] = []

    async def found() -> Company:
        identity, fleet = Identity(db, SECRETS), Fleet(db, SECRETS)
        scope = await identity.create_tenant(f"Company {uuid4()}")
        site = await identity.create_site(scope, SiteRequest(name="main"), "test")
        email = f"{uuid4().hex}@example.com"
        await identity.create_user(scope, UserRequest(email=email, password=PASSWORD, role="owner"), "test")
        session = await identity.log_in(email, PASSWORD, "127.0.0.1")
        client = httpx.AsyncClient(base_url=cloud_url, headers={"Authorization": f"Bearer {session.token}"}, timeout=30)
        clients.append(client)
        return Company(scope, site.id, email, session.token, client, fleet)

    yield found
    for client in clients:
        await client.aclose()


@pytest.fixture
async def company(new_company: NewCompany) -> Company:
    return await new_company()
