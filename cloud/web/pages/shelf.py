"""The solution shelf: what can be had in one click, what has been installed, and publishing one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.dictionary.service import entry_of
from cloud.shelf.schemas import Action, Installation, Kind, PackageInfo, Plan, Step
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import attempt, button, done
from cloud.web.layout import frame, page_head
from cloud.web.shelf_form import ShelfForm
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

TITLE = Text("Solution shelf", "方案货架")

_NOTE = Text(
    "Small, ready packages: alarm rules, curves, device templates, stop reasons and models. Look at what one would do, install it"
    " in one click, take it out again.",
    "即装即用的小型套件：报警规则、曲线视图、设备模板、停机原因和模型。先预览，再一键安装，可随时移除。",
)
_INSTALLED, _SHELF, _OWN = (
    Text("Installed", "已安装"),
    Text("On the shelf", "货架"),
    Text("Published by us", "本企业发布"),
)
_BY = Text("{provider} · version {version} · {licence}", "{provider} · 版本 {version} · {licence}")
_BRINGS, _NEEDS = Text("Brings: {things}", "包含：{things}"), Text("Made for: {things}", "适用：{things}")
_KINDS: dict[str, Text] = {
    "rules": Text("alarm rules: {n}", "报警规则 {n}"),
    "views": Text("views of curves: {n}", "曲线视图 {n}"),
    "templates": Text("device templates: {n}", "设备模板 {n}"),
    "reasons": Text("stop reasons: {n}", "停机原因 {n}"),
    "models": Text("models: {n}", "模型 {n}"),
}
_KIND: dict[Kind, Text] = {
    "rule": Text("Alarm rule", "报警规则"),
    "view": Text("View of curves", "曲线视图"),
    "template": Text("Device template", "设备模板"),
    "reason": Text("Stop reason", "停机原因"),
    "model": Text("Model", "模型"),
}
_ACTIONS: dict[Action, Mark] = {
    "add": Mark(Text("is added", "新增"), "good"),
    "update": Mark(Text("is updated", "更新"), "good"),
    "same": Mark(Text("stays as it is", "不变"), "idle"),
    "keep": Mark(Text("stays yours", "保留您的改动"), "warn"),
    "refuse": Mark(Text("cannot be had", "无法安装"), "bad"),
    "remove": Mark(Text("is taken out", "移除"), "off"),
    "leave": Mark(Text("is left", "保留"), "warn"),
}
_BOUND = Text("applies to {n} points of yours", "适用于本企业 {n} 个数据点")
_UNBOUND = Text(
    "applies to no point of yours yet, and will as soon as there is one", "目前无适用的数据点，接入后自动生效"
)
_LOOK, _INSTALL, _UPDATE = Text("What would it do?", "预览"), Text("Install", "安装"), Text("Update", "更新")
_WHAT_UPDATE, _WHAT_REMOVE = Text("What would the update do?", "预览更新"), Text("Remove", "移除")
_CONFIRM_REMOVE = Text("Take it out", "确认移除")
_DONE, _REMOVED = Text("{title} is installed.", "“{title}”已安装。"), Text("{title} is taken out.", "“{title}”已移除。")
_HAS = Mark(Text("installed", "已安装"), "good")
_NEWER = Mark(Text("newer version", "有新版本"), "warn")
_WITHDRAWN = Mark(Text("withdrawn by its provider", "提供方已下架"), "off")
_ON_SHELF = Mark(Text("on the shelf", "已上架"), "good")
_COUNT = Text("installed by {n}", "{n} 家企业已安装")
_WITHDRAW = Text("Withdraw", "下架")
_TEMPLATE = Text(
    "Device template: name it in a gateway's configuration and it comes along, or give the file to the box.",
    "设备模板：在网关配置中引用即随配置下发，也可下载文件在网关上添加。",
)
_COMMAND = "sunmao-edge library add {name}.toml"
_NONE_CLASS = Text("any equipment", "任意设备")
_SHOWN = 200


async def build(visit: Visit) -> None:
    """Build the page."""
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        await _Page(visit).show()
        if visit.may(Scope.ADMIN):
            await ShelfForm(visit).show()


def _named(visit: Visit, principal: Principal) -> Principal:
    """Return the person as one who reads the page's language: what is installed is named in it."""
    return replace(principal, language=visit.language)


class _Page:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._answer = box("stack")
        self._place = box("stack wide")

    async def show(self) -> None:
        """Draw the page anew."""
        visit, shelf = self._visit, self._visit.domains.shelf
        packages = await shelf.packages(visit.scope)
        installed = await shelf.installations(visit.scope)
        has = {one.package_id for one in installed}
        self._place.clear()
        with self._place:
            if installed:
                Words(visit.say(_INSTALLED), tag="h2")
                for one in installed:
                    self._installation(one)
            Words(visit.say(_SHELF), tag="h2")
            with box("tiles"):
                for package in _newest(packages)[:_SHOWN]:
                    self._package(package, here=package.id in has)
            own = [one for one in packages if one.mine]
            if own:
                Words(visit.say(_OWN), tag="h2")
                with box("card stack wide"):
                    for package in own[:_SHOWN]:
                        self._own(package)

    def _package(self, package: PackageInfo, *, here: bool) -> None:
        visit, say = self._visit, self._visit.say
        with box("card stack shelf-package"):
            with box("line spread"):
                Words(_words(visit, package), tag="h3")
                if here:
                    MarkView(_HAS, visit.language)
            said = say(_BY, provider=package.provider, version=package.version, licence=package.licence)
            Words(said, "muted small", tag="div")
            Words(package.description.zh if visit.language == "zh" else package.description.en, tag="p")
            brings = "、".join(say(_KINDS[kind], n=n) for kind, n in package.brings.items())
            if visit.language == "en":
                brings = brings.replace("、", ", ")
            Words(say(_BRINGS, things=brings), "small", tag="div")
            Words(say(_NEEDS, things=_needs(visit, package)), "small", tag="div")
            if package.installed is None and visit.may(Scope.ADMIN):
                place = box("stack")
                button(say(_LOOK), partial(self._preview, package, place, _INSTALL), "button quiet")

    def _installation(self, one: Installation) -> None:
        visit, say = self._visit, self._visit.say
        title = one.title.zh if visit.language == "zh" else one.title.en
        with box("card stack wide shelf-installed"):
            with box("line spread"):
                with box():
                    Words(title, "strong", tag="div")
                    Words(f"{one.provider} · {one.version}", "muted small", tag="div")
                with box("line"):
                    if one.withdrawn:
                        MarkView(_WITHDRAWN, visit.language)
                    if one.newer:
                        MarkView(_NEWER, visit.language)
            for name in one.templates:
                Words(say(_TEMPLATE), "muted small", tag="div")
                with box("link", "a", href=f"/api/v1/shelf/installations/{one.id}/templates/{name}", download=""):
                    Words(f"{name}.toml")
                Words(_COMMAND.format(name=name), "command", tag="code")
            if visit.may(Scope.ADMIN):
                place = box("stack")
                with box("line"):
                    if one.newer:
                        button(say(_WHAT_UPDATE), partial(self._update, one, place), "button quiet")
                    button(say(_WHAT_REMOVE), partial(self._removal, one, title, place), "button quiet")

    def _own(self, package: PackageInfo) -> None:
        visit, say = self._visit, self._visit.say
        with box("line spread"):
            with box():
                Words(f"{_words(visit, package)} {package.version}", "strong", tag="div")
                Words(say(_COUNT, n=package.installs), "muted small", tag="div")
            with box("line"):
                MarkView(_WITHDRAWN if package.withdrawn_at else _ON_SHELF, visit.language)
                if package.withdrawn_at is None and visit.may(Scope.ADMIN):
                    button(say(_WITHDRAW), partial(self._withdraw, package), "button quiet small")

    async def _preview(self, package: PackageInfo, place: ui.element, verb: Text) -> None:
        """Show in `place` what installing would do, with the button that does it."""
        title = _words(self._visit, package)

        async def install(plan: Plan) -> None:
            async def act(principal: Principal) -> None:
                await self._visit.domains.shelf.install(_named(self._visit, principal), package.id, plan.digest)

            if await attempt(self._visit, self._answer, Scope.ADMIN, act):
                done(self._answer, self._visit.say(_DONE, title=title))
                await self.show()

        async def look(principal: Principal) -> None:
            plan = await self._visit.domains.shelf.plan(_named(self._visit, principal), package.id)
            with place:
                self._steps(plan.steps)
                button(self._visit.say(verb), partial(install, plan))

        await attempt(self._visit, place, Scope.ADMIN, look)

    async def _update(self, one: Installation, place: ui.element) -> None:
        packages = await self._visit.domains.shelf.packages(self._visit.scope)
        newer = next((each for each in packages if each.id == one.newer), None)
        if newer:
            await self._preview(newer, place, _UPDATE)

    async def _removal(self, one: Installation, title: str, place: ui.element) -> None:
        async def remove(plan: Plan) -> None:
            async def act(principal: Principal) -> None:
                await self._visit.domains.shelf.remove(principal, one.id, plan.digest)

            if await attempt(self._visit, self._answer, Scope.ADMIN, act):
                done(self._answer, self._visit.say(_REMOVED, title=title))
                await self.show()

        async def look(principal: Principal) -> None:
            plan = await self._visit.domains.shelf.removal(principal.scope, one.id)
            with place:
                self._steps(plan.steps)
                button(self._visit.say(_CONFIRM_REMOVE), partial(remove, plan), "button bad")

        await attempt(self._visit, place, Scope.ADMIN, look)

    async def _withdraw(self, package: PackageInfo) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.shelf.withdraw(principal, package.id)

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            await self.show()

    def _steps(self, steps: Sequence[Step]) -> None:
        visit, say = self._visit, self._visit.say
        for step in steps:
            with box("shelf-step"):
                with box():
                    Words(step.name, "strong", tag="div")
                    told = [say(_KIND[step.kind]), step.reason(visit.language)]
                    if step.bound is not None and step.action in ("add", "update"):
                        told.append(say(_BOUND, n=step.bound) if step.bound else say(_UNBOUND))
                    Words(" · ".join(filter(None, told)), "muted small", tag="div")
                MarkView(_ACTIONS[step.action], visit.language, plain=True)


def _newest(packages: Sequence[PackageInfo]) -> list[PackageInfo]:
    """Return what is on the shelf: of one's own packages the highest version alone; they come newest first."""
    seen: set[str] = set()
    found = []
    for one in packages:
        if one.withdrawn_at is None and not (one.mine and one.code in seen):
            found.append(one)
            if one.mine:
                seen.add(one.code)
    return found


def _words(visit: Visit, package: PackageInfo) -> str:
    return package.title.zh if visit.language == "zh" else package.title.en


def _needs(visit: Visit, package: PackageInfo) -> str:
    names = [visit.say(name) for code in package.classes if (name := equipment_classes().get(code))]
    entries = [visit.say(found.name) for code in package.entries if (found := entry_of(code))]
    separator = "、" if visit.language == "zh" else ", "
    listed = separator.join(names or [visit.say(_NONE_CLASS)])
    return f"{listed} ({separator.join(entries)})" if entries else listed
