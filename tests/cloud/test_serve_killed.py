"""`sunmao-cloud serve` as people run it: killed in mid-stream the counts close; wrong use is one clear line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest

from cloud.core.embedded import EmbeddedPostgres
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import quick_folder
from tests.doubles.agent import AgentDouble, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000
FRAMES, ROWS = 120, 50


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sunmao-test-", dir=quick_folder()) as name:
        yield Path(name) / "data"


@pytest.fixture(scope="module")
def founded() -> Iterator[Path]:
    """Where a cloud keeps what it knows: of company T, which a@example.com opens with "a long password"."""

    async def found(data: str) -> None:
        await _json("tenant", "create", "--name", "T", "--data", data)
        words = ("--email", "a@example.com", "--password-stdin", "--data", data)
        await _json("user", "create", *words, stdin=b"a long password\n")

    with TemporaryDirectory(prefix="sunmao-test-", dir=quick_folder()) as name:
        asyncio.run(found(f"{name}/data"))
        yield Path(name) / "data"


@pytest.fixture
def company(folder: Path, founded: Path) -> Path:
    """A folder with company T in it, for one test."""
    subprocess.run(["cp", "-a", founded, folder], check=True)
    return folder


async def _cloud(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from cloud.cli import main; main()", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate(stdin)
    return process.returncode or 0, (out + err).decode()


async def _json(*arguments: str, stdin: bytes = b"") -> dict[str, Any]:
    status, text = await _cloud(*arguments, "--json", stdin=stdin)
    assert status == 0, text
    answer: dict[str, Any] = json.loads(text)
    return answer


async def _serve(*arguments: str, stderr: int | None = None) -> tuple[Process, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from cloud.cli import main; main()", "serve", "--json", *arguments),
        stdout=PIPE,
        stderr=stderr,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
    assert line, "serve ended"
    return process, json.loads(line)["url"]


@pytest.mark.timeout(400)  # many starts of a cloud, which take their time where much else runs
async def test_a_cloud_killed_in_mid_stream_loses_and_doubles_nothing(company: Path) -> None:
    data = ("--data", str(company))
    code = (await _json("code", "create", *data))["code"]
    process, url = await _serve("--port", "0", *data)
    port = url.rsplit(":", 1)[1]
    points = [PointRef("meter-1", f"P{seq}", "active_power_total", "KWT") for seq in range(FRAMES)]
    frames = [frame(seq, readings(point, [1.0] * ROWS, START_US)) for seq, point in enumerate(points)]
    acknowledged: set[int] = set()
    reached = {FRAMES // 4: asyncio.Event(), FRAMES // 2: asyncio.Event()}
    agent = AgentDouble(url)

    async def forward() -> None:
        """Send what is not acknowledged, for as long as it takes; as an agent does."""
        while len(acknowledged) < FRAMES:
            waiting = [some for some in frames if some.seq not in acknowledged][:4]
            try:
                acknowledged.update((await agent.deliver(*waiting)).stored)
                for count, enough in reached.items():
                    if len(acknowledged) >= count:
                        enough.set()
            except httpx.TransportError:
                await asyncio.sleep(0.05)

    told: Counter[int] = Counter()
    signed_in = asyncio.Event()

    async def follow() -> None:
        """Follow the changes over every cut, as a browser's EventSource does."""
        last = {}
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            await http.post("/api/v1/sessions", json={"email": "a@example.com", "password": "a long password"})
            signed_in.set()
            while len(told) < FRAMES:
                with suppress(httpx.TransportError):
                    async with http.stream("GET", "/api/v1/changes", headers=last) as stream:
                        identity = ""
                        async for line in stream.aiter_lines():
                            name, _, value = line.partition(": ")
                            identity = value if name == "id" else identity
                            if name == "data":
                                told.update(one["series_id"] for one in json.loads(value)["values"])
                                last = {"Last-Event-ID": identity}
                            if len(told) == FRAMES:
                                return
                await asyncio.sleep(0.05)

    async with agent.http:
        await agent.enrol(code)
        await agent.log_in()
        following = asyncio.create_task(follow())
        await asyncio.wait_for(signed_in.wait(), 60)  # a log-in is not tried again, unlike all else here
        forwarding = asyncio.create_task(forward())
        for event in reached.values():
            async with asyncio.timeout(60):
                await event.wait()
            process.kill()
            await process.wait()
            process, _ = await _serve("--port", port, *data)
        async with asyncio.timeout(60):
            await forwarding
            await following
    assert sum(told.values()) < 2 * FRAMES, "it went on where it was cut, and did not begin anew"
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    stats = await _json("stats", *data)
    assert (stats["readings"], stats["ledger_readings"], stats["frames"]) == (FRAMES * ROWS, FRAMES * ROWS, FRAMES)
    assert (stats["duplicates"], stats["points"], stats["unmapped_points"]) == (0, FRAMES, 0)


async def test_a_user_made_on_the_command_line_can_sign_in_and_nothing_secret_is_readable(folder: Path) -> None:
    data = ("--data", str(folder))
    await _json("tenant", "create", "--name", "某某精密制造有限公司", "--credit-code", "91350100M000100Y43", *data)
    made = await _json("user", "create", "--email", "Boss@Example.com", "--generate", *data)
    await _json("user", "create", "--email", "b@example.com", "--password-stdin", *data, stdin=b"ten letters\n")
    process, url = await _serve("--port", "0", *data)
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/api/v1/sessions", json={"email": made["email"], "password": made["password"]})
        assert answer.status_code == 201
        assert (await http.get("/metrics")).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not (folder / "postgres" / "postmaster.pid").exists(), "the database has been stopped"
    assert stat.S_IMODE(os.stat(folder / "secrets.json").st_mode) == 0o600


async def test_who_follows_a_stream_does_not_keep_the_cloud_from_stopping(company: Path) -> None:
    data = ("--data", str(company))
    process, url = await _serve("--port", "0", *data, stderr=PIPE)
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60) as http:
        session = await http.post("/sessions", json={"email": "a@example.com", "password": "a long password"})
        headers = {"Authorization": f"Bearer {session.json()['token']}"}
        async with http.stream("GET", "/changes", headers=headers) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            process.send_signal(signal.SIGTERM)
            async for line in lines:
                assert line in {":", ""}
    _, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")


async def test_a_port_in_use_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, text = await _cloud(
            "serve", "--port", str(taken.getsockname()[1]), "--data", str(folder), "--lang", "zh"
        )
    assert status == 2
    assert text.count("\n") == 1
    assert "无法监听" in text


async def test_a_database_that_does_not_answer_is_one_line(folder: Path) -> None:
    dsn = "postgresql://u:canary@127.0.0.1:1/x"
    status, text = await _cloud("serve", "--dsn", dsn, "--data", str(folder), "--lang", "en")
    assert status == 3
    assert text.count("\n") == 1
    assert "canary" not in text


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b'{"signing_key":"","lookup_key":"","database_password":""}', 0o600, "empty or too short"),
        (b'{"signing_key":"changeme","lookup_key":"x","database_password":"x"}', 0o600, "too short"),
        (b"{}", 0o600, "missing"),
        (b"not json", 0o600, "malformed"),
        (b"{}", 0o644, "other users can read it"),
    ],
)
def test_weak_secrets_are_not_served_with(folder: Path, content: bytes, mode: int, said: str) -> None:
    folder.mkdir()
    (folder / "secrets.json").write_bytes(content)
    (folder / "secrets.json").chmod(mode)
    status, text = asyncio.run(_cloud("serve", "--port", "0", "--data", str(folder), "--lang", "en"))
    assert (status, said in text, text.count("\n")) == (2, True, 1), text


async def test_wrong_values_name_the_option(folder: Path) -> None:
    data = ("--data", str(folder), "--lang", "en")
    for arguments, key in (
        (("tenant", "create", "--name", "T", "--credit-code", "123"), "credit_code"),
        (("tenant", "create", "--name", "T", "--time-zone", "Mars"), "time_zone"),
        (("code", "create"), "--tenant"),
        (("serve", "--port", "0", "--read-dsn", "replica"), "--read-dsn"),
        (("user", "create", "--email", "x", "--generate"), "--email"),
    ):
        status, text = await _cloud(*arguments, *data)
        assert (status, key in text, text.count("\n")) == (2, True, 1), text


def test_the_embedded_server_lets_in_this_user_only_and_listens_on_no_network(folder: Path) -> None:
    folder.mkdir()
    server = EmbeddedPostgres(folder / "postgres")
    try:
        dsn = server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
            rules = connection.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
        assert set(rules) == {("local", "peer")}
        with pytest.raises(psycopg.OperationalError, match=r"(?i)peer"):
            psycopg.connect(dsn, user="somebody")
    finally:
        server.stop()


def test_the_embedded_server_starts_again_after_it_was_killed_even_unburied(folder: Path) -> None:
    folder.mkdir()
    server = EmbeddedPostgres(folder / "postgres")
    with psycopg.connect(server.start()) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
    assert row is not None
    lock = str(row[0])
    os.kill(int(lock.splitlines()[0]), signal.SIGKILL)
    server.stop()
    with subprocess.Popen(["true"]) as unburied:
        os.waitid(os.P_PID, unburied.pid, os.WEXITED | os.WNOWAIT)
        (folder / "postgres" / "postmaster.pid").write_text(lock.replace(lock.splitlines()[0], str(unburied.pid), 1))
        again = EmbeddedPostgres(folder / "postgres")
        try:
            with psycopg.connect(again.start()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            again.stop()


def test_the_embedded_server_starts_under_a_locale_that_is_not_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_XX.UTF-8")
    folder.mkdir()
    server = EmbeddedPostgres(folder / "postgres")
    try:
        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SELECT length('榫卯')").fetchone() == (2,)
    finally:
        server.stop()
    assert os.environ["LC_ALL"] == "zh_XX.UTF-8"


async def test_the_audit_log_is_proved_on_the_command_line_and_an_edited_row_is_named(company: Path) -> None:
    data = ("--data", str(company))
    whole = await _json("audit", "verify", *data)
    assert whole["logs"] == [{"tenant": "T", "entries": 3, "row": None, "fault": ""}]
    status, anchors = await _cloud("audit", "anchor", *data)
    assert status == 0
    kept = company / "anchors"
    kept.write_text(anchors)
    server = EmbeddedPostgres(company / "postgres")
    try:
        with psycopg.connect(server.start()) as owner:
            owner.execute("UPDATE audit SET subject = 'b@example.com' WHERE seq = 3")
    finally:
        server.stop()
    status, said = await _cloud("audit", "verify", "--tenant", "T", "--anchor", str(kept), "--lang", "en", *data)
    assert (status, said.strip()) == (1, "T: entry 3: its content or its place has been changed")
    kept.write_text("no anchor\n")
    status, said = await _cloud("audit", "verify", "--anchor", str(kept), "--lang", "zh", *data)
    assert status == 2
    assert "第 1 行不是锚点" in said
