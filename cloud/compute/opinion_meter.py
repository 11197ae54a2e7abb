"""Meters second opinions at the server that gives them, beside their way: a number in memory grows, all else happens every two seconds.

`opinions.json` keeps what was counted until the platform has taken it, also over a restart. A server that is killed loses what it
counted since the last two seconds: nobody pays for that. One that hears nothing of the platform for a minute lets nobody in, since
nobody knows then whether that would be paid.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import msgspec

from cloud.compute.platform_call import asked
from cloud.compute.serving_schemas import Callers
from protocols.errors import ConfigError, SunmaoError, Unreachable
from protocols.text import Text

_EVERY_S, _BLIND_S = 2.0, 60.0
_log = logging.getLogger(__name__)


class _Row(msgspec.Struct):
    """What was answered for a serving within an hour."""

    serving_id: str
    hour: datetime
    count: int = 0
    us: int = 0


class _Kept(msgspec.Struct):
    """The file: what a run has counted."""

    run: str
    counted: list[_Row] = []


class Refusal(NamedTuple):
    """Why somebody is not let in: the status, and the words."""

    status: int
    words: Text


class _Account:
    def __init__(self, serving: str, left_ms: int) -> None:
        self.serving, self.left_us = serving, left_ms * 1000


class OpinionMeter:
    """Knows who may ask, and counts what was answered. `run` it as long as there are answers."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._http = httpx.AsyncClient(base_url=f"{url.rstrip('/')}/api/v1/compute/worker", headers=headers, timeout=10)
        self._path = folder / "opinions.json"
        self._accounts: dict[str, _Account] = {}
        self._rows: dict[tuple[str, datetime], _Row] = {}
        self._run, self._told, self._heard = str(uuid4()), b"", 0.0

    def refusal(self, token: bytes) -> Refusal | None:
        """Return why who asks with `token` is not let in; None if they are."""
        account = self._accounts.get(hashlib.sha256(token).hexdigest())
        if account is None:
            return Refusal(401, Text("the token is missing or wrong, or has ended", "令牌缺失、错误或已终止"))
        if account.left_us <= 0:
            return Refusal(402, Text("what is reserved is used up", "预留金额已用完"))
        if time.monotonic() - self._heard > _BLIND_S:
            return Refusal(503, Text("it cannot be metered now", "暂时无法计量"))
        return None

    def count(self, token: bytes, us: int) -> None:
        """Count an answer that took the model so many microseconds."""
        if account := self._accounts.get(hashlib.sha256(token).hexdigest()):
            hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            row = self._rows.setdefault((account.serving, hour), _Row(account.serving, hour))
            row.count, row.us = row.count + 1, row.us + us
            account.left_us -= us

    async def start(self) -> None:
        """Tell what a run before has left, and learn who may ask; raises Unreachable, Refused, ConfigError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            left = self._path.read_bytes() if self._path.exists() else b""
        except OSError as error:
            raise ConfigError(
                Text(f"{self._path}: {error.strerror}", f"{self._path}：{error.strerror}"),
                Text("choose a folder you may write", "请选择可写目录"),
                key="--folder",
            ) from error
        if left:
            await self._tell(msgspec.json.decode(left, type=_Kept))
        await self._report()

    async def run(self) -> None:
        """Tell and learn every two seconds, until cancelled."""
        failing = False
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self._report()
                failing = False
            except (SunmaoError, OSError) as error:
                if not failing:
                    _log.warning("%s; trying on", error)
                failing = True

    async def close(self) -> None:
        """Tell what there is; what cannot be told now is by the next run."""
        try:
            await self._report()
        except (SunmaoError, OSError) as error:
            _log.warning("%s", error)
        await self._http.aclose()

    async def _report(self) -> None:
        kept = _Kept(self._run, [msgspec.structs.replace(row) for row in self._rows.values()])
        written = msgspec.json.encode(kept)
        if written != self._told:
            await asyncio.to_thread(self._write, written)
        await self._tell(kept)
        self._told = written
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        for row in kept.counted:  # an hour that is over and told is no longer of interest
            if row.hour < now and self._rows[row.serving_id, row.hour] == row:
                del self._rows[row.serving_id, row.hour]

    async def _tell(self, kept: _Kept) -> None:
        counted = {(row.serving_id, row.hour): row.us for row in kept.counted}
        answer = await asked(self._http, "POST", "/opinions", content=msgspec.json.encode(kept))
        if not answer.is_success:
            raise Unreachable(
                Text(f"the platform answers {answer.status_code}", f"平台返回 {answer.status_code}"),
                Text("try again later", "请稍后重试"),
            )
        self._heard = time.monotonic()
        accounts = {}
        for each in Callers.model_validate_json(answer.content).callers:
            account = accounts[each.token_hash] = _Account(str(each.serving_id), each.left_ms)
            for key, row in self._rows.items():  # what was answered meanwhile
                if key[0] == account.serving:
                    account.left_us -= row.us - counted.get(key, 0)
        self._accounts = accounts

    def _write(self, content: bytes) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
