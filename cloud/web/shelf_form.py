"""Publishing a package: ticked from what the company has, named in both languages, signed with its key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.shelf.schemas import PublishRequest
from cloud.web.elements import Words, box
from cloud.web.forms import Field, attempt, button
from cloud.web.visit import Visit
from protocols.text import Text

_PUBLISH = Text("Publish a package", "发布套件")
_NOTE = Text(
    "Tick what it brings. Only what these things mean travels - classes of equipment and dictionary entries - never your data,"
    " places or names. A published version is never changed; raise the version to bring out another.",
    "勾选套件内容。只传递其含义(设备类型与字典条目)，不含您的数据、位置或名称。已发布的版本不可更改，更新请提高版本号。",
)
_ID, _VERSION, _LICENCE = Text("Short name", "标识"), Text("Version", "版本"), Text("Licence", "许可证")
_TITLE_EN, _TITLE_ZH = Text("Title, English", "英文标题"), Text("Title, Chinese", "中文标题")
_FOR_EN, _FOR_ZH = Text("What it is for, English", "英文说明"), Text("What it is for, Chinese", "中文说明")
_TEMPLATE = Text("A device template, as TOML (optional)", "设备模板 TOML(可选)")
_HEADS = {
    "rules": Text("Alarm rules", "报警规则"),
    "views": Text("Kept views of curves", "已存曲线视图"),
    "reasons": Text("Stop reasons", "停机原因"),
    "models": Text("Models", "模型"),
}
_MOST = 100


class ShelfForm:
    """The form, closed until it is wanted."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._ticked: dict[str, set[UUID]] = {kind: set() for kind in _HEADS}

    async def show(self) -> None:
        """Build it."""
        visit, say, domains = self._visit, self._visit.say, self._visit.domains
        there = {
            "rules": [(one.id, one.name) for one in await domains.alarms.rules.all(visit.scope)],
            "views": [(one.id, one.name) for one in await domains.telemetry.views.all(visit.scope)],
            "reasons": [
                (one.id, say(Text(one.name_en, one.name_zh)))
                for one in await domains.production.reasons.all(visit.scope)
                if not one.retired
            ],
            "models": [(one.id, f"{one.name} {one.version}") for one in await domains.registry.versions(visit.scope)],
        }
        with box("card stack wide"), box("", "details"):
            with box("strong", "summary"):
                Words(f"{say(_PUBLISH)} …")
            Words(say(_NOTE), "muted small", tag="p")
            with box("form-row"):
                self._id = Field(say(_ID), maxlength="63")
                self._version = Field(say(_VERSION), "1.0.0", maxlength="20")
                self._licence = Field(say(_LICENCE), maxlength="80")
            with box("form-row"):
                self._title = Field(say(_TITLE_EN), maxlength="120"), Field(say(_TITLE_ZH), maxlength="120")
                self._for = Field(say(_FOR_EN), maxlength="2000"), Field(say(_FOR_ZH), maxlength="2000")
            for kind, found in there.items():
                if found:
                    Words(say(_HEADS[kind]), tag="h3")
                    self._ticks(kind, found)
            self._template = ui.textarea(say(_TEMPLATE)).props("outlined").classes("editor")
            button(say(_PUBLISH), self._publish)
            self._answer = box("stack")

    def _ticks(self, kind: str, found: list[tuple[UUID, str]]) -> None:
        def turn(identity: UUID, on: object) -> None:
            (self._ticked[kind].add if on else self._ticked[kind].discard)(identity)

        with box("ticks"):
            for identity, name in found[:_MOST]:
                with box("ticked", "label"):
                    tick = box("", "input", type="checkbox")
                    tick.on(
                        "change",
                        lambda event, identity=identity: turn(identity, event.args),
                        js_handler="event => emit(event.target.checked)",
                    )
                    Words(name)

    async def _publish(self) -> None:
        request: dict[str, Any] = {
            "id": self._id.value.strip(),
            "version": self._version.value.strip(),
            "licence": self._licence.value,
            "title": dict(zip(("en", "zh"), (field.value for field in self._title), strict=True)),
            "description": dict(zip(("en", "zh"), (field.value for field in self._for), strict=True)),
            **{kind: list(ticked) for kind, ticked in self._ticked.items()},
            "templates": [self._template.value] if (self._template.value or "").strip() else [],
        }

        async def act(principal: Principal) -> None:
            await self._visit.domains.shelf.publish(principal, PublishRequest.model_validate(request))
            ui.navigate.to("/shelf")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
