"""The one value every room shares: a Reading, with its quality and its two times.

Times are integers, microseconds since 1970-01-01T00:00:00Z, because they are compared, packed in columns and stored as
`timestamptz`, all without a conversion.
"""

from __future__ import annotations

import math
import time
from enum import IntEnum

import msgspec

Value = float | int | bool | str | None


class Severity(IntEnum):
    """How far a value may be trusted. The numbers are the two top bits of an OPC UA StatusCode (Part 4, 7.39)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Quality(int):
    """Severity and cause of a value: the upper 16 bits of an OPC UA StatusCode, kept as a signed 16-bit integer.

    The upper half holds all that outlives the transport - severity (2 bits) and sub-code (12 bits) - so a code travels
    from an OPC UA server to a database `int2` without loss, and one comparison tells good from bad: bad qualities are
    negative, good ones are below 0x4000.
    """

    __slots__ = ()

    @classmethod
    def from_status_code(cls, code: int) -> Quality:
        """Return the quality of a 32-bit OPC UA StatusCode; its info bits (overflow, limits) are not part of it."""
        high = (code >> 16) & 0xFFFF
        return cls(high - 0x10000 if high & 0x8000 else high)

    @property
    def status_code(self) -> int:
        """The 32-bit OPC UA StatusCode of this quality."""
        return (int(self) & 0xFFFF) << 16

    @property
    def severity(self) -> Severity:
        """Good, uncertain or bad. The reserved pattern 11 counts as bad (Part 4, 7.39)."""
        return Severity(min((int(self) & 0xFFFF) >> 14, 2))

    @property
    def good(self) -> bool:
        """True when the value may be used without reserve."""
        return 0 <= self < 0x4000

    @property
    def cause(self) -> str:
        """The name of the code in OPC UA Part 6 Annex A, or its hexadecimal form where this module has no name."""
        return _NAMES.get(int(self), f"0x{self.status_code:08X}")

    def __repr__(self) -> str:
        return f"Quality({self.cause})"


GOOD = Quality.from_status_code(0x0000_0000)
GOOD_LOCAL_OVERRIDE = Quality.from_status_code(0x0096_0000)
"""As good, and entered by a person."""
UNCERTAIN = Quality.from_status_code(0x4000_0000)
UNCERTAIN_LAST_USABLE_VALUE = Quality.from_status_code(0x4090_0000)
UNCERTAIN_ENGINEERING_UNITS_EXCEEDED = Quality.from_status_code(0x4094_0000)
BAD = Quality.from_status_code(0x8000_0000)
BAD_COMMUNICATION_ERROR = Quality.from_status_code(0x8005_0000)
BAD_DECODING_ERROR = Quality.from_status_code(0x8007_0000)
BAD_TIMEOUT = Quality.from_status_code(0x800A_0000)
BAD_NO_COMMUNICATION = Quality.from_status_code(0x8031_0000)
BAD_WAITING_FOR_INITIAL_DATA = Quality.from_status_code(0x8032_0000)
BAD_NODE_ID_UNKNOWN = Quality.from_status_code(0x8034_0000)
BAD_OUT_OF_RANGE = Quality.from_status_code(0x803C_0000)
BAD_TYPE_MISMATCH = Quality.from_status_code(0x8074_0000)
BAD_CONFIGURATION_ERROR = Quality.from_status_code(0x8089_0000)
BAD_DEVICE_FAILURE = Quality.from_status_code(0x808B_0000)
BAD_SENSOR_FAILURE = Quality.from_status_code(0x808C_0000)
BAD_NO_DATA = Quality.from_status_code(0x809B_0000)

_NAMES = {
    int(GOOD): "Good",
    int(GOOD_LOCAL_OVERRIDE): "GoodLocalOverride",
    int(UNCERTAIN): "Uncertain",
    int(UNCERTAIN_LAST_USABLE_VALUE): "UncertainLastUsableValue",
    int(UNCERTAIN_ENGINEERING_UNITS_EXCEEDED): "UncertainEngineeringUnitsExceeded",
    int(BAD): "Bad",
    int(BAD_COMMUNICATION_ERROR): "BadCommunicationError",
    int(BAD_DECODING_ERROR): "BadDecodingError",
    int(BAD_TIMEOUT): "BadTimeout",
    int(BAD_NO_COMMUNICATION): "BadNoCommunication",
    int(BAD_WAITING_FOR_INITIAL_DATA): "BadWaitingForInitialData",
    int(BAD_NODE_ID_UNKNOWN): "BadNodeIdUnknown",
    int(BAD_OUT_OF_RANGE): "BadOutOfRange",
    int(BAD_TYPE_MISMATCH): "BadTypeMismatch",
    int(BAD_CONFIGURATION_ERROR): "BadConfigurationError",
    int(BAD_DEVICE_FAILURE): "BadDeviceFailure",
    int(BAD_SENSOR_FAILURE): "BadSensorFailure",
    int(BAD_NO_DATA): "BadNoData",
}


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of one point at one instant.

    Attributes:
        point: name of the point, unique within its device (see `driver.PointConfig.name`).
        value: the value in the unit the point is configured with; None when the quality is bad and nothing was read.
        quality: severity and cause; a bad reading's value must not be used as a measurement.
        source_time: when the device says the value arose, microseconds UTC; the arrival time where it says nothing.
        arrival_time: when this box received it, microseconds UTC.
    """

    point: str
    value: Value
    quality: Quality
    source_time: int
    arrival_time: int


EARLIEST_US = 946_684_800_000_000
LATEST_US = 4_102_444_800_000_000
"""From 2000 to 2100: what the platform stores. A time outside is that of a clock that was never set."""

_DAY_US = 86_400_000_000


def plausible_time(source_time: int, arrival_time: int) -> int:
    """Return when the value arose: `source_time`, or `arrival_time` where the source's clock can not be right.

    A clock may lag by years of buffering, but it can not be more than a day ahead of ours: time zones end there.
    """
    return source_time if EARLIEST_US <= source_time <= arrival_time + _DAY_US else arrival_time


def same_value(held: Value, wanted: Value) -> bool:
    """Return whether `held` is `wanted` as far as a device can say; a float32 holds seven digits."""
    if isinstance(held, float) or isinstance(wanted, float):
        both = isinstance(held, (int, float)) and isinstance(wanted, (int, float))
        return both and math.isclose(held, wanted, rel_tol=1e-6, abs_tol=1e-12)  # type: ignore[arg-type]
    return held == wanted


def now_us() -> int:
    """Return the wall clock in microseconds UTC."""
    return time.time_ns() // 1000
