"""A provider's worker: fetches jobs of its offer, runs them, says every few seconds how far it is, and brings what came out.

It only calls out. It keeps its key and, in `meter.jsonl`, every acknowledged beat with both signatures: what it has earned can
be proven without asking anybody. A job whose customer allows it is worked on without a link: its beats wait on disk, signed, and
are presented when there is one again.
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
from uuid import UUID

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.compute.accelerator import busy_percent
from cloud.compute.engine import Engine, Outcome
from cloud.compute.leased_run import LeasedRun
from cloud.compute.log_lines import LogBuffer
from cloud.compute.metering import Checkpoint, chained, holds, public_text, read, signed, written
from cloud.compute.platform_call import asked
from cloud.compute.spool import Record, Spool
from cloud.compute.worker_schemas import Ack, Ending, Hello, Lease, Presented, Welcome
from models.task import OUTPUT, RESULTS, STATE, ProbeTask
from protocols.errors import ConfigError, Refused, Unreachable
from protocols.text import Text

_RETRY_S = 1.0
_SELDOM_S = 30.0
"""How often a beat is kept at the least while there is no link."""
_REPORT_S = 3.0
"""How long a report may take: the next beat waits for it."""
_SPOOL, _BATCH = "spool", 200
_OUTPUTS = ("card.toml", "model.onnx", RESULTS)
_NO_CONTENT = 204
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
            public_key=public_text(self._key),
            provider=self._provider,
            speed=found["speed"],
            refused=found["refused"],
            no_walls=found["no_walls"],
        )
        answer = await asked(self._http, "POST", "/hello", json=body.model_dump())
        self.welcome = Welcome.model_validate_json(answer.content)
        return self.welcome

    async def work(self, jobs: int | None = None) -> None:
        """Fetch and run jobs until cancelled, or `jobs` of them; an unreachable platform is asked again."""
        failing, done = False, 0
        while jobs is None or done < jobs:
            try:
                await self._present_left()
                answer = await asked(self._http, "POST", "/lease", params={"wait_s": 20})
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
            run = LeasedRun(lease, self._engine, Path(name), LogBuffer([self._token]))
            if lease.offline_s:
                run.spool = Spool.begin(self._folder / _SPOOL, lease.job_id, lease.attempt)
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
            with suppress(_Over):
                if run.spool:
                    await self._settle(run, run.spool)
                await self._report(run, run.log.last())
                await self._persist("POST", "/end", run, json=ending.model_dump())
                if run.spool:
                    run.spool.close()

    async def _run(self, run: LeasedRun) -> Ending:
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
            for path in sorted(run.folder.iterdir()):
                if path.name in _OUTPUTS or path.name.startswith(OUTPUT):
                    query = {"kind": "output", "name": path.name.removeprefix(OUTPUT)}
                    await self._persist("PUT", "/files", run, params=query, content=path.read_bytes())
            return Ending(outcome="done", result=outcome.result)
        if outcome.failed:
            return Ending(outcome="failed", reason_en=outcome.failed["en"], reason_zh=outcome.failed["zh"])
        if outcome.code < 0:
            why = Text("it ran into its limit of computing time or memory", "超出计算时间或内存限制")
            return Ending(outcome="failed", reason_en=why.en, reason_zh=why.zh)
        return Ending(outcome="broken", reason_en=f"its process ended by {outcome.code}")

    async def _compute(self, run: LeasedRun) -> Outcome:
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
            run.stop_the_clock()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _save(self, run: LeasedRun) -> None:
        """Bring the checkpoint: the findings that are durable, whole lines only, or the state of an archive's run."""
        try:
            if run.spool:  # the file must not be ahead of a beat that names the one before it
                await self._present(run.spool, run)
        except Unreachable:
            return
        name, done = (STATE, run.saved) if (run.folder / STATE).exists() else (RESULTS, None)
        whole = (run.folder / name).read_bytes()
        if done is None:
            whole = whole.rpartition(b"\n")[0] + b"\n"
            done = whole.count(b"\n")
        query = {"kind": "checkpoint", "name": name}
        await self._persist("PUT", "/files", run, params=query, content=whole)
        run.checkpoint = Checkpoint(sha256(whole).hexdigest(), done)

    async def _beat(self, run: LeasedRun) -> None:
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        while True:
            await self._say(run)
            waiting = len(run.spool.waiting) if run.spool else 0
            if not waiting:
                await self._report(run, run.log.take())
            await asyncio.sleep(min(self.welcome.beat_s * (1 + waiting), _SELDOM_S))

    async def _report(self, run: LeasedRun, lines: list[str]) -> None:
        """Tell what the child has written and uses; where nobody answers the lines wait, and the job goes on."""
        use = {"memory_mb": self._engine.memory_mb(), "accelerator": await busy_percent(self._provider)}
        key = {"job_id": str(run.lease.job_id), "attempt": run.lease.attempt}
        try:
            told = {"first": run.lines + 1, "lines": lines} | use
            await asked(self._http, "POST", "/report", params=key, json=told, timeout=_REPORT_S)
        except Unreachable:
            run.log.give_back(lines)
        else:
            run.lines += len(lines)

    async def _say(self, run: LeasedRun) -> None:
        """Say a beat until it is acknowledged; raises _Over, _Stopped.

        A platform that is silent for two leases has given the job to somebody else: what is computed on is not paid. Where the
        customer allows more, the beat is kept for as long, and as long as what is reserved pays.
        """
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        async with run.speaking:
            text = written(run.beat())
            digest = chained(run.head, text)
            body = {"body": text, "signature": signed(self._key, digest)}
            if run.spool:
                run.spool.add(Record(**body))
                run.head, run.seq = digest, run.seq + 1
                try:
                    await self._present(run.spool, run)
                except Unreachable as error:
                    if run.out_of_patience(self.welcome.lease_s):
                        raise _Over from error
                    if run.lease.most_ms is not None and run.used_ms() >= run.lease.most_ms:
                        raise _Stopped from error
                return
            answer = await self._persist("POST", "/beats", run, json=body)
            ack = Ack.model_validate_json(answer.content)
            self._believe(ack, digest)
            run.head, run.seq = digest, run.seq + 1
            self._note(run.lease.job_id, ack, [body])
            if ack.stop:
                raise _Stopped

    async def _present(self, spool: Spool, run: LeasedRun | None = None) -> None:
        """Present the beats that wait; raises Unreachable, _Over where they count nothing, _Stopped."""
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        key = {"job_id": str(spool.job_id), "attempt": spool.attempt}
        while spool.waiting:
            batch = [msgspec.to_builtins(each) for each in spool.waiting[:_BATCH]]
            answer = await asked(self._http, "POST", "/records", params=key, json={"records": batch})
            if answer.is_client_error:
                raise _Over
            found = Presented.model_validate_json(answer.content)
            if found.over or found.ack is None:
                _log.warning("job %s: what was worked without a link counts nothing", spool.job_id)
                raise _Over
            ack = found.ack
            self._believe(ack, bytes.fromhex(ack.hash))
            taken = [each for each in batch if read(each["body"]).seq <= ack.seq]
            if not taken:
                raise _Over
            self._note(spool.job_id, ack, taken)
            spool.acknowledged(len(taken))
            if run:
                run.heard_at = time.monotonic()
                if ack.stop:
                    raise _Stopped

    async def _settle(self, run: LeasedRun, spool: Spool) -> None:
        """Present what waits until it has been taken; raises _Over where there is no link for longer than is allowed."""
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        while True:
            try:
                with suppress(_Stopped):
                    await self._present(spool, run)
                return
            except Unreachable as error:
                if run.out_of_patience(self.welcome.lease_s):
                    raise _Over from error
                await asyncio.sleep(_RETRY_S)

    async def _present_left(self) -> None:
        """Present what attempts before this one have left on disk, so that what counts of it does; raises Unreachable."""
        for spool in Spool.left(self._folder / _SPOOL):
            with suppress(_Over, _Stopped):
                await self._present(spool)
            spool.close()

    def _believe(self, ack: Ack, digest: bytes) -> None:
        """Raise Refused for what the platform has not signed."""
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        if ack.hash != digest.hex() or not holds(self.welcome.platform_key, ack.signature, digest):
            raise Refused(
                Text("the platform's signature does not hold", "平台签名无效"),
                Text("is this the platform the token is for?", "请确认令牌对应的平台地址"),
            )

    def _note(self, job_id: UUID, ack: Ack, beats: list[dict[str, str]]) -> None:
        """Keep beats with the platform's signature, which is under the last of them and so under all."""
        with (self._folder / "meter.jsonl").open("ab") as file:
            for each in beats:
                line = {"job": str(job_id), "hash": ack.hash, "platform_signature": ack.signature} | each
                file.write(msgspec.json.encode(line) + b"\n")

    async def _persist(self, method: str, path: str, run: LeasedRun, **request: Any) -> httpx.Response:
        """Ask until there is an answer; raises _Over where the attempt is over, or the platform silent for two leases."""
        assert self.welcome is not None  # noqa: S101 - `greet` comes first
        key = {"job_id": str(run.lease.job_id), "attempt": run.lease.attempt}
        request["params"] = request.get("params", {}) | key
        until = time.monotonic() + 2 * self.welcome.lease_s
        while True:
            try:
                answer = await asked(self._http, method, path, **request)
            except Unreachable as error:
                if run.out_of_patience(self.welcome.lease_s) if run.spool else time.monotonic() > until:
                    _log.warning("job %s: %s", run.lease.job_id, error)
                    raise _Over from error
                await asyncio.sleep(_RETRY_S)
                continue
            if answer.is_client_error:
                _log.warning("job %s: %s", run.lease.job_id, answer.text)
                raise _Over
            return answer


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
