"""Wire schema of remote diagnostics: what the cloud may ask a box to look at, and what the box answers.

    POST /api/v1/uplink/diagnostics         InquiryPoll -> Inquiries   waits in the cloud until there is something to ask
    POST /api/v1/uplink/diagnostics/answer  Answer      -> AnswerKept

The box asks, as it does everything else. There is no field a value to write could stand in, and no kind of inquiry that
writes: looking is all that can be expressed. A kind the box does not know is answered with "unsupported".
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocols.reading import Value
from protocols.text import Text

KINDS = ("read", "test", "check", "report")
"""Read points; test one point, with what went over the wire; check one device; check the whole box."""

LONGEST_POLL_S = 20.0
"""How long the cloud keeps a poll waiting; shorter than the agent's patience with a silent line."""

MOST_VALUES, MOST_LINES = 500, 200
"""Values in an answer; findings, exchanges and alternatives in it, each."""


class InquiryPoll(msgspec.Struct, frozen=True):
    """Ask for what somebody wants to know. `wait_s`: how long the cloud may wait for it, in seconds."""

    wait_s: Annotated[float, Meta(ge=0, le=LONGEST_POLL_S)] = 0.0


class Inquiry(msgspec.Struct, frozen=True):
    """One thing to look at.

    Attributes:
        id: UUID; one that comes twice is answered once.
        kind: one of `KINDS`, or one this box is too old for.
        device: name in the agent's configuration; "" for the box as a whole.
        points: names of the points; none means all of the device.
        expires_in_s: from receipt; an answer that comes later is of no use any more.
    """

    id: str
    kind: str
    device: str
    points: list[str]
    expires_in_s: float


class Inquiries(msgspec.Struct, frozen=True):
    """What is asked, oldest first; empty where the wait has ended."""

    inquiries: list[Inquiry]


class PointValue(msgspec.Struct, frozen=True):
    """A point as it was read. `unit`: UN/ECE Rec 20 code of `value`; `quality`: name of an OPC UA status (`Quality.cause`)."""

    name: str
    property: str
    unit: str
    value: Value
    quality: str


class Exchange(msgspec.Struct, frozen=True):
    """What went over the wire; `hex` is empty where the protocol is encrypted or too long to show."""

    sent: bool
    hex: str
    words: Text


class Alternative(msgspec.Struct, frozen=True):
    """Another way of reading the registers, `fields` as in the configuration; `why` speaks for or against it."""

    fields: dict[str, Value]
    value: Value
    plausible: bool
    why: Text


class Look(msgspec.Struct, frozen=True):
    """One finding of a check; `severity` is ok, look or wrong."""

    title: Text
    severity: Literal["ok", "look", "wrong"]
    found: Text
    mend: Text
    details: list[Text]


class Answer(msgspec.Struct, frozen=True):
    """What the box found.

    Attributes:
        id: of the inquiry.
        outcome: "answered", "failed" (the device or the configuration says why in `found`), "refused" (the box does not
            let itself be asked) or "unsupported" (its software does not know the kind).
        found: the result in a sentence.
        took_ms: how long looking took; round_trip_ms: from request to answer of the device, None without one.
        values, registers, exchanges, alternatives: of a read or a test; registers are raw, 16 bits each.
        findings: of a check or a report.
    """

    id: str
    outcome: Literal["answered", "failed", "refused", "unsupported"]
    found: Text
    took_ms: float = 0.0
    round_trip_ms: float | None = None
    values: Annotated[list[PointValue], Meta(max_length=MOST_VALUES)] = []
    registers: Annotated[list[int], Meta(max_length=MOST_VALUES)] = []
    exchanges: Annotated[list[Exchange], Meta(max_length=MOST_LINES)] = []
    alternatives: Annotated[list[Alternative], Meta(max_length=MOST_LINES)] = []
    findings: Annotated[list[Look], Meta(max_length=MOST_LINES)] = []


class AnswerKept(msgspec.Struct, frozen=True):
    """The answer is stored."""
