"""Second opinions: a model served warm by its real command, a station that asks it, the cloud that shows what it said."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deploy.demo.processes import BIN
from edge_agent.config_inspection import RemoteConfig
from edge_agent.inspect.remote_opinion import RemoteOpinion
from protocols.text import Text
from protocols.uplink.messages import Event, LateOpinion
from tests.edge_agent.conftest import open_buffer
from tests.edge_agent.inspect.conftest import SignedBundle, StartBench, drop, small_bundle, start_bench

__all__ = ["open_buffer", "small_bundle", "start_bench"]

TOKEN = secrets.token_hex(32)


@contextmanager
def served(
    bundle: SignedBundle, folder: Path, *more: str, token: str = TOKEN
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a bundle as people do; yields its address and process."""
    (folder / "token").write_text(token)
    command = [
        BIN / "sunmao-cloud",
        "compute",
        "serve",
        bundle.folder,
        "--trust",
        bundle.trust[0],
        "--port",
        "0",
        *more,
    ]
    process = subprocess.Popen(
        [*command, "--token-file", folder / "token", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        about = json.loads(process.stdout.readline())
        assert about["provider"] == "CPUExecutionProvider"
        yield about["url"], process
    finally:
        process.terminate()
        assert process.wait(10) in (0, -9, -15)
        process.stdout.close()


class Heard:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.opinions: list[LateOpinion] = []
        self.said: list[tuple[str, str]] = []

    def announce(self, device: str, kind: str, text: Text) -> None:
        self.said.append((kind, text.en))

    def add_opinion(self, opinion: LateOpinion) -> None:
        self.opinions.append(opinion)

    def add_readings(self, *_: Any) -> None: ...
    def add_inspection(self, *_: Any) -> None: ...
    def add_event(self, event: Event) -> None: ...
    async def flush(self) -> None: ...


def remote(url: str, **more: Any) -> RemoteConfig:
    return RemoteConfig(url=url, token=TOKEN, **({"timeout_s": 5} | more))


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


def picture(folder: Path, seed: int, *, flawed: bool = False) -> bytes:
    drop(folder, f"{seed}.png", seed, flawed)
    return (folder / f"{seed}.png").read_bytes()


async def test_the_server_says_what_the_model_says_and_refuses_by_name(
    tmp_path: Path, small_bundle: SignedBundle
) -> None:
    bundle = SignedBundle(tmp_path / "bundle", small_bundle.trust)
    shutil.copytree(small_bundle.folder, bundle.folder)
    with served(bundle, tmp_path, "--models", "2") as (url, process):
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            bad = await http.post("/inspect", content=picture(tmp_path, 1, flawed=True))
            assert bad.json()["verdict"] == "reject"
            assert bad.json()["score"] > bad.json()["reject_limit"]
            together = [http.post("/inspect", content=picture(tmp_path, seed)) for seed in range(20, 30)]
            assert {(await each).json()["verdict"] for each in together} <= {"pass", "review"}
            assert (await http.post("/inspect", content=b"no picture")).status_code == 422
            assert (await http.post("/inspect", content=bytes(17 << 20))).status_code == 413
            assert (await http.get("/")).status_code == 404
            for header in ({}, {"Authorization": "Bearer " + "0" * 64}):
                async with httpx.AsyncClient(base_url=url, headers=header) as stranger:
                    assert (await stranger.get("/health")).status_code == 401
            for child in psutil.Process(process.pid).children():
                child.kill()
            statuses = [(await http.post("/inspect", content=picture(tmp_path, 40))).status_code for _ in range(4)]
            assert statuses[-1] == 200, "models that died are started again"
            (bundle.folder / "card.toml").rename(tmp_path / "card.toml")
            for child in psutil.Process(process.pid).children():
                child.kill()
            for _ in range(4):
                assert (await http.post("/inspect", content=picture(tmp_path, 41))).status_code == 503
            (tmp_path / "card.toml").rename(bundle.folder / "card.toml")
            statuses = [(await http.post("/inspect", content=picture(tmp_path, 42))).status_code for _ in range(4)]
            assert statuses[-1] == 200, "also after they could not be"


@pytest.mark.parametrize("what", ["another key", "a short token"])
def test_what_is_wrong_is_one_line(tmp_path: Path, small_bundle: SignedBundle, what: str) -> None:
    (tmp_path / "token").write_text(TOKEN if what == "another key" else "secret")
    trust = "A" * 43 + "=" if what == "another key" else small_bundle.trust[0]
    command = [BIN / "sunmao-cloud", "compute", "serve", small_bundle.folder, "--trust", trust, "--lang", "en"]
    done = subprocess.run([*command, "--token-file", tmp_path / "token"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert ("trusted key" if what == "another key" else "fewer than 32") in done.stderr


async def test_only_doubtful_parts_are_asked_about_and_only_so_many(tmp_path: Path, small_bundle: SignedBundle) -> None:
    heard = Heard()
    with served(small_bundle, tmp_path) as (url, _):
        asking = RemoteOpinion("camera-1", remote(url, per_minute=2), heard)
        asking.ask("a", picture(tmp_path, 1), "pass")
        for identity in ("b", "c", "d"):
            asking.ask(identity, picture(tmp_path, 2, flawed=True), "review")
        await until(lambda: len(heard.opinions) == 2)
        await asking.close()
    assert {each.inspection for each in heard.opinions} == {"b", "c"}
    assert {(each.opinion.model, each.opinion.verdict) for each in heard.opinions} == {("ramp", "reject")}
    assert asking.counted == {"opinions": 2, "opinions_missed": 1}
    assert heard.said == []


async def test_opinions_follow_their_inspections_to_the_cloud_and_hold_nothing_up(
    tmp_path: Path, small_bundle: SignedBundle, start_bench: StartBench
) -> None:
    with served(small_bundle, tmp_path) as (url, process):
        bench = await start_bench(remote=remote(url, verdicts=["pass", "review", "reject"]))
        for number in range(4):
            drop(bench.folder, f"p-{number}.png", number, flawed=number == 3)
        await bench.until_judged(4)
        await until(lambda: bench.station.report().counters.get("opinions") == 4)
        process.send_signal(signal.SIGSTOP)  # it answers no more
        drop(bench.folder, "p-4.png", 4)
        await bench.until_judged(5)
        process.send_signal(signal.SIGCONT)
        await until(lambda: bench.station.report().counters.get("opinions") == 5)
        batches = await bench.batches()
    seen: list[str] = []
    for batch in batches:
        seen += [each.id for each in batch.inspections]
        for late in batch.opinions:
            assert late.inspection in seen, "an opinion never comes before its inspection"
    verdicts = {each.id: each.verdict for batch in batches for each in batch.inspections}
    opinions = {each.inspection: each.opinion.verdict for batch in batches for each in batch.opinions}
    assert len(verdicts) == 5
    assert len(opinions) == 5
    assert all(verdicts[identity] == verdict for identity, verdict in opinions.items()), "it is the same model"


async def test_who_does_not_answer_is_said_once_and_left_alone(tmp_path: Path, unused_port: int) -> None:
    heard = Heard()
    asking = RemoteOpinion("camera-1", remote(f"http://127.0.0.1:{unused_port}"), heard)
    for _ in range(3):
        asking.ask("a", b"picture", "review")
        await asyncio.sleep(0.3)
    await asking.close()
    assert asking.counted == {"opinions_missed": 3}
    assert [kind for kind, _ in heard.said] == ["remote_failed"]


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@pytest.mark.parametrize("url", ["http://10.0.0.7:8700", "ftp://a", "https://user:pw@host"])
def test_pictures_leave_the_box_by_tls_only(url: str) -> None:
    with pytest.raises(ValueError, match="https://host:8700"):
        RemoteConfig(url=url, token=TOKEN)
