"""A provider's worker: fetches jobs of its offer, runs them, says every few seconds how far it is, and brings what came out.

It only calls out. It keeps its key and, in `meter.jsonl`, every acknowledged beat with both signatures: what it has earned can
be proven without asking anybody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.compute.accelerator import busy_percent
from cloud.compute.engine import Engine, Outcome
from cloud.compute.log_lines import LogBuffer
from cloud.compute.metering import START, Beat, Checkpoint, chained, holds, public_text, signed, written
from cloud.compute.schemas import Ack, Ending, Hello, Lease, Welcome
from models.task import RESULTS, ProbeTask
from protocols.errors import ConfigError, Refused, Unreachable
from protocols.text import Text

_RETRY_S = 1.0
_OUTPUTS = ("card.toml", "model.onnx", RESULTS)
_UNAUTHORIZED, _NO_CONTENT = 401, 204
_log = logging.getLogger(__name__)


class _Over(Exception):
    """The attempt is over: the job is somebody else's now."""


class _Stopped(Exception):
    """The platform wants the job to end."""


class Worker:
    """Works for one offer. Use as `async with Worker(...) as worker: await worker.work()`."""

    def __init__(self, url: str, token: str, folder: Path, engine: Engine) -> None:
        self._folder, self._engine = folder, engine
        self._key = _own_key(folder)
        self._token = token
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=f"{url.rstrip('/')}/api/v1/compute/worker", headers=headers, timeout=30)
        self._provider = ""
        self.welcome: Welcome | None = None

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def greet(self) -> Welcome:
        """Prove by which provider this machine computes, and say so; raises Refused, Unreachable, ConfigError."""
        with TemporaryDirectory(prefix="sunmao-probe-") as name:
            folder = Path(name)
            (folder / "task.json").write_bytes(msgspec.json.encode(ProbeTask()))
            outcome = await self._engine.run(folder, "CPUExecutionProvider", lambda _: None)
        if outcome.result is None:
            raise ConfigError(
                Text("this machine cannot run models", "本机无法运行模型"),
                Text("install the extra: sunmao-iiot[compute]", "请安装扩展：sunmao-iiot[compute]"),
            )
        found = outcome.result["probed"]
        self._provider = found["provider"]
        body = Hello(
            public_key=public_text(self._key), provider=self._provider, speed=found["speed"], refused=found["refused"]
        )
        answer = await self._ask("POST", "/hello", json=body.model_dump())
        self.welcome = Welcome.model_validate_json(answer.content)
        return self.welcome

    async def work(self, jobs: int | None = None) -> None:
        """Fetch and run jobs until cancelled, or `jobs` of them; an unreachable platform is asked again."""
        failing, done = False, 0
        while jobs is None or done < jobs:
            try:
                answer = await self._ask("POST", "/lease", params={"wait_s": 20})
            except Unreachable as error:
                if not failing:
                    _log.warning("%s; trying on", error)
                failing = True
                await asyncio.sleep(_RETRY_S)
                continue
            failing = False
            if answer.status_code != _NO_CONTENT:
                await self._do(Lease.model_validate_json(answer.content))
                done += 1

    async def _do(self, lease: Lease) -> None:
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        with TemporaryDirectory(prefix="sunmao-job-") as name:
            run = _Run(lease, self._engine, Path(name), LogBuffer([self._token]))
            beating = asyncio.create_task(self._beat(run))
            doing = asyncio.create_task(self._run(run))
            try:
                await asyncio.wait([beating, doing], return_when=asyncio.FIRST_COMPLETED)
                if doing.done():
                    ending = doing.result()
                else:
                    beating.result()  # raises what ended it
                    return
            except _Stopped:
                ending = Ending(outcome="stopped")
            except _Over:
                return
            finally:
                for task in (doing, beating):
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task
            with suppress(_Over, _Stopped):
                await self._say(run)  # the last beat: all that was done is acknowledged
            await self._report(run, run.log.last())
            await self._end(run, ending)

    async def _run(self, run: _Run) -> Ending:
        """Fetch the files, run the child, bring what came out."""
        for file in run.lease.files:
            query = {"kind": file.kind, "name": file.name}
            content = (await self._persist("GET", "/files", run, params=query)).content
            if sha256(content).hexdigest() != file.digest:
                return Ending(outcome="broken", reason_en=f"{file.name} came damaged", reason_zh=f"{file.name} 已损坏")
            (run.folder / file.name).write_bytes(content)
        (run.folder / "task.json").write_bytes(msgspec.json.encode(run.lease.orders))
        outcome = await self._compute(run)
        if outcome.result is not None:
            for path in (run.folder / name for name in _OUTPUTS):
                if path.exists():
                    query = {"kind": "output", "name": path.name}
                    await self._persist("PUT", "/files", run, params=query, content=path.read_bytes())
            return Ending(outcome="done", result=outcome.result)
        if outcome.failed:
            return Ending(outcome="failed", reason_en=outcome.failed["en"], reason_zh=outcome.failed["zh"])
        if outcome.code < 0:
            why = Text("it ran into its limit of computing time or memory", "超出计算时间或内存限制")
            return Ending(outcome="failed", reason_en=why.en, reason_zh=why.zh)
        return Ending(outcome="broken", reason_en=f"its process ended by {outcome.code}")

    async def _compute(self, run: _Run) -> Outcome:
        running = asyncio.create_task(self._engine.run(run.folder, self._provider, run.heard))
        try:
            while not running.done():
                waiting = asyncio.create_task(run.safe.wait())
                await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if run.safe.is_set() and not running.done():
                    run.safe.clear()
                    await self._save(run)
            return await running
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _save(self, run: _Run) -> None:
        """Bring the checkpoint: the findings that are durable, whole lines only."""
        whole = (run.folder / RESULTS).read_bytes().rpartition(b"\n")[0] + b"\n"
        query = {"kind": "checkpoint", "name": RESULTS}
        await self._persist("PUT", "/files", run, params=query, content=whole)
        run.checkpoint = Checkpoint(sha256(whole).hexdigest(), whole.count(b"\n"))

    async def _beat(self, run: _Run) -> None:
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        while True:
            await self._say(run)
            await self._report(run, run.log.take())
            await asyncio.sleep(self.welcome.beat_s)

    async def _report(self, run: _Run, lines: list[str]) -> None:
        """Tell what the child has written and uses; where nobody answers the lines wait, and the job goes on."""
        use = {"memory_mb": self._engine.memory_mb(), "accelerator": await busy_percent(self._provider)}
        key = {"job_id": str(run.lease.job_id), "attempt": run.lease.attempt}
        try:
            await self._ask("POST", "/report", params=key, json={"first": run.lines + 1, "lines": lines} | use)
        except Unreachable:
            run.log.give_back(lines)
        else:
            run.lines += len(lines)

    async def _say(self, run: _Run) -> None:
        """Say a beat until it is acknowledged; raises _Over, _Stopped.

        A platform that is silent for two leases has given the job to somebody else: what is computed on is not paid.
        """
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        async with run.speaking:
            text = written(run.beat())
            digest = chained(run.head, text)
            body = {"body": text, "signature": signed(self._key, digest)}
            answer = await self._persist("POST", "/beats", run, json=body)
            ack = Ack.model_validate_json(answer.content)
            if ack.hash != digest.hex() or not holds(self.welcome.platform_key, ack.signature, digest):
                raise Refused(
                    Text("the platform's signature does not hold", "平台签名无效"),
                    Text("is this the platform the token is for?", "请确认令牌对应的平台地址"),
                )
            run.head, run.seq = digest, run.seq + 1
            with (self._folder / "meter.jsonl").open("ab") as file:
                line = {"job": str(run.lease.job_id), "hash": ack.hash, "platform_signature": ack.signature} | body
                file.write(msgspec.json.encode(line) + b"\n")
            if ack.stop:
                raise _Stopped

    async def _end(self, run: _Run, ending: Ending) -> None:
        with suppress(_Over):
            await self._persist("POST", "/end", run, json=ending.model_dump())

    async def _persist(self, method: str, path: str, run: _Run, **request: Any) -> httpx.Response:
        """Ask until there is an answer; raises _Over where the attempt is over, or the platform silent for two leases."""
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        key = {"job_id": str(run.lease.job_id), "attempt": run.lease.attempt}
        request["params"] = request.get("params", {}) | key
        until = time.monotonic() + 2 * self.welcome.lease_s
        while True:
            try:
                answer = await self._ask(method, path, **request)
            except Unreachable as error:
                if time.monotonic() > until:
                    _log.warning("job %s: %s", run.lease.job_id, error)
                    raise _Over from error
                await asyncio.sleep(_RETRY_S)
                continue
            if answer.is_client_error:
                _log.warning("job %s: %s", run.lease.job_id, answer.text)
                raise _Over
            return answer

    async def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unreachable(
                Text(f"{self._http.base_url} does not answer: {error}", f"{self._http.base_url} 无应答：{error}"),
                Text("check the address and the network", "请检查地址和网络"),
            ) from error
        if answer.status_code == _UNAUTHORIZED:
            raise Refused(
                Text("the token is not valid (any more)", "令牌无效或已失效"),
                Text("open an offer and use its token", "请新建算力报价并使用其令牌"),
            )
        if answer.is_server_error:
            raise Unreachable(
                Text(f"the platform answers {answer.status_code}", f"平台返回 {answer.status_code}"),
                Text("try again later", "请稍后重试"),
            )
        return answer


class _Run:
    """One attempt as its worker sees it."""

    def __init__(self, lease: Lease, engine: Engine, folder: Path, log: LogBuffer) -> None:
        self.lease, self.folder, self.log = lease, folder, log
        self.lines = 0
        self.head, self.seq = START, 0
        self.safe = asyncio.Event()
        self.speaking = asyncio.Lock()
        self.checkpoint: Checkpoint | None = None
        self._engine, self._began = engine, time.monotonic()
        self._stage, self._done, self._total = "fetch", 0, 0
        self._chip, self._cpu_ms = "", 0

    def heard(self, said: dict[str, Any]) -> None:
        """Take down what the child says."""
        if "log" in said:
            self.log.add(said["log"])
        elif "stage" in said:
            if said["stage"] != self._stage:
                self.log.add(f"{said['stage']}: {said['all']}")
            self._stage, self._done, self._total = said["stage"], said["done"], said["all"]
        elif "chip" in said:
            self._chip = said["chip"]
            self.log.add(f"chip: {self._chip}")
        else:
            self.safe.set()

    def beat(self) -> Beat:
        """Return the next beat."""
        self._cpu_ms = max(self._cpu_ms, self._engine.cpu_ms())
        return Beat(
            job=str(self.lease.job_id),
            attempt=self.lease.attempt,
            seq=self.seq + 1,
            used_ms=int((time.monotonic() - self._began) * 1000),
            cpu_ms=self._cpu_ms,
            chip=self._chip,
            stage=self._stage,
            done=self._done,
            total=self._total,
            checkpoint=self.checkpoint,
        )


def _own_key(folder: Path) -> Ed25519PrivateKey:
    """Return the worker's key, made on first use; raises ConfigError if it cannot be kept."""
    path = folder / "worker.key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(Ed25519PrivateKey.generate().private_bytes_raw())
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            Text(f"{path}: {error}", f"{path}：{error}"),
            Text("choose a folder you may write", "请选择可写目录"),
            key="--folder",
        ) from error
