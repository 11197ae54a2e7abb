"""Who did what, when and from where; whether anything of it was tampered with; and all of it as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from urllib.parse import urlencode

from nicegui import ui

from cloud.core.audit import canonical
from cloud.core.principal import Scope
from cloud.identity.schemas import AuditEntry, AuditFilter
from cloud.web.elements import Words, box
from cloud.web.forms import button
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Audit log", "审计日志")

GROUPS: Mapping[str, Text] = MappingProxyType(
    {
        "": Text("All acts", "全部操作"),
        "session.": Text("Log-ins", "登录"),
        "user.": Text("People and roles", "人员与角色"),
        "invitation.": Text("Invitations", "邀请"),
        "token.": Text("API tokens", "API 令牌"),
        "site.": Text("Sites", "站点"),
        "line.": Text("Lines", "产线"),
        "equipment.": Text("Machines", "设备"),
        "agent.": Text("Gateways", "网关"),
        "inspection.": Text("Inspections", "质检"),
    }
)
"""What the list can be narrowed to: beginnings of acts."""
ACTS: Mapping[str, Text] = MappingProxyType(
    {
        "agent.configure": Text("wants a configuration at the gateway", "下发网关配置"),
        "agent.diagnose": Text("had the gateway look at a machine", "远程诊断设备"),
        "agent.enrol": Text("gateway enrolled", "网关注册"),
        "agent.revoke": Text("revoked the gateway", "吊销网关"),
        "code.create": Text("made an enrolment code", "生成注册码"),
        "dictionary.propose": Text("proposed dictionary entries", "提交字典条目"),
        "dictionary.release": Text("released a dictionary entry", "发布字典条目"),
        "dictionary.return": Text("sent a dictionary entry back", "退回字典条目"),
        "dictionary.withdraw": Text("withdrew a dictionary entry", "撤回字典条目"),
        "equipment.describe": Text("placed or described the machine", "设置设备位置或信息"),
        "frame.refuse": Text("delivery refused", "拒收数据批次"),
        "inspection.judge": Text("judged the part", "判定工件"),
        "invitation.create": Text("made an invitation", "生成邀请"),
        "invitation.refuse": Text("wrong code for the invitation", "邀请码错误"),
        "invitation.withdraw": Text("withdrew the invitation", "撤回邀请"),
        "line.change": Text("changed the line", "修改产线"),
        "line.create": Text("added the line", "添加产线"),
        "line.remove": Text("removed the line", "移除产线"),
        "meter.change": Text("changed the meter", "修改计量点"),
        "meter.confirm": Text("confirmed where the site's meters stand", "确认站点全部计量点的位置"),
        "meter.unplace": Text("took back where the meter stood from then", "撤回计量对象或上级的变更"),
        "point.meaning": Text("said what a point means", "指定点的含义"),
        "retention.set": Text("set how long readings are kept", "设置数据保留期"),
        "session.create": Text("logged in", "登录"),
        "session.end": Text("logged out", "退出登录"),
        "session.refuse": Text("wrong password", "密码错误"),
        "site.create": Text("added the site", "添加站点"),
        "site.rename": Text("renamed the site", "重命名站点"),
        "stop_reason.change": Text("changed the stop reason", "修改停机原因"),
        "stop_reason.uncount": Text(
            "took back how the stop reason was counted from then", "撤回停机原因计入方式的变更"
        ),
        "tenant.create": Text("founded the company", "创建企业"),
        "token.create": Text("made an API token", "生成 API 令牌"),
        "token.delete": Text("ended the API token", "终止 API 令牌"),
        "user.create": Text("added the person", "添加人员"),
        "user.disable": Text("disabled the account", "停用账号"),
        "user.grant": Text("set roles by place", "设置按位置授权"),
        "user.join": Text("joined by invitation", "通过邀请加入"),
        "user.set_language": Text("chose a language", "选择语言"),
        "user.set_password": Text("changed the password", "修改密码"),
        "user.set_role": Text("changed the role", "修改角色"),
    }
)
"""Acts in words; one that is not here is shown as it is written."""

_ACT, _WHO = Text("Act", "操作"), Text("Who (part of the e-mail)", "操作者(邮箱的一部分)")
_FROM, _TO = Text("From", "开始日期"), Text("To", "结束日期")
_SHOW, _EXPORT, _OLDER = Text("Show", "筛选"), Text("Export as CSV", "导出 CSV"), Text("Older entries", "更早的记录")
_VERIFY = Text("Verify the log", "校验日志")
_HOW = Text(
    "Every entry carries the hash of the one before. Verifying follows the chain from the first to the last.",
    "每条记录都包含上一条记录的哈希值，校验将从第一条逐条核对到最后一条。",
)
_WHOLE = Text("All {count} entries are as they were written.", "全部 {count} 条记录完好无改动。")
_BROKEN = Text(
    "Entry {entry} is wrong: {fault}. Tell your operator.", "第 {entry} 条记录异常：{fault}。请联系系统运维人员。"
)
_NOTHING = Text("No entry is like that.", "没有符合条件的记录。")
_DETAILS = Text("Details", "详情")
_FROM_ADDRESS = Text("{who} from {address}", "{who}，来自 {address}")


async def build(visit: Visit) -> None:
    """Build the page; the filter is in its address, so that what is seen can be sent to somebody."""
    asked = visit.request.query_params
    wanted = _filter(visit, asked)
    before = int(asked["before"]) if asked.get("before", "").isdigit() else None
    page = await visit.domains.identity.audit_log.page(visit.scope, wanted, before)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE))
        with box("card stack"):
            _filter_form(visit, asked)
        with box("card stack"):
            _verification(visit, wanted)
        with box("card entries"):
            _list(visit, page.items)
            if page.next is not None:
                query = urlencode({**dict(asked), "before": page.next})
                with box("button quiet", "a", href=f"/audit?{query}"):
                    Words(visit.say(_OLDER))


def _filter(visit: Visit, asked: Mapping[str, str]) -> AuditFilter:
    def day(name: str, later: int) -> datetime | None:
        try:
            return datetime.combine(date.fromisoformat(asked[name]) + timedelta(days=later), time(), visit.zone)
        except (KeyError, ValueError, OverflowError):
            return None

    act = asked.get("act", "")
    return AuditFilter(
        act=act if act in GROUPS else "", actor=asked.get("actor", "")[:254], start=day("from", 0), end=day("to", 1)
    )


def _filter_form(visit: Visit, asked: Mapping[str, str]) -> None:
    with box("filters", "form", method="get", action="/audit"):
        with box("field", "label"):
            Words(visit.say(_ACT))
            with box("", "select", name="act"):
                for act, name in GROUPS.items():
                    chosen = {"selected": ""} if act == asked.get("act", "") else {}
                    with box("", "option", value=act, **chosen):
                        Words(visit.say(name))
        for field, label, kind in (("actor", _WHO, "text"), ("from", _FROM, "date"), ("to", _TO, "date")):
            with box("field", "label"):
                Words(visit.say(label))
                box("", "input", type=kind, name=field, value=asked.get(field, ""))
        with box("button", "button", type="submit"):
            Words(visit.say(_SHOW))


def _verification(visit: Visit, wanted: AuditFilter) -> None:
    async def verify() -> None:
        if not await visit.may_still(Scope.ADMIN):
            return
        verdict = await visit.domains.identity.audit_log.verify(visit.acting(Scope.ADMIN).scope)
        answer.clear()
        with answer:
            if verdict.whole:
                Words(visit.say(_WHOLE, count=f"{verdict.entries:,}"), "notice good", tag="p").mark("verdict")
            else:
                fault = verdict.fault_zh if visit.language == "zh" else verdict.fault_en
                Words(visit.say(_BROKEN, entry=verdict.entry, fault=fault), "notice bad", tag="p").mark("verdict")

    Words(visit.say(_HOW), "muted small", tag="p")
    with box("line"):
        button(visit.say(_VERIFY), verify).mark("verify")
        query = urlencode({key: value for key, value in wanted.model_dump(mode="json").items() if value})
        with box("button quiet", "a", href=f"/api/v1/audit/export?{query}", download="audit.csv"):
            Words(visit.say(_EXPORT))
    answer = box("stack")


def _list(visit: Visit, entries: Sequence[AuditEntry]) -> None:
    now = datetime.now(UTC)
    if not entries:
        Words(visit.say(_NOTHING), "muted", tag="p")
    for entry in entries:
        with box("entry"):
            Words(moment(entry.at, visit.zone, visit.language, now=now), "muted small num when", tag="div")
            with box("stack"):
                act = ACTS.get(entry.act)
                with box("line"):
                    Words(visit.say(act) if act else entry.act, "strong")
                    Words(_subject(entry))
                who = entry.actor.partition(":")[2] or entry.actor
                address = visit.say(_FROM_ADDRESS, who=who, address=entry.address) if entry.address else who
                Words(address, "muted small", tag="div")
                _details(visit, entry)
            Words(f"#{entry.id}", "muted small num", tag="div")


def _subject(entry: AuditEntry) -> str:
    return "" if f"user:{entry.subject}" == entry.actor else entry.subject


def _details(visit: Visit, entry: AuditEntry) -> ui.element:
    with box("", "details") as details:
        with box("link small", "summary"):
            Words(visit.say(_DETAILS))
        with box("diff", "pre"):
            for name, value in entry.detail.items():
                Words(f"{name}: {value if isinstance(value, str) else canonical(value)}\n")
            Words(f"{entry.act}\nSHA-256 {entry.hash}", "muted")
    return details
