"""The dictionary: what a point can mean, in both languages, and which of the company's points mean it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape

from nicegui import ui

from cloud.core.principal import Scope
from cloud.core.search import Search
from cloud.dictionary.service import unit_symbol
from cloud.web.company_entries import ProposalForm, show_company_entries
from cloud.web.elements import Words, box
from cloud.web.entry_words import meant
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from protocols.dictionary.entries import Entry, equipment_classes
from protocols.text import Text

TITLE = Text("Data dictionary", "数据字典")
SHOWN = 30
"""Entries of one page; who looks for another one searches."""

_NOTE = Text(
    "What a point can mean. An entry fixes name, unit, type and what many values may be condensed to.",
    "数据点的含义。条目规定其名称、单位、类型与汇总方式。",
)
_SEARCH, _FIND = Text("Name, code, unit or meaning", "名称、代码、单位或含义"), Text("Find", "查找")
_COUNT = Text("{found} of {all} entries", "共 {all} 个条目，符合 {found} 个")
_FIRST = Text(" - the first {shown} are shown", "，显示前 {shown} 个")
_EXPORT = Text("All entries as a file", "导出全部条目")
_USED, _MORE = Text("Used by {points}", "使用该条目的点：{points}"), Text(" and {count} more", " 等共 {count} 个")
_ANY_CLASS = Text("All classes", "全部类别")
_CLASS = Text("Equipment class", "设备类别")
_NAMED = 3


async def build(visit: Visit) -> None:
    """Build the page for what its address searches."""
    typed = visit.request.query_params.get("q", "")[:120]
    kind = visit.request.query_params.get("class", "")
    every = list((await visit.domains.company_entries.known(visit.scope)).values())
    wanted = [entry for entry in every if kind in ("", entry.equipment_class)]
    found = _search(wanted).find(typed, len(wanted)) if typed.strip() else range(len(wanted))
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE), note=visit.say(_NOTE)), box("line"):
            Words(visit.say(_EXPORT), "muted small")
            for suffix in ("csv", "aasx", "json"):
                with box("button quiet", "a", href=f"/api/v1/dictionary:export?format={suffix}", download=""):
                    Words(suffix.upper())
        await show_company_entries(visit)
        _form(visit, typed, kind)
        more = visit.say(_FIRST, shown=SHOWN) if len(found) > SHOWN else ""
        Words(visit.say(_COUNT, found=len(found), all=len(every)) + more, "muted small", tag="p")
        users = await _users(visit)
        with box("card stack wide"):
            shown = "".join(_entry(visit, wanted[place], users) for place in found[:SHOWN])
            ui.html(shown, sanitize=False, tag="div")
        if visit.may(Scope.ENGINEER):
            ProposalForm(visit)


def _form(visit: Visit, typed: str, kind: str) -> None:
    with box("filters", "form", method="get", action="/dictionary"):
        with box("field", "label"):
            Words(visit.say(_SEARCH))
            box("", "input", type="search", name="q", value=typed, maxlength="120")
        with box("field", "label"):
            Words(visit.say(_CLASS))
            with box("", "select", name="class"):
                for code, name in {"": _ANY_CLASS, **equipment_classes()}.items():
                    chosen = {"selected": ""} if code == kind else {}
                    with box("", "option", value=code, **chosen):
                        Words(visit.say(name))
        with box("button", "button", type="submit"):
            Words(visit.say(_FIND))


def _search(wanted: Sequence[Entry]) -> Search[int]:
    return Search(
        (
            number,
            (
                *(entry.name.zh, entry.name.en, entry.code, unit_symbol(entry.unit), entry.unit),
                *(entry.definition.zh, entry.definition.en),
            ),
        )
        for number, entry in enumerate(wanted)
    )


async def _users(visit: Visit) -> Mapping[str, list[tuple[str, str]]]:
    """Return, by the code of an entry, address and name of each point that has it."""
    labels = {one.id: one.label for one in await visit.domains.fleet.equipment_list(visit.scope)}
    users = defaultdict(list)
    for point in await visit.domains.telemetry.points(visit.scope):
        if point.property:
            name = f"{labels.get(point.equipment_id, '')} · {point.name}"
            users[point.property].append((f"/equipment/{point.equipment_id}", name))
    return users


def _entry(visit: Visit, entry: Entry, users: Mapping[str, list[tuple[str, str]]]) -> str:
    say = visit.say
    rows = [
        f'<div class="line"><strong>{escape(say(entry.name))}</strong><code>{escape(entry.code)}</code></div>',
        f"<div>{escape(say(entry.definition))}</div>",
        f'<div class="muted small">{escape(meant(visit, entry))}</div>',
    ]
    if used := users.get(entry.code):
        points = ", ".join(f'<a class="link" href="{to}">{escape(name)}</a>' for to, name in used[:_NAMED])
        more = say(_MORE, count=len(used) - (_NAMED if visit.language == "en" else 0)) if len(used) > _NAMED else ""
        rows.append(f'<div class="small">{escape(say(_USED, points="{points}")).format(points=points)}{more}</div>')
    return f'<div class="lot"><div>{"".join(rows)}</div></div>'
