"""What a voucher programme pays of a fee. Pure; the programmes are data (`voucher_programmes.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from protocols.text import Text

ChipOrigin = Literal["domestic", "other"]
Applicant = Literal["enterprise", "startup", "institute", "one_person"]


class Ratio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of the fee, for chips of an origin and applicants of a kind; "any" fits all."""

    chip: Literal["domestic", "other", "any"]
    applicant: Literal["enterprise", "startup", "institute", "one_person", "any"]
    share: float


class Programme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A programme; what its fields mean stands at the head of the data file."""

    code: str
    name_en: str
    name_zh: str
    ratio: tuple[Ratio, ...]
    cap_contract: float
    cap_year: float
    excluded_kinds: tuple[str, ...]
    longest_days: int
    banned_affiliates: bool
    flow: Literal["deduct_now", "reimburse"]
    source: str
    eligible_tasks: tuple[str, ...] = ()

    @property
    def name(self) -> Text:
        """What it is called."""
        return Text(self.name_en, self.name_zh)

    def share(self, chip: ChipOrigin, applicant: Applicant, task: str) -> float:
        """Return the share of the eligible fee it pays; 0 for what it does not."""
        if self.eligible_tasks and task not in self.eligible_tasks:
            return 0.0
        fitting = [one.share for one in self.ratio if one.chip in (chip, "any") and one.applicant in (applicant, "any")]
        return max(fitting, default=0.0)

    def room(self, used_year: float, pool_left: float) -> float:
        """Return the most that one contract may still get: min(cap of a contract, cap of the year - used, what the pool has left)."""
        caps = [pool_left]
        if self.cap_contract:
            caps.append(self.cap_contract)
        if self.cap_year:
            caps.append(self.cap_year - used_year)
        return max(0.0, min(caps))


@lru_cache(maxsize=1)
def programmes() -> Mapping[str, Programme]:
    """Return the programmes by code; read once per process."""
    content = files(__package__).joinpath("voucher_programmes.toml").read_text("utf-8")
    return {one.code: one for one in msgspec.convert(tomllib.loads(content)["programme"], list[Programme])}
