"""What a task needs, and what is offered for it: the files people write, read and checked.

A `task.toml` says what runs, on what, until when and for how much; an offers file is a list of `[[offer]]`. Both are TOML.
Work is told in reference seconds: what it takes where `speed` is 1, as a probe run measures it.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from cloud.billing.service import Applicant, ChipOrigin, Price, programmes
from protocols.errors import ConfigError
from protocols.text import Text

Privacy = Literal["raw", "derived", "stays"]
"""What may leave the site: everything, only features and the like, nothing."""

T = TypeVar("T")
_Amount = Annotated[float, Meta(ge=0)]
_More = Annotated[float, Meta(gt=0)]


class Needs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the task takes.

    Attributes:
        work_s: reference seconds.
        chips: kinds it runs on; empty: any.
        input_bytes, output_bytes: what travels.
        checkpoint_s: what writing one takes.
        network: foreign code (kind python) that asks for one.
    """

    work_s: _More
    cores: _Amount = 1
    memory_gb: _Amount = 1
    chips: tuple[str, ...] = ()
    input_bytes: _Amount = 0
    output_bytes: _Amount = 0
    checkpoint_s: _Amount = 1
    network: bool = False


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it may take: until when, for how much (yuan), where, and what may leave the site."""

    deadline: datetime
    budget: _Amount
    regions: tuple[str, ...] = ()
    privacy: Privacy = "raw"
    derived_input: bool = False
    """The inputs are features or the like, not raw pictures."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What else counts beside own money: yuan per kg of CO2, by location."""

    carbon: _Amount = 0.0


class ApplicantOfVouchers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who would apply for a voucher.

    Attributes:
        programmes: codes of those open to the company, with how much it has had this year.
        left: what is left of a voucher of a programme, where one has been issued.
        affiliates: providers it belongs together with.
    """

    kind: Applicant = "enterprise"
    programmes: dict[str, float] = {}
    left: dict[str, float] = {}
    affiliates: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task as it stands in its file."""

    name: str
    kind: Literal["fit", "evaluate", "inspect", "backfill", "python"]
    needs: Needs
    limits: Limits
    weights: Weights = Weights()
    applicant: ApplicantOfVouchers = ApplicantOfVouchers()


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Computing power that can be had.

    Attributes:
        code: unique, as 算力互联互通 wants of every resource.
        own: on the company's own site; nothing leaves it.
        speed: reference seconds of work per second, from a probe run.
        paused: it takes no new jobs now.
        proven: a probe has shown that this chip really does the work.
        walls: walls around foreign code (kind python) are proven; `network`: such code may have one there.
        queue_s, start_s: until it is the task's turn, and until it runs.
        mbps: slow end (10 %) of the bandwidth to it; 0 where nothing travels.
        failures_per_hour: how often it goes away.
        prepaid_s: what of a run is paid already, by hours bought ahead.
        kw: IT power at work. pue: of the building. grid_kg_per_kwh: CO2 by location. green_share: of its supply.
    """

    code: str
    provider: str
    region: str
    chip: str
    chip_origin: ChipOrigin
    speed: _More
    prices: Annotated[tuple[Price, ...], Meta(min_length=1)]
    own: bool = False
    alive: bool = True
    paused: bool = False
    proven: bool = True
    walls: bool = True
    network: bool = False
    cores: _Amount = 1
    memory_gb: _Amount = 1
    queue_s: _Amount = 0
    start_s: _Amount = 0
    rtt_ms: _Amount = 0
    mbps: _Amount = 100
    failures_per_hour: _Amount = 0
    egress_yuan_per_gb: _Amount = 0
    fee: _Amount = 0
    kw: _Amount = 0
    pue: Annotated[float, Meta(ge=1)] = 1.0
    grid_kg_per_kwh: _Amount = 0.5306
    green_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    prepaid_s: _Amount = 0


def read_task(file: Path) -> Task:
    """Return the task of a file; raises ConfigError naming the file, the key and what is wrong with it."""
    task = read(file, Task, without=("input", "backfill", "python", "run"))
    refuse_without_offset(file, task.limits)
    for code in task.applicant.programmes:
        if code not in programmes():
            known = ", ".join(programmes())
            what = Text(f"there is no programme '{code}'", f"没有补贴计划“{code}”")
            raise wrong(file, "applicant.programmes", what, Text(f"known are: {known}", f"可用：{known}"))
    return task


def read_offers(file: Path) -> list[Offer]:
    """Return the offers of a file; raises ConfigError, also where a code stands there twice."""
    offers = list(read(file, _Offers).offer)
    seen: set[str] = set()
    for offer in offers:
        if offer.code in seen:
            what = Text(f"the code '{offer.code}' stands there twice", f"编码“{offer.code}”重复")
            raise wrong(file, "offer.code", what, Text("every offer has a code of its own", "每个报价须有唯一编码"))
        seen.add(offer.code)
    return offers


class _Offers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offer: tuple[Offer, ...]


_OFFSET = Text("write it as 2026-12-01T06:00:00+08:00", "请写作 2026-12-01T06:00:00+08:00")


def refuse_without_offset(file: Path, limits: Limits) -> None:
    """Raise ConfigError for a deadline that names no time."""
    if limits.deadline.tzinfo is None:
        raise wrong(file, "limits.deadline", Text("it has no offset", "缺少时区"), _OFFSET)


def read(file: Path, kind: type[T], without: tuple[str, ...] = ()) -> T:
    """Return a file of TOML as a struct; raises ConfigError. What is another's business in it, `without`, is left out."""
    try:
        found = tomllib.loads(file.read_text("utf-8"))
        return msgspec.convert({key: value for key, value in found.items() if key not in without}, kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise wrong(file, "", Text(str(error), str(error)), Text("give a TOML file", "请提供 TOML 文件")) from error
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        mend = Text("see docs/compute.md for what stands there", "各字段含义见 docs/compute.zh.md")
        raise wrong(file, where.rstrip("`"), Text(what, what), mend) from error


def wrong(file: Path, key: str, what: Text, mend: Text) -> ConfigError:
    """Return what says that a key of a file is wrong."""
    return ConfigError(Text(f"{file}: {what.en}", f"{file}：{what.zh}"), mend, key=key or None)
