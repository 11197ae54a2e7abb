"""The kinds of things a package brings: how each is compared with what a company has, made, changed and taken out.

All of it happens in the installation's own transaction, by the doors of the domains the things belong to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.alarms.schemas import Rule, RuleRequest
from cloud.alarms.service import Alarms
from cloud.core.db import AsyncConnection
from cloud.core.principal import Principal, TenantScope
from cloud.fleet.service import Fleet
from cloud.production.schemas import ReasonRequest, StopReason
from cloud.production.service import Production
from cloud.registry.service import Registry
from cloud.shelf.package import Contents, PackagedModel, PackagedReason, PackagedRule, PackagedTemplate, PackagedView
from cloud.shelf.plan import Definition, Wanted
from cloud.shelf.schemas import Item, Kind
from cloud.telemetry.schemas import View, ViewRequest
from cloud.telemetry.service import Telemetry
from models.bundle import Bundle
from protocols.library.templates import template_ids
from protocols.text import Language, Text

_NAME_TAKEN = Text("you have one of this name already", "本企业已有同名项")
_NO_PARENT = Text("there is no first-level reason '{parent}' here", "没有名为“{parent}”的一级原因")
_MODEL_STAYS = Text("released models stay: stations may run them", "已发布的模型保留：工位可能正在使用")
_TEMPLATE_USED = Text("the configuration of a gateway uses it", "有网关的配置正在使用")
_TEMPLATE_THERE = Text("the library has a template of this id already", "设备库中已有同名模板")
_OTHER_MODEL = Text("you have another model of this name and version", "本企业已有同名同版本的另一模型")
_THERE = Text("you have this model already", "本企业已有该模型")

OWN_OF_A_RULE = ("enabled", "channels", "tell_return", "escalation")
"""What of a rule is its company's and never a package's: whether it is on, and whom it tells."""


@dataclass(frozen=True)
class Doors:
    """Where the things of a package belong."""

    fleet: Fleet
    telemetry: Telemetry
    production: Production
    registry: Registry
    alarms: Alarms


@dataclass
class Here:
    """What a company has, read within one transaction."""

    rules: list[Rule]
    views: list[View]
    reasons: list[StopReason]
    models: Mapping[str, tuple[str, str]]
    templates: Mapping[str, tuple[int, str]]
    in_use: Collection[str]
    """Templates that a gateway's configuration names."""
    points: Sequence[tuple[str, str]]
    """Class of equipment and entry of each point."""

    def now(self) -> dict[tuple[Kind, str], Definition]:
        """Return how what was brought is now, by kind and target, without what is no longer there."""
        found: dict[tuple[Kind, str], Definition] = {("rule", str(one.id)): rule_definition(one) for one in self.rules}
        found |= {("view", str(one.id)): view_definition(one) for one in self.views}
        names = {one.id: one.name_en for one in self.reasons}
        found |= {
            ("reason", str(one.id)): _reason(one.name_en, one.name_zh, one.loss, names.get(one.parent_id))  # type: ignore[arg-type]
            for one in self.reasons
            if not one.retired
        }
        found |= {("model", digest): {"digest": digest} for digest in self.models}
        return found | {
            ("template", name): {"id": name, "version": version, "text": text}
            for name, (version, text) in self.templates.items()
        }

    def held(self) -> dict[tuple[Kind, str], Text]:
        """Return what a removal leaves whoever has changed it, and why."""
        found: dict[tuple[Kind, str], Text] = {("model", digest): _MODEL_STAYS for digest in self.models}
        return found | {("template", name): _TEMPLATE_USED for name in self.in_use}

    def wanted(self, contents: Contents, language: Language) -> list[Wanted]:
        """Return what a package brings, as far as it can be had here."""
        return [
            *(self._rule(one, language) for one in contents.rules),
            *(self._view(one, language) for one in contents.views),
            *(self._template(one, language) for one in contents.templates),
            *self._reasons(contents.reasons, language),
            *(self._model(one) for one in contents.models),
        ]

    def _rule(self, part: PackagedRule, language: Language) -> Wanted:
        request = part.request(language)
        bound = self._bound(part.equipment_class, [part.entry]) if part.entry else None
        taken = _NAME_TAKEN if request.name in {one.name for one in self.rules} else None
        return Wanted("rule", part.key, request.name, rule_definition(request), request, bound, taken)

    def _view(self, part: PackagedView, language: Language) -> Wanted:
        request = part.request(language)
        taken = _NAME_TAKEN if request.name in {one.name for one in self.views} else None
        bound = self._bound(part.equipment_class, part.entries)
        return Wanted("view", part.key, request.name, view_definition(request), request, bound, taken)

    def _reasons(self, parts: Sequence[PackagedReason], language: Language) -> Iterator[Wanted]:
        names = {one.id: one.name_en for one in self.reasons}
        there = {
            (names.get(one.parent_id), one.name_en)  # type: ignore[arg-type]
            for one in self.reasons
            if not one.retired
        }
        tops = {one.name_en for one in self.reasons if one.parent_id is None and not one.retired}
        tops |= {part.name.en for part in parts if part.parent_en is None}
        for part in sorted(parts, key=lambda part: part.parent_en is not None):
            refused = _NAME_TAKEN if (part.parent_en, part.name.en) in there else None
            if part.parent_en is not None and part.parent_en not in tops:
                refused = Text(*(words.format(parent=part.parent_en) for words in _NO_PARENT))
            made = _reason(part.name.en, part.name.zh, part.loss, part.parent_en)
            key = f"{part.parent_en or ''}/{part.name.en}"
            yield Wanted("reason", key, part.name.text.to(language), made, part, None, refused)

    def _model(self, part: PackagedModel) -> Wanted:
        name = f"{part.name} {part.version}"
        other = (part.name, part.version) in self.models.values()
        refused = _THERE if part.digest in self.models else _OTHER_MODEL if other else None
        return Wanted("model", part.digest, name, {"digest": part.digest}, part, None, refused)

    def _template(self, part: PackagedTemplate, language: Language) -> Wanted:
        head = part.head
        name = f"{head.manufacturer} {head.model} · {head.name.to(language)}"
        base = {"text": part.text, "id": head.id, "version": head.version}
        taken = _TEMPLATE_THERE if head.id in self.templates or head.id in template_ids() else None
        return Wanted("template", head.id, name, base, part, None, taken)

    def _bound(self, equipment_class: str | None, entries: Iterable[str]) -> int:
        wanted = set(entries)
        return sum(entry in wanted and equipment_class in (None, of) for of, entry in self.points)


def rule_definition(rule: RuleRequest) -> Definition:
    """Return what of a rule a package decides."""
    return rule.model_dump(mode="json", include=set(RuleRequest.model_fields) - set(OWN_OF_A_RULE))


def view_definition(view: ViewRequest) -> Definition:
    """Return what a look is."""
    return view.model_dump(mode="json", include=set(ViewRequest.model_fields))


def _reason(en: str, zh: str, loss: str, parent: str | None) -> Definition:
    return {"name_en": en, "name_zh": zh, "loss": loss, "parent_en": parent}


async def points_of(doors: Doors, scope: TenantScope) -> list[tuple[str, str]]:
    """Return class of equipment and entry of each of a company's mapped points."""
    classes = {each.id: each.equipment_class for each in await doors.fleet.equipment_list(scope)}
    points = await doors.telemetry.points(scope)
    return [(classes.get(point.equipment_id, ""), point.property) for point in points if point.property]


async def here(connection: AsyncConnection, doors: Doors, points: Sequence[tuple[str, str]]) -> Here:
    """Return what the tenant of the transaction has."""
    return Here(
        rules=await doors.alarms.rules.all_within(connection),
        views=await doors.telemetry.views.all_within(connection),
        reasons=await doors.production.reasons.all_within(connection),
        models={one.digest: (one.name, one.version) for one in await doors.registry.versions_within(connection)},
        templates=await doors.fleet.templates.all_within(connection),
        in_use=await doors.fleet.templates.in_use_within(connection),
        points=points,
    )


@dataclass
class Hand:
    """Makes, changes and takes out things, within one transaction, on behalf of a person.

    Attributes:
        bundles: of the package's models, verified before, by digest.
        recount: reasons whose stops have to be counted anew once it is committed.
    """

    connection: AsyncConnection
    doors: Doors
    principal: Principal
    origin: str
    have: Here
    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    recount: list[UUID] = field(default_factory=list)

    async def add(self, one: Wanted) -> str:
        """Make a thing and return what names it in its domain; raises Conflict."""
        connection, principal, part = self.connection, self.principal, one.part
        match one.kind:
            case "rule":
                (rule,) = await self.doors.alarms.rules.create_within(connection, principal, [(part, self.origin)])
                return str(rule.id)
            case "view":
                return str((await self.doors.telemetry.views.put_within(connection, principal, uuid7(), part)).id)
            case "reason":
                return str(await self._add_reason(part))
            case "model":
                files = part.unpacked()
                bundle = self.bundles[part.digest]
                return (await self.doors.registry.add_within(connection, principal, bundle, files)).digest
            case "template":
                await self._put_template(part)
                return one.key

    async def change(self, target: str, one: Wanted) -> None:
        """Bring a thing up to date that nobody has changed."""
        connection, principal, part = self.connection, self.principal, one.part
        match one.kind:
            case "rule":
                rule = next(each for each in self.have.rules if str(each.id) == target)
                kept = {name: getattr(rule, name) for name in OWN_OF_A_RULE}
                await self.doors.alarms.rules.change_within(
                    connection, principal, rule.id, part.model_copy(update=kept)
                )
            case "view":
                await self.doors.telemetry.views.put_within(connection, principal, UUID(target), part)
            case "reason":
                await self._change_reason(UUID(target), await self._reason_request(part))
            case "template":
                await self._put_template(part)
            case "model":  # another bundle is another thing
                pass

    async def remove(self, item: Item) -> None:
        """Take a thing out that nobody has changed; a stop reason is retired, as stops may have it."""
        connection, principal = self.connection, self.principal
        match item.kind:
            case "rule":
                await self.doors.alarms.rules.remove_within(connection, principal, UUID(item.target))
            case "view":
                await self.doors.telemetry.views.remove_within(connection, principal, UUID(item.target))
            case "reason":
                found = next(one for one in self.have.reasons if str(one.id) == item.target)
                body = found.model_dump(exclude={"id"}) | {"retired": True}
                await self._change_reason(found.id, ReasonRequest(**body))
            case "template":
                await self.doors.fleet.templates.remove_within(connection, principal, item.target)
            case "model":  # stays: see `Here.held`
                pass

    async def _put_template(self, part: PackagedTemplate) -> None:
        head = part.head
        await self.doors.fleet.templates.put_within(self.connection, self.principal, head.id, head.version, part.text)

    async def _add_reason(self, part: PackagedReason) -> UUID:
        """Add a reason, or bring back the one that was retired: stops may still have it."""
        request = await self._reason_request(part)
        retired = [
            one.id
            for one in self.have.reasons
            if one.retired and (one.parent_id, one.name_en) == (request.parent_id, request.name_en)
        ]
        if retired:
            await self._change_reason(retired[0], request)
            return retired[0]
        return (await self.doors.production.reasons.add_within(self.connection, self.principal, request)).id

    async def _change_reason(self, identity: UUID, request: ReasonRequest) -> None:
        reasons = self.doors.production.reasons
        _, recount = await reasons.change_within(self.connection, self.principal, identity, request)
        if recount:
            self.recount.append(identity)

    async def _reason_request(self, part: PackagedReason) -> ReasonRequest:
        known = await self.doors.production.reasons.all_within(self.connection)
        parent = next(
            (one.id for one in known if one.name_en == part.parent_en and one.parent_id is None and not one.retired),
            None,
        )
        made = {"name_en": part.name.en, "name_zh": part.name.zh, "loss": part.loss, "position": len(known)}
        return ReasonRequest.model_validate(made | {"parent_id": parent})
