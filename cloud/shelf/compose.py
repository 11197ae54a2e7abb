"""Makes a package of what a company has: rules, kept views, stop reasons and released models, and templates it hands over."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar
from uuid import UUID

from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import TenantScope
from cloud.shelf.kinds import Doors
from cloud.shelf.package import MAX_PACKAGE_BYTES, Package, PackagedRule, composed, key_of
from cloud.shelf.schemas import PublishRequest
from cloud.telemetry.schemas import View
from protocols.text import Text

_UNMAPPED = Text(
    "View '{name}' shows points without a dictionary entry; others would not know what they mean.",
    "视图“{name}”包含未映射字典条目的数据点，其他企业无法理解。",
)


class Composer:
    """Composes packages from a tenant's own things; of one it has not, it raises NotFound."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def compose(self, scope: TenantScope, request: PublishRequest) -> Package:
        """Return the package; raises Invalid for what may not travel or is too much, naming it."""
        rules = _chosen(request.rules, await self._doors.alarms.rules.all(scope))
        views = _chosen(request.views, await self._doors.telemetry.views.all(scope))
        reasons = await self._doors.production.reasons.all(scope)
        names = {one.id: one.name_en for one in reasons}
        return await asyncio.to_thread(
            composed,
            manifest=request.model_dump(include={"id", "version", "title", "description", "licence"}),
            contents={
                "rules": [PackagedRule.fields_of(rule) for rule in rules],
                "views": [await self._view(scope, view) for view in views],
                "templates": [{"text": text} for text in request.templates],
                "reasons": [
                    {
                        "name": {"en": one.name_en, "zh": one.name_zh},
                        "loss": one.loss,
                        "parent_en": names[one.parent_id] if one.parent_id else None,
                    }
                    for one in _chosen(request.reasons, reasons)
                ],
                "models": [await self._model(scope, identity) for identity in request.models],
            },
        )

    async def _view(self, scope: TenantScope, view: View) -> dict[str, Any]:
        """Return a look by what its points mean, where it names points."""
        fields = view.model_dump(mode="json", include={"equipment_class", "entries", "length_s", "compare"})
        if view.series:
            points = {one.series_id: one for one in await self._doors.telemetry.points(scope)}
            shown = [points[one] for one in view.series if one in points]
            if not shown or not all(one.property for one in shown):
                raise Invalid(Text(*(words.format(name=view.name) for words in _UNMAPPED)))
            classes = {each.id: each.equipment_class for each in await self._doors.fleet.equipment_list(scope)}
            of = {classes.get(one.equipment_id) or None for one in shown}
            fields["equipment_class"] = of.pop() if len(of) == 1 else None
            fields["entries"] = list(dict.fromkeys(one.property for one in shown))
        return {"key": key_of(view.id), "name": {"en": view.name, "zh": view.name}, **fields}

    async def _model(self, scope: TenantScope, identity: UUID) -> dict[str, Any]:
        version = await self._doors.registry.version(scope, identity)
        _, files = await self._doors.registry.bundle(scope, identity)
        if sum(map(len, files.values())) * 4 // 3 > MAX_PACKAGE_BYTES:
            raise Invalid(
                Text(
                    f"Model '{version.name}' makes the package larger than {MAX_PACKAGE_BYTES} bytes.",
                    f"模型“{version.name}”使套件超过 {MAX_PACKAGE_BYTES} 字节。",
                )
            )
        return {
            **version.model_dump(include={"name", "version", "digest", "signer"}),
            "files": {name: b64encode(content).decode() for name, content in files.items()},
        }


class _Known(Protocol):
    id: UUID


_Thing = TypeVar("_Thing", bound=_Known)


def _chosen(wanted: Iterable[UUID], known: Iterable[_Thing]) -> list[_Thing]:
    by_id = {one.id: one for one in known}
    if not set(wanted) <= set(by_id):
        raise NotFound
    return [by_id[one] for one in dict.fromkeys(wanted)]
