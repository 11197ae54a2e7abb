"""A second opinion on doubtful parts from a stronger machine, beside the line: verdicts of this box never wait for it.

What is asked is bounded: which verdicts are doubtful, how many a minute - each may cost money -, how many at a time, and how long
an answer is waited for. A machine that does not answer is left alone for a while, longer each time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import httpx
import msgspec

from edge_agent.config_inspection import RemoteConfig
from edge_agent.sink import Sink
from models.verdict import Verdict
from protocols.text import Text
from protocols.uplink.messages import LateOpinion, SecondOpinion

_LONGEST_PAUSE_S, _MINUTE_S = 60.0, 60.0
_AT_ONCE = 4
_BUSY = 429
_SPENT = Text("what is reserved for it is used up", "预留金额已用完")


class _Answer(msgspec.Struct):
    model: str
    version: str
    verdict: Verdict
    score: float


class RemoteOpinion:
    """Asks the machine of one station's [inspection.remote].

    Args:
        station: its name, for messages.
        remote: of the configuration.
        sink: takes the opinions, and is told once when no answer comes and once when one comes again.
    """

    def __init__(self, station: str, remote: RemoteConfig, sink: Sink) -> None:
        self._station, self._remote, self._sink = station, remote, sink
        headers = {"Authorization": f"Bearer {remote.token.get_secret_value()}"}
        verify = str(remote.ca) if remote.ca else True
        self._http = httpx.AsyncClient(headers=headers, timeout=remote.timeout_s, trust_env=False, verify=verify)
        self._asked: list[float] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._failures, self._again = 0, 0.0
        self.counted: Counter[str] = Counter()
        """"opinions" that came; of the parts that were doubtful those "opinions_missed", for whatever reason."""

    async def close(self) -> None:
        """Ask nothing any more."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await self._http.aclose()

    def ask(self, inspection: str, content: bytes, verdict: Verdict) -> None:
        """Ask about the picture's file of an inspection that was given `verdict` here, if that is doubtful and may be asked."""
        if verdict not in self._remote.verdicts:
            return
        if not self._may():
            self.counted["opinions_missed"] += 1
            return
        task = asyncio.create_task(self._follow(inspection, content))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def _may(self) -> bool:
        now = time.monotonic()
        self._asked = [at for at in self._asked if now - at < _MINUTE_S]
        busy = len(self._asking) >= _AT_ONCE or len(self._asked) >= self._remote.per_minute
        if busy or now < self._again:
            return False
        self._asked.append(now)
        return True

    async def _follow(self, inspection: str, content: bytes) -> None:
        opinion = await self._ask(content)
        self.counted["opinions" if opinion else "opinions_missed"] += 1
        if opinion:
            self._sink.add_opinion(LateOpinion(inspection, opinion))

    async def _ask(self, content: bytes) -> SecondOpinion | None:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._remote.timeout_s):
                answer = await self._http.post(f"{self._remote.url}/inspect", content=content)
        except TimeoutError:
            self._failed(f"no answer within {self._remote.timeout_s:g} s", f"{self._remote.timeout_s:g} 秒内无应答")
            return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            self._failed(why, why)
            return None
        if answer.status_code == _BUSY:
            return None
        if answer.status_code != httpx.codes.OK:
            spent = answer.status_code == httpx.codes.PAYMENT_REQUIRED
            en, zh = _SPENT if spent else (f"it answers {answer.status_code}", f"返回 {answer.status_code}")
            self._failed(en, zh)
            return None
        try:
            found = msgspec.json.decode(answer.content, type=_Answer)
        except msgspec.ValidationError as error:
            self._failed(str(error), str(error))
            return None
        if self._failures:
            self._failures = 0
            self._sink.announce(self._station, "remote_back", Text("second opinions come again", "远程复检已恢复"))
        latency_us = int((time.monotonic() - begin) * 1e6)
        return SecondOpinion(found.model, found.version, found.verdict, found.score, latency_us)

    def _failed(self, en: str, zh: str) -> None:
        if not self._failures:
            url = self._remote.url
            text = Text(f"no second opinion from {url}: {en}", f"{url} 无法远程复检：{zh}")
            self._sink.announce(self._station, "remote_failed", text)
        self._failures += 1
        self._again = time.monotonic() + min(2.0 ** min(self._failures, 6), _LONGEST_PAUSE_S)
