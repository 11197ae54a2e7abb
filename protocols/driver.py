"""The contract of a device driver: what the agent gives it, what it may assume and what it must promise.

A protocol is a folder with the same file names as its siblings: `config.py` (two models: how to connect, and how one
point is addressed), `driver.py`, `codec.py`, `simulator.py`, `README.md`, `sample.toml`, `quality.toml`. It is entered
in `catalogue.py` and nowhere else. `tests/conformance` runs every driver through the promises below.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from protocols.errors import ConfigError, Refused
from protocols.reading import Quality, Reading, Value
from protocols.text import Text

Deliver = Callable[[Sequence[Reading]], None]
"""Takes readings as they arrive. It never blocks and never raises."""


class ConnectionConfig(BaseModel):
    """How to reach one device. Each protocol adds its own fields, every one with a description and a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_s: float = Field(2.0, gt=0, le=60, description="Longest wait for one answer, in seconds.")


class WriteRule(BaseModel):
    """What may be written to a point: a range, or a list of values; in the point's own unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min: float | None = Field(None, description="Least value that may be written; with max.")
    max: float | None = Field(None, description="Greatest value that may be written; with min.")
    values: tuple[bool | int | float | str, ...] | None = Field(
        None, min_length=1, description="The only values that may be written, in place of min and max: [true, false]."
    )

    @model_validator(mode="after")
    def _range_or_list(self) -> WriteRule:
        bounds = (self.min is not None) + (self.max is not None)
        if bounds != (2 if self.values is None else 0):
            raise ValueError(Text("give min and max, or values", "请写 min 与 max，或写 values"))
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(
                Text(f"min {self.min:g} is above max {self.max:g}", f"min {self.min:g} 大于 max {self.max:g}")
            )
        return self

    def allows(self, value: Value) -> bool:
        """Return whether `value` may be written; true is not 1 here."""
        if self.values is not None:
            return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in self.values)
        if value is None or isinstance(value, (bool, str)) or self.min is None or self.max is None:
            return False
        return self.min <= value <= self.max

    def __str__(self) -> str:
        if self.values is not None:
            return ", ".join(str(value) for value in self.values)
        return f"{self.min:g} … {self.max:g}"


_given_fields: dict[frozenset[str], set[str]] = {}


class PointConfig(BaseModel):
    """One point of a device: what it is called, what it means, how its raw value becomes an engineering value."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(
        min_length=1,
        max_length=120,
        pattern=r"^[^\s/].*$",
        description="Name of the point, unique within its device.",
    )
    property: str | None = Field(
        None, description="Code of the dictionary entry this point is a value of; without one it counts as unmapped."
    )
    unit: str | None = Field(
        None,
        description="UN/ECE Rec 20 code of the unit the device delivers; the dictionary entry's unit where absent.",
    )
    scale: float = Field(1.0, description="Engineering value = raw value x scale + offset; not 0.")
    offset: float = Field(0.0, description="See scale; in the unit of the engineering value.")
    codes: dict[int, int] | None = Field(
        None,
        description="Device's own codes -> codes of the dictionary's value list, { \"5\" = 3 }; a code that is not listed"
        " has bad quality. Excludes scale and offset.",
    )
    period_s: float | None = Field(
        None, gt=0, description="Reading or sampling period in seconds; the device's own where absent."
    )
    low: float | None = Field(
        None,
        description="Least plausible engineering value, in the unit the device delivers; the dictionary entry's where"
        " absent. A value beyond is kept with uncertain quality.",
    )
    high: float | None = Field(None, description="Greatest plausible engineering value; see low.")
    description: str = Field("", description="What the device's manual says of the point.")
    write: WriteRule | None = Field(
        None,
        description="What `sunmao-edge write` may write to the point, { min = 0, max = 60 } or { values = [0, 1] }; nothing"
        " where absent. Counts in the agent's own configuration only, never in a template, and needs agent.allow_writes.",
    )

    @field_validator("scale")
    @classmethod
    def _scale_keeps_the_value(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError(Text("a scale of 0 would make every value the same", "scale 为 0 会使所有值都相同"))
        return scale

    @model_validator(mode="after")
    def _alike_is_kept_once(self) -> PointConfig:
        # Thousands of points set the same fields, and pydantic gives each a set of their names, of 700 bytes.
        given = self.model_fields_set
        object.__setattr__(self, "__pydantic_fields_set__", _given_fields.setdefault(frozenset(given), given))
        return self

    @model_validator(mode="after")
    def _codes_stand_alone(self) -> PointConfig:
        if self.codes is not None and (not self.codes or self.scale != 1.0 or self.offset != 0.0):
            raise ValueError(
                Text("codes need entries and no scale or offset", "codes 不能为空，且不能与 scale、offset 同用")
            )
        return self

    @model_validator(mode="after")
    def _range_has_an_inside(self) -> PointConfig:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(
                Text(f"low {self.low:g} is not below high {self.high:g}", f"low {self.low:g} 不小于 high {self.high:g}")
            )
        return self

    def engineering(self, raw: Value) -> Value:
        """Return `raw` in engineering units. Text, booleans and None pass unchanged; an unlisted code becomes None.

        Whole numbers stay whole where scale and offset keep them so, and the product is rounded to twelve significant
        digits so that 0.1 x 3 reads 0.3.
        """
        if self.codes is not None and isinstance(raw, (int, float)):
            return self.codes.get(raw)  # type: ignore[arg-type]
        if raw is None or isinstance(raw, (bool, str)) or (self.scale == 1.0 and self.offset == 0.0):
            return raw
        return float(f"{raw * self.scale + self.offset:.12g}")

    def raw(self, value: float) -> float:
        """Return the raw number that `engineering` turns into `value`; what a simulator serves.

        Raises ValueError(Text) for a code the device does not have.
        """
        if self.codes is not None:
            for raw, code in self.codes.items():
                if code == value:
                    return raw
            raise ValueError(
                Text(f"point '{self.name}' has no code for {value}", f"点“{self.name}”没有对应 {value} 的代码")
            )
        return value if self.scale == 1.0 and self.offset == 0.0 else (value - self.offset) / self.scale

    def check_write(self, value: Value) -> None:
        """Raise Refused where nothing may be written to this point, ConfigError where `value` may not."""
        if self.write is None:
            raise Refused(
                Text(f"point '{self.name}' may not be written", f"点“{self.name}”不允许写入"),
                Text(
                    "give it write = { min, max } or { values } in the agent's configuration",
                    "请在代理配置中为该点设置 write = { min, max } 或 { values }",
                ),
            )
        if not self.write.allows(value):
            raise ConfigError(
                Text(
                    f"{value} may not be written to '{self.name}'; allowed: {self.write}",
                    f"不允许将 {value} 写入“{self.name}”；允许：{self.write}",
                )
            )

    def span(self) -> tuple[str, int, int] | None:
        """Return the memory the value takes: space, first bit and the bit after the last; None without addresses."""
        return None

    def raw_limits(self) -> tuple[float, float] | None:
        """Return the least and the greatest raw number that can be delivered; None where there is no such limit."""
        return None


class BrowsedPoint(BaseModel):
    """One thing a device offers, as found by `Driver.browse`."""

    address: dict[str, Any] = Field(description="The protocol's own addressing fields, ready for a point's TOML.")
    path: str = Field(description="Human-readable place, outermost first, parts joined by '/'.")
    data_type: str = Field(description="Type as the device names it.")
    description: str = ""
    unit: str | None = Field(None, description="UN/ECE Rec 20 code where the device states its unit.")
    range: tuple[float, float] | None = Field(
        None, description="Least and greatest value in normal operation, in its unit, where the device states them."
    )
    value: Value = None


class Driver(Protocol):
    """Talks to one device.

    The agent promises: `__init__` before everything; `open` before `read`, `subscribe`, `write`, `browse` and `watch`; one call
    at a time; cancellation at any await; after any SunmaoError but ConfigError it calls `close`, waits and makes a new
    driver, unless the driver is `Lasting` and still usable.

    A driver promises:
    * `__init__` touches no network and raises ConfigError for any address it cannot serve.
    * `read` and subscriptions deliver exactly one Reading per wanted point per occasion, named as configured. A value
      that could not be had or decoded has bad quality and value None. It never repeats an old value as a new one.
    * Failures are `Unreachable`, `Refused` or `Malformed` - no exception of a library leaves the room.
    * `write` writes nothing that `PointConfig.check_write` does not let pass, and never tries twice: after Unreachable or
      Malformed nobody knows whether the device has taken the value.
    * No wait is longer than the connection's `timeout_s` times the number of requests, or in a write, the time the point
      itself gives the device; cancelling ends within 1 s.
    * `close` may be called at any time and any number of times, and leaves no task, thread or socket behind.
    """

    Connection: ClassVar[type[ConnectionConfig]]
    Point: ClassVar[type[PointConfig]]
    subscribes: ClassVar[bool]
    """True if `subscribe` is the better way of reading this kind of device."""

    def __init__(self, device: str, connection: Any, points: Sequence[Any]) -> None: ...

    async def open(self) -> None:
        """Connect. Raises Unreachable, Refused or Malformed."""

    async def read(self, points: Sequence[Any]) -> Sequence[Reading]:
        """Read `points` (a subset of those given to `__init__`) once; one Reading each, in their order.

        A protocol without source times that delivers many values at once returns a `Scan` of them, by column.
        """

    async def subscribe(self, points: Sequence[Any], period_s: float, deliver: Deliver) -> None:
        """Have changes of `points` delivered from now on, sampled every `period_s`; the present values come first.

        Raises Refused if the device cannot subscribe; the agent then polls.
        """

    async def watch(self) -> None:
        """Wait while subscriptions are alive; raises Unreachable or Malformed when they no longer are."""

    async def write(self, point: Any, value: Value) -> None:
        """Write `value`, in the unit of `point`; returns when the device has confirmed it.

        Raises Refused where the device or the protocol says no, ConfigError for a value that may not be written or that
        the device can not hold.
        """

    def browse(self) -> AsyncIterator[BrowsedPoint]:
        """Yield what the device offers. A protocol without self-description raises Refused."""

    async def close(self) -> None:
        """Let go of the device."""


@runtime_checkable
class Observed(Protocol):
    """What a driver may have besides: an account of how its device is doing. Both may be called at any time."""

    def counters(self) -> Mapping[str, int]:
        """Return what this driver has counted since it was made, such as changes the device's queue had no room for."""

    def notices(self) -> Sequence[Text]:
        """Return what a person should know though the device works; the agent says each sentence once."""


class PlannedRequest(NamedTuple):
    """One request of every cycle: what is asked for in the device's own terms, how many addresses, for which points."""

    what: str
    size: int
    points: tuple[str, ...]


@runtime_checkable
class Planned(Protocol):
    """What a driver may have besides: it knows before connecting which requests its points need."""

    def requests(self, points: Sequence[Any]) -> Sequence[PlannedRequest]:
        """Return the requests that read `points` once."""


@runtime_checkable
class Lasting(Protocol):
    """What a driver may have besides: a connection that outlives an unanswered question."""

    @property
    def usable(self) -> bool:
        """Whether, after `read` has raised Unreachable, it may be called again without a new driver.

        So a device that is late, or one of several on a connection, is no reason to connect anew.
        """


@runtime_checkable
class Historian(Protocol):
    """What a driver may have besides: the past of its points, where the device has kept it."""

    def history(self, points: Sequence[Any], start: int, end: int) -> AsyncIterator[Sequence[Reading]]:
        """Yield what the device has kept of `points` from `start` to `end` (microseconds UTC, source times), in pages.

        Each point's readings come in the order of their source times; points without history yield nothing. May be
        called while `watch` or `read` waits. Raises Unreachable, Refused or Malformed.
        """


class Samples(NamedTuple):
    """An array that a device gave: its numbers in the unit of the point, None and why where it gave none, and when it arose."""

    values: Sequence[float] | None
    quality: Quality
    source_time: int


@runtime_checkable
class Sampling(Protocol):
    """What a driver may have besides: points whose value is an array of samples. A `Reading` is one value and never an array."""

    async def read_arrays(self, points: Sequence[Any]) -> Sequence[Samples]:
        """Read the arrays of `points` once, in their order. Raises Unreachable, Refused or Malformed."""


class Simulator(Protocol):
    """Serves a library device over its real protocol on real TCP, for tests, demos and training."""

    def __init__(self, points: Sequence[Any], values: Callable[[], Mapping[str, Value]], **options: Any) -> None:
        """Serve `points`; `values()` gives the present engineering value of every point name, at each tick."""

    async def start(self) -> str:
        """Listen on 127.0.0.1 (port 0 = the system's choice) and return the address for a connection's TOML."""

    async def stop(self) -> None:
        """Stop listening and drop every client."""
