"""The default rules, one table per rule in default_rules.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cloud.alarms.condition_kinds import Condition
from cloud.alarms.schemas import Priority, RuleRequest, Selection
from protocols.text import Language


class DefaultRule(BaseModel):
    """A rule to begin with. `code` names it for good; with `equipment_class` "" it is not about one class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    equipment_class: str
    entry: str | None = Field(None, alias="property")
    name_en: str
    name_zh: str
    priority: Priority
    condition: Condition
    on_delay_s: int = 0
    latching: bool = False
    hint_en: str
    hint_zh: str

    @property
    def origin(self) -> str:
        """What a rule made of this says of where it comes from."""
        return f"default:{self.code}"

    def request(self, language: Language) -> RuleRequest:
        """Return the rule, switched off, with its name in `language`."""
        return RuleRequest.model_validate(
            {
                "name": self.name_zh if language == "zh" else self.name_en,
                "enabled": False,
                "selection": Selection.model_validate(
                    {"property": self.entry, "equipment_class": self.equipment_class or None}
                ),
                **self.model_dump(include={"condition", "priority", "on_delay_s", "latching", "hint_en", "hint_zh"}),
            }
        )


@cache
def _load() -> tuple[DefaultRule, ...]:
    content = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tuple(DefaultRule(**table) for table in tomllib.loads(content)["rule"])


def default_rules(equipment_class: str | None = None) -> Sequence[DefaultRule]:
    """Return the default rules of one equipment class ("" for those of none), or with None all."""
    return [rule for rule in _load() if equipment_class in (None, rule.equipment_class)]
