"""What the shelf takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from protocols.text import Language

Kind = Literal["rule", "view", "template", "reason", "model"]
Action = Literal["add", "update", "same", "keep", "refuse", "remove", "leave"]
"""What happens to one thing.

- add, update, remove: it is made, brought up to date, taken out
- same: the new version brings it as it is
- keep, leave: the company has changed it or taken it out, so it stays so; `leave` is what a removal leaves behind
- refuse: it cannot be had here
"""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Naming(_Closed):
    """Words in both languages."""

    en: str = Field(min_length=1, max_length=2000)
    zh: str = Field(min_length=1, max_length=2000)


_Ids = Annotated[list[UUID], Field(max_length=100)]


class PublishRequest(_Closed):
    """A package made of what the company has: rules, kept views and stop reasons by id, released models, and templates.

    Attributes:
        id: the package's name for good; another version has the same.
        templates: device templates, as TOML.
    """

    id: str = Field(max_length=63)
    version: str = Field(max_length=20)
    title: Naming
    description: Naming
    licence: str = Field(max_length=80)
    rules: _Ids = []
    views: _Ids = []
    reasons: _Ids = []
    models: Annotated[list[UUID], Field(max_length=4)] = []
    templates: Annotated[list[Annotated[str, Field(max_length=65536)]], Field(max_length=10)] = []


class PackageInfo(BaseModel):
    """A package on the shelf.

    Attributes:
        with_platform: it comes with the platform, of no company.
        classes, entries: equipment classes and dictionary entries it speaks of.
        brings: how many things of each kind.
        public_key: whose signature of it holds; "" for one that comes with the platform.
        mine: the company published it itself.
        installs: how many have it installed; told to its provider alone.
        installed: the version the company has of it.
    """

    id: UUID
    code: str
    version: str
    title: Naming
    description: Naming
    provider: str
    with_platform: bool
    licence: str
    classes: list[str]
    entries: list[str]
    brings: dict[str, int]
    digest: str
    public_key: str
    published_at: datetime | None
    withdrawn_at: datetime | None
    mine: bool
    installs: int | None
    installed: str | None


class Step(BaseModel):
    """What happens to one thing. `bound`: to how many of the company's points it applies now, where that says anything."""

    kind: Kind
    key: str
    name: str
    action: Action
    reason_en: str
    reason_zh: str
    bound: int | None

    def reason(self, language: Language) -> str:
        """Return why, in `language`."""
        return self.reason_zh if language == "zh" else self.reason_en


class Plan(BaseModel):
    """What an installation, an update or a removal does, thing by thing. `digest` confirms exactly this."""

    steps: list[Step]
    digest: str


class Confirmed(_Closed):
    """The digest of the plan that was seen."""

    plan: str = Field(max_length=64)


class Item(BaseModel):
    """One thing an installation brought: `target` names it in its own domain, `base` is how it was brought."""

    kind: Kind
    key: str
    name: str
    target: str
    base: dict[str, Any]


class Installation(BaseModel):
    """What a company has installed of a package.

    Attributes:
        withdrawn: its provider has taken this version off the shelf; what was installed stays.
        newer: id of the newest version above it that is on the shelf.
        templates: ids of the device templates it brought, each a file for `sunmao-edge library add`.
    """

    id: UUID
    package_id: UUID
    code: str
    version: str
    provider: str
    title: Naming
    items: list[Item]
    templates: list[str]
    withdrawn: bool
    newer: UUID | None
    installed_by: str
    installed_at: datetime
