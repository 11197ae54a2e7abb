"""One set, step by step: its pictures, the fit, the versions that came out, and what one says of a picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Scope
from cloud.training.schemas import Counts, Picture, PictureChange, PictureKind, PictureSet, Version
from cloud.web.elements import Words, box
from cloud.web.fit_progress import FitProgress
from cloud.web.forms import attempt, button
from cloud.web.layout import frame, page_head
from cloud.web.machine_set import MachineSet
from cloud.web.pages import training
from cloud.web.picture_upload import KINDS, show_upload
from cloud.web.plate import show_plate
from cloud.web.region_form import RegionForm
from cloud.web.trial_view import TrialView
from cloud.web.version_list import VersionList
from cloud.web.visit import Visit
from models.kinds import LEAST_PARTS
from protocols.text import Text

THUMBS = 60

_RENT = Text("Or let it be fitted on rented computing", "或在租用算力上训练")
_PICTURES, _FIT = Text("1 · Pictures", "1 · 图片"), Text("2 · Train", "2 · 训练")
_TRY = Text("3 · Try it", "3 · 试用")
_USED = Text(
    "{learn} good pictures to learn from (at least {needed}); held back to judge the result: {good} good, {bad} defective."
    " {judged} of them are operators' words at the station.",
    "用于学习的良品图片 {learn} 张(至少 {needed} 张)；留作评估：良品 {good} 张，缺陷 {bad} 张。其中 {judged} 张来自工位上的人工判定。",
)
_HELD_IS = Text(
    "One good part in six and every defective one are never learnt from, in no fit: so the figures of two versions can be"
    " compared.",
    "每六个良品工件中有一个、以及全部缺陷工件始终不参与训练，因此各版本的指标可以相互比较。",
)
_NO_DEFECTS = Text(
    "Without a picture of a defective part nobody can say how many are found; two or three help already.",
    "没有缺陷图片就无法评估检出率；两三张即可有所帮助。",
)
_KINDS = Text(
    "Named defects: {kinds}. A fit names a defect from {least} confirmed parts on, if there are two such defects.",
    "已命名的缺陷：{kinds}。有两种以上缺陷各达到 {least} 个确认工件后，训练出的模型即可给出缺陷名称。",
)
_LACKS = Text("{name} {parts} (lacks {missing})", "{name} {parts}(还差 {missing})")
_MORE = Text("The latest {shown} of {all} pictures.", "显示最新 {shown} 张，共 {all} 张。")
_HELD = Text("held back", "留作评估")
_PART = Text("Part {part}", "工件 {part}")
_REMOVE, _CLOSE = Text("Remove", "删除"), Text("Close", "关闭")
_UNPACK = Text(
    "Roll out sends it to the boxes, stage by stage. For the first model of a station, unpack the download beside agent.toml at the box"
    " and name it in the station's table; a box takes models only with this company's key among those it trusts.",
    "点击“下发”即可分阶段发送到网关。工位的首个模型请下载后解压到 agent.toml 旁，并在工位配置中填写以下内容；仅当信任列表中含有本企业公钥时网关才会接受。",
)


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        identity = UUID(visit.request.path_params["set_id"])
    except ValueError as error:
        raise NotFound from error
    found = await visit.domains.training.picture_set(visit.scope, identity)
    listed = await visit.domains.fleet.equipment_list(visit.scope)
    place = next((each for each in listed if each.id == found.equipment_id), None)
    with frame(visit, found.name):
        page_head(found.name, back=("/training", visit.say(training.TITLE)), note=place.label if place else "")
        if found.sensors is None:
            await _SetPage(visit, found).show()
        else:
            points = await visit.domains.telemetry.points(visit.scope)
            running = next((each.name for each in points if each.series_id == found.running), "")
            await MachineSet(visit, found, place.name if place else "", running).show()


class _SetPage:
    def __init__(self, visit: Visit, found: PictureSet) -> None:
        self._visit, self._id = visit, found.id
        say = visit.say
        may_fit = visit.may(Scope.ENGINEER)
        with box("card stack wide"):
            Words(say(_PICTURES), tag="h2")
            if visit.may(Scope.OPERATE):
                show_upload(visit, found.id, self.show)
            self._picked = box("stack wide")
            self._thumbs = box("stack")
        self._looked_at = RegionForm(visit, found)
        with box("card stack wide"):
            Words(say(_FIT), tag="h2")
            self._used = box("stack")
            self._progress = FitProgress(visit, found.id, self.show, self._fit, may_fit=may_fit)
            if visit.may(Scope.ADMIN):
                with box("link small", "a", href=f"/compute?set={found.id}"):
                    Words(say(_RENT))
        self._tried = box("card stack wide")
        self._versions = VersionList(visit, _UNPACK, configuration_of)

    async def show(self) -> None:
        """Bring all but the forms up to date."""
        doors, scope = self._visit.domains.training, self._visit.scope
        pictures = await doors.pictures(scope, self._id)
        versions = await doors.versions(scope, self._id)
        self._show_thumbs(pictures)
        good = next((each for each in pictures if each.kind == "good"), None)
        self._looked_at.show(f"{_address(self._id, good.digest)}/content" if good else "")
        self._show_use(await doors.counts(scope, self._id))
        await self._progress.show(again=bool(versions))
        self._tried.clear()
        self._tried.set_visibility(bool(versions))
        if versions:
            with self._tried:
                Words(self._visit.say(_TRY), tag="h2")
                self._trial = TrialView(self._visit, versions)
        self._versions.show(versions)

    async def _fit(self, principal: Principal) -> None:
        await self._visit.domains.training.request_fit(principal, self._id)

    def _show_use(self, counts: Counts) -> None:
        say = self._visit.say
        self._used.clear()
        with self._used:
            used = say(
                _USED,
                learn=counts.learn,
                needed=counts.needed,
                good=counts.held_good,
                bad=counts.held_defect,
                judged=counts.judged,
            )
            Words(used, "num", tag="p")
            Words(say(_HELD_IS), "muted small", tag="p")
            if counts.kinds:
                told = [
                    say(_LACKS, name=kind.name, parts=kind.parts, missing=kind.missing)
                    if kind.missing
                    else f"{kind.name} {kind.parts}"
                    for kind in counts.kinds
                ]
                Words(say(_KINDS, kinds=", ".join(told), least=LEAST_PARTS), "small", tag="p")
            if not counts.held_defect:
                Words(say(_NO_DEFECTS), "muted small", tag="p")

    def _show_thumbs(self, pictures: list[Picture]) -> None:
        say = self._visit.say
        self._thumbs.clear()
        with self._thumbs:
            with box("thumbs"):
                for each in pictures[:THUMBS]:
                    with box(f"thumb {each.kind}", "button", type="button", title=each.part) as thumb:
                        address = f"{_address(self._id, each.digest)}/thumbnail"
                        box("", "img", src=address, alt=each.part, loading="lazy")
                        if each.held_back:
                            Words(say(_HELD), "held")
                    thumb.on("click", lambda _, each=each: self._pick(each))
            if len(pictures) > THUMBS:
                Words(say(_MORE, shown=THUMBS, all=len(pictures)), "muted small")

    def _pick(self, picture: Picture) -> None:
        """Show one picture large, with what may be said of it."""
        say, may = self._visit.say, self._visit.may(Scope.OPERATE)
        self._picked.clear()
        with self._picked, box("judge"):
            with box():
                show_plate(self._visit, f"{_address(self._id, picture.digest)}/content", "", picture.part)
            with box("stack wide"):
                Words(say(_PART, part=picture.part), "strong", tag="div")
                if picture.defect:
                    Words(picture.defect, "defect-name")
                if may:
                    with box("choices"):
                        for kind, words in KINDS.items():
                            with box("here" if kind == picture.kind else "", "button", type="button") as choice:
                                Words(say(words))
                            choice.on("click", lambda _, kind=kind: self._say(picture, kind))
                with box("line"):
                    if may:
                        button(say(_REMOVE), lambda: self._remove(picture), "button quiet")
                    button(say(_CLOSE), self._close, "button quiet")
                answer = box("stack")
        self._answer = answer

    async def _close(self) -> None:
        self._picked.clear()

    async def _say(self, picture: Picture, kind: PictureKind) -> None:
        change = PictureChange(kind=kind, defect=(picture.defect or "") if kind == "defect" else "")
        doors = self._visit.domains.training

        async def act(principal: Principal) -> None:
            self._pick(await doors.change_picture(principal, self._id, picture.digest, change))

        await self._then_show(act)

    async def _remove(self, picture: Picture) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.training.remove_picture(principal, self._id, picture.digest)
            self._picked.clear()

        await self._then_show(act)

    async def _then_show(self, act: Callable[[Principal], Awaitable[None]]) -> None:
        if await attempt(self._visit, self._answer, Scope.OPERATE, act):
            await self.show()


def configuration_of(version: Version) -> str:
    """Return the keys of a station's table in agent.toml that make a box run `version`."""
    return f'bundle = "{version.name}-{version.number}"\ntrust = ["{version.signer}"]'


def _address(set_id: UUID, digest: str) -> str:
    return f"/api/v1/training/sets/{set_id}/pictures/{digest}"
