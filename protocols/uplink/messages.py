"""Wire schema of the uplink, version 1. Bodies are MessagePack (`application/msgpack`) unless a field says otherwise.

    POST /api/v1/agents/enrol      EnrolRequest     -> EnrolReply      one-time code -> pinned public key
    POST /api/v1/agents/challenge  ChallengeRequest -> ChallengeReply  a nonce to sign
    POST /api/v1/agents/token      TokenRequest     -> TokenReply      15-minute bearer token
    POST /api/v1/uplink/batches    Delivery         -> Receipt         exactly-once ingest
    POST /api/v1/uplink/health     Health           -> HealthReply     what the agent is and how it fares
    POST /api/v1/uplink/configuration          ConfigurationReport -> ConfigurationKept     what is in force at the box
    POST /api/v1/uplink/configuration/desired  DesiredRequest      -> DesiredConfiguration  what the cloud wants there

and those of `uplink.diagnostics`, `uplink.models` and `uplink.shifts`.

Fields are only ever added, with defaults; a receiver ignores what it does not know. A change of meaning is a new
`WIRE_VERSION`, and the cloud accepts the last two.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

WIRE_VERSION = 1
MEDIA_TYPE = "application/msgpack"

LANES = ("quality", "events", "telemetry")
"""What is sent first when there is a backlog: inspections and traces, then events, then telemetry."""

MAX_LISTED = 65_536
"""Longest list of points, text readings, inspections or events in a batch, and of frames in a delivery.

A few bytes of MessagePack become an object of some hundred bytes; this bound, checked before anything is built, keeps
what a small hostile payload can take from the receiver's memory in proportion. A writer starts a new batch before it.
"""


class PointRef(msgspec.Struct, frozen=True, array_like=True):
    """A point as the cloud needs it to find or create its series.

    Attributes:
        device: the device's name in the agent's configuration; one equipment in the cloud.
        name: the point's name within the device.
        property: dictionary code, or "" if the point is not mapped.
        unit: UN/ECE Rec 20 code the values are in: the dictionary entry's unit, or the device's where unmapped.
    """

    device: str
    name: str
    property: str
    unit: str


class Columns(msgspec.Struct, frozen=True):
    """Numeric readings by column, little-endian; row i is (points[point[i]], source_time[i], value[i], quality[i]).

    Attributes:
        points: the points of this batch, as a rule each once.
        point: uint32 indices into `points`, n x 4 bytes.
        source_time: int64 microseconds UTC, n x 8 bytes.
        value: float64, n x 8 bytes; booleans are 0 and 1, a missing value is NaN.
        quality: int16 (`reading.Quality`), n x 2 bytes.
        delay: uint32 microseconds from source to arrival time, saturating, n x 4 bytes.
    """

    points: Annotated[list[PointRef], Meta(max_length=MAX_LISTED)]
    point: bytes
    source_time: bytes
    value: bytes
    quality: bytes
    delay: bytes


class TextReading(msgspec.Struct, frozen=True, array_like=True):
    """One reading whose value is text (a programme name, a serial number)."""

    point: PointRef
    source_time: int
    value: str | None
    quality: int


class SecondOpinion(msgspec.Struct, frozen=True):
    """What another model - one on its way in, or a heavier one elsewhere - says of a part; its score is in its own units."""

    model: str
    model_version: str
    verdict: str
    score: float
    latency_us: int


class Inspection(msgspec.Struct, frozen=True):
    """One inspected part: the verdict, what it rests on, and the pictures that show why.

    Attributes:
        id: UUIDv7 made at the edge, so that a replay is recognised.
        device: the inspection station's name in the agent's configuration.
        time: when the picture was taken, microseconds UTC.
        part: the part's identifier, as read or counted.
        verdict: "pass", "review" or "reject".
        score: the model's standardised anomaly score.
        review_limit, reject_limit: the limits the verdict was made with.
        model, model_version: the bundle's name and version.
        latency_us: from picture read to verdict, microseconds.
        picture: JPEG of the part. heatmap: PNG, same aspect ratio, grey, brighter = more unusual.
        shadow: what a model that judges beside says, if one does and could.
        defect, chance: what the model takes the defect of a part that does not pass for, and how probable that is, 0..1; "" where
            it does not know.
        aligned: whether the picture could be laid over the model's reference, if it has one.
        lot, serial: of the part, where its name tells them; else "".
    """

    id: str
    device: str
    time: int
    part: str
    verdict: str
    score: float
    review_limit: float
    reject_limit: float
    model: str
    model_version: str
    latency_us: int
    picture: bytes
    heatmap: bytes
    shadow: SecondOpinion | None = None
    defect: str = ""
    chance: float = 0.0
    aligned: bool = True
    lot: str = ""
    serial: str = ""


class LateOpinion(msgspec.Struct, frozen=True):
    """What another machine says of a part whose inspection, by its id, went ahead of it."""

    inspection: str
    opinion: SecondOpinion


class Event(msgspec.Struct, frozen=True):
    """Something that happened at the edge and that people should see: link lost, readings dropped, model refused."""

    id: str
    device: str
    time: int
    kind: str
    text_en: str
    text_zh: str


class Batch(msgspec.Struct, frozen=True):
    """What one committed group of the buffer holds."""

    version: int = WIRE_VERSION
    columns: Columns | None = None
    texts: Annotated[list[TextReading], Meta(max_length=MAX_LISTED)] = []
    inspections: Annotated[list[Inspection], Meta(max_length=MAX_LISTED)] = []
    events: Annotated[list[Event], Meta(max_length=MAX_LISTED)] = []
    opinions: Annotated[list[LateOpinion], Meta(max_length=MAX_LISTED)] = []


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One batch under way: its number in the agent's epoch and `codec.encode(batch)`."""

    seq: int
    payload: bytes


class Delivery(msgspec.Struct, frozen=True):
    """Frames of one buffer. `epoch` is the buffer's identity (UUID); (agent, epoch, seq) is stored exactly once."""

    epoch: str
    frames: Annotated[list[Frame], Meta(max_length=MAX_LISTED)]
    version: int = WIRE_VERSION


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """A frame the cloud will never take, and why; the agent sets it aside so that the queue moves."""

    seq: int
    reason: str


class Receipt(msgspec.Struct, frozen=True):
    """Sent after the commit: the frames that are stored (now or before), and those refused for good."""

    stored: list[int]
    refused: list[Verdict] = []


class EnrolRequest(msgspec.Struct, frozen=True):
    """`public_key`: 32 raw bytes, Ed25519. `proof`: signature by that key over b"sunmao-enrol:" + code (UTF-8)."""

    code: str
    name: str
    public_key: bytes
    proof: bytes
    agent_version: str


class EnrolReply(msgspec.Struct, frozen=True):
    """Who the agent now is (UUID), and where it belongs."""

    agent_id: str
    tenant: str
    site: str


class ChallengeRequest(msgspec.Struct, frozen=True):
    """Ask for a nonce."""

    agent_id: str


class ChallengeReply(msgspec.Struct, frozen=True):
    """32 random bytes, good once and for 60 s."""

    nonce: bytes


class TokenRequest(msgspec.Struct, frozen=True):
    """`signature` by the enrolled key over b"sunmao-login:" + agent_id (UTF-8) + nonce."""

    agent_id: str
    nonce: bytes
    signature: bytes


class TokenReply(msgspec.Struct, frozen=True):
    """`expires_in_s` counts from receipt, so that no wall clock is needed. `server_time`: microseconds UTC."""

    token: str
    expires_in_s: int
    server_time: int


class DeviceReport(msgspec.Struct, frozen=True):
    """One device as the agent sees it. `state`: "up", "down" or "waiting"; `since`: microseconds UTC.

    `counters`: what the driver counted since the agent started, such as "overflows" (see `protocols.driver.Observed`),
    and "history", the readings of outages that were fetched from the device afterwards.
    `clock_offset_us`: the device's clock minus the box's, None where the device gives no times.
    """

    name: str
    protocol: str
    template: str
    equipment_class: str
    state: str
    since: int
    points: int
    unmapped: int
    reason_en: str = ""
    reason_zh: str = ""
    counters: dict[str, int] = {}
    clock_offset_us: int | None = None


class ConfigReport(msgspec.Struct, frozen=True):
    """What configuration is in force at the box, and what became of the last one the cloud wanted there.

    Attributes:
        version: of the shared part of the file in force (`uplink.configuration.version_of`); "" if it has none.
        desired: number of the cloud's version that `outcome` is about, 0 for none.
        outcome: "" (none yet), "probation", "applied", "failed" or "rolled_back".
        reason_en, reason_zh: why it failed or was rolled back.
    """

    version: str
    desired: int = 0
    outcome: str = ""
    reason_en: str = ""
    reason_zh: str = ""


class Health(msgspec.Struct, frozen=True):
    """The agent's condition. Times in microseconds UTC, sizes in bytes, `oldest_unsent` 0 when nothing waits.

    Attributes:
        missed_cycles: poll cycles left out since the agent started, all devices together.
        clock_offset_us: the cloud's clock minus the box's; None while unknown.
        buffer_hours_left: how long the buffer lasts at the present rate without the cloud; None while unknown.
        at_risk: readings that are only in memory, not yet on disk.
        diagnostics: "allowed" or "refused", whether the box answers `uplink.diagnostics`; "" where its software can not.
    """

    agent_version: str
    time: int
    started: int
    devices: list[DeviceReport]
    collected: int
    dropped: int
    set_aside: int
    buffer_rows: int
    buffer_bytes: int
    buffer_limit_bytes: int
    oldest_unsent: int
    disk_free_bytes: int
    rss_bytes: int
    config: ConfigReport | None = None
    missed_cycles: int = 0
    clock_offset_us: int | None = None
    buffer_hours_left: float | None = None
    at_risk: int = 0
    diagnostics: str = ""


class HealthReply(msgspec.Struct, frozen=True):
    """`server_time`: microseconds UTC, for the agent's clock offset.

    Attributes:
        desired: number of the configuration the cloud wants at the box and has not heard the outcome of; 0 for none.
        wants_configuration: the cloud does not know the content of the configuration in force.
    """

    server_time: int
    desired: int = 0
    wants_configuration: bool = False


class ConfigurationReport(msgspec.Struct, frozen=True):
    """The shared part of the configuration in force (`uplink.configuration`), its secrets left out."""

    text: str


class ConfigurationKept(msgspec.Struct, frozen=True):
    """The number under which the cloud keeps it."""

    version: int


class DesiredRequest(msgspec.Struct, frozen=True):
    """Ask for the configuration the cloud wants at this box."""


class DesiredConfiguration(msgspec.Struct, frozen=True):
    """A configuration to put into force.

    Attributes:
        version: its number.
        base: version (`uplink.configuration.version_of`) that must be in force for it to be right.
        text: the shared part; `configuration.KEPT` stands for a secret that the box has.
        author, note: who wants it and why.
        templates: device templates that it names and the box may lack, by id.
    """

    version: int
    base: str
    text: str
    author: str
    note: str
    templates: dict[str, str] = {}
