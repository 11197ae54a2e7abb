"""Looks at what somebody in the cloud asks about: reads or tests points, checks a device or the whole box. Never writes.

The agent asks the cloud and waits there for the next inquiry, so an answer takes as long as the look itself. A look has a
driver of its own beside the collector's; on a shared line the two take turns. One is done at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from edge_agent.backoff import full_jitter
from edge_agent.cloud_link import CloudLink, Rejected
from edge_agent.config import Config, DeviceConfig
from edge_agent.finding import Finding
from edge_agent.identity import Login, load_identity
from edge_agent.normalise import Normaliser
from protocols.driver import PointConfig
from protocols.errors import SunmaoError, Unreachable
from protocols.reading import GOOD, Value
from protocols.text import Text
from protocols.uplink.diagnostics import (
    LONGEST_POLL_S,
    MOST_LINES,
    MOST_VALUES,
    Alternative,
    Answer,
    AnswerKept,
    Exchange,
    Inquiries,
    Inquiry,
    InquiryPoll,
    Look,
    PointValue,
)

if TYPE_CHECKING:
    from edge_agent.point_test import Candidate

POLL = "/api/v1/uplink/diagnostics"
ANSWER = "/api/v1/uplink/diagnostics/answer"
LOOK_S = 30.0
"""Longest time for reading the points of a device."""
NOT_OFFERED_S = 600.0
"""How long a cloud that does not know this is left alone."""
_FIRST_WAIT_S, _LONGEST_WAIT_S, _NOT_YET_S = 1.0, 60.0, 5.0
_REMEMBERED = 64
_LONGEST_HEX = 1200


class Diagnosis:
    """Answers what the cloud asks, until cancelled.

    Args:
        path: the configuration file, whose rights a report looks at.
        config: gives the configuration in force; `agent.allow_diagnostics` of it decides.
        link, login: as for the forwarder.
    """

    def __init__(self, path: Path, config: Callable[[], Config], link: CloudLink, login: Login) -> None:
        self._path = path
        self._config = config
        self._link = link
        self._login = login
        self._answers: dict[str, Answer] = {}

    async def run(self) -> None:
        """Poll and answer until cancelled. What fails is tried again; the forwarder announces the same loss."""
        failures = 0
        while True:
            begun = monotonic()
            if load_identity(self._config().agent.state_dir) is None:
                await asyncio.sleep(_NOT_YET_S)
                continue
            try:
                work = await self._link.post(POLL, InquiryPoll(LONGEST_POLL_S), Inquiries, await self._login.token())
                for inquiry in work.inquiries:
                    await self._answer(inquiry)
                failures = 0
                if not work.inquiries and monotonic() - begun < 1:
                    await asyncio.sleep(_FIRST_WAIT_S)  # a cloud that is about to stop does not wait
            except SunmaoError as error:
                failures += 1
                old = isinstance(error, Rejected) and error.status in (404, 405)
                await asyncio.sleep(NOT_OFFERED_S if old else full_jitter(failures, _FIRST_WAIT_S, _LONGEST_WAIT_S))

    async def _answer(self, inquiry: Inquiry) -> None:
        answer = self._answers.get(inquiry.id)
        if answer is None:
            try:
                async with asyncio.timeout(max(inquiry.expires_in_s, 0.0)):
                    answer = await self.look(inquiry)
            except TimeoutError:
                return  # nobody waits for it any more
            self._answers[inquiry.id] = answer
            while len(self._answers) > _REMEMBERED:
                del self._answers[next(iter(self._answers))]
        await self._link.post(ANSWER, answer, AnswerKept, await self._login.token())

    async def look(self, inquiry: Inquiry) -> Answer:
        """Return what `inquiry` asks for; what goes wrong is part of the answer."""
        config, begun = self._config(), monotonic()
        looks = {"read": _read, "test": _test, "check": _check}
        if not config.agent.allow_diagnostics:
            return Answer(inquiry.id, "refused", _REFUSED)
        try:
            if inquiry.kind == "report":
                answer = await _report(inquiry, config, self._path)
            elif inquiry.kind in looks:
                answer = await looks[inquiry.kind](inquiry, config.device(inquiry.device))
            else:
                return Answer(inquiry.id, "unsupported", _UNSUPPORTED)
        except SunmaoError as error:
            answer = Answer(inquiry.id, "failed", Text(error.explain("en"), error.explain("zh")))
        return msgspec.structs.replace(answer, took_ms=round((monotonic() - begun) * 1000, 1))


_REFUSED = Text(
    "this box does not answer questions from the cloud (agent.allow_diagnostics = false)",
    "本机不接受云端诊断(agent.allow_diagnostics = false)",
)
_UNSUPPORTED = Text(
    "the software of this box is too old for this question", "本机软件版本过旧，不支持此项诊断"
)  # fmt: skip


async def _read(inquiry: Inquiry, device: DeviceConfig) -> Answer:
    points: list[PointConfig] = [device.point(name) for name in inquiry.points] or list(device.points)
    left_out = len(points) - MOST_VALUES
    points = points[:MOST_VALUES]
    driver = device.driver()
    try:
        async with asyncio.timeout(LOOK_S):
            await driver.open()
            sent = monotonic()
            readings = await driver.read(points)
            round_trip_s = monotonic() - sent
    except TimeoutError:
        raise Unreachable(
            Text(f"{device.name}: no answer within {LOOK_S:.0f} s", f"{device.name}：{LOOK_S:.0f} 秒内无应答")
        ) from None
    finally:
        await driver.close()
    values = [
        PointValue(ref.name, ref.property, ref.unit, _sendable(reading.value), reading.quality.cause)
        for ref, reading in Normaliser(device, {})(readings)[0]
    ]
    doubtful = sum(value.quality != GOOD.cause for value in values)
    found = Text(f"{len(values)} points read, {doubtful} doubtful", f"已读取 {len(values)} 个点，{doubtful} 个存疑")
    if left_out > 0:
        found = Text(f"{found.en}; {left_out} more were left out", f"{found.zh}；另有 {left_out} 个未读取")
    return Answer(inquiry.id, "answered", found, round_trip_ms=round(round_trip_s * 1000, 1), values=values)


async def _test(inquiry: Inquiry, device: DeviceConfig) -> Answer:
    from edge_agent.point_test import test_point  # noqa: PLC0415 - a box that is never asked does not load it

    point = device.point(inquiry.points[0] if inquiry.points else "")
    tested = await test_point(device, point.name)
    return Answer(
        inquiry.id,
        "answered" if tested.reached else "failed",
        tested.found,
        round_trip_ms=tested.round_trip_ms,
        values=[PointValue(point.name, point.property or "", tested.unit, _sendable(tested.value), tested.quality)],
        registers=tested.registers[:MOST_VALUES],
        exchanges=[
            Exchange(frame.direction == "sent", frame.hex[:_LONGEST_HEX], frame.words)
            for frame in tested.frames[:MOST_LINES]
        ],
        alternatives=[
            Alternative(_fields(candidate), _sendable(candidate.value), candidate.plausible, candidate.why)
            for candidate in tested.candidates[:MOST_LINES]
            if not candidate.configured
        ],
    )


def _fields(candidate: Candidate) -> dict[str, Value]:
    """Return how `candidate` reads the registers, as a point's configuration would say it."""
    keys = ("table", "type", "order", "address", "bit", "bits", "byte")
    return {key: value for key in keys if (value := getattr(candidate, key)) is not None}


async def _check(inquiry: Inquiry, device: DeviceConfig) -> Answer:
    from edge_agent.check_device import check_device  # noqa: PLC0415 - as above

    return _findings(inquiry, [finding async for finding in check_device(device)])


async def _report(inquiry: Inquiry, config: Config, path: Path) -> Answer:
    from edge_agent.check import check  # noqa: PLC0415 - as above

    return _findings(inquiry, [finding async for finding in check(config, path)])


def _findings(inquiry: Inquiry, findings: list[Finding]) -> Answer:
    wrong = sum(finding.severity == "wrong" for finding in findings)
    look = sum(finding.severity == "look" for finding in findings)
    found = Text(
        f"{len(findings)} things looked at: {wrong} wrong, {look} to look at",
        f"已检查 {len(findings)} 项：{wrong} 项有误，{look} 项需留意",
    )
    looks = [
        Look(finding.title, finding.severity, finding.found, finding.mend, list(finding.details)[:MOST_LINES])
        for finding in sorted(findings, key=lambda each: ("wrong", "look", "ok").index(each.severity))
    ]
    return Answer(inquiry.id, "answered", found, findings=looks[:MOST_LINES])


def _sendable(value: Value) -> Value:
    """Return `value` as JSON can carry it: what is no finite number is None, NUL is shown as its symbol."""
    if isinstance(value, float) and not isfinite(value):
        return None
    return value.replace("\0", "␀") if isinstance(value, str) else value
