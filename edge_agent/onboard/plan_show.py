"""Shows what an import would change: a table for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.console import plain, print_table
from edge_agent.onboard.point_import import Change, FieldChange, Kind, Plan
from edge_agent.plain_lines import print_line
from protocols.text import Language, Text

_KINDS: Mapping[Kind, tuple[Text, str]] = {
    "added": (Text("added", "新增"), "green"),
    "changed": (Text("changed", "更改"), "yellow"),
    "removed": (Text("removed", "删除"), "red"),
    "unchanged": (Text("unchanged", "不变"), "dim"),
    "kept": (Text("kept", "保留"), "dim"),
}


def plan_json(plan: Plan, language: Language) -> dict[str, Any]:
    """Return the plan for machines; texts in `language`."""
    return {
        "device": plan.device,
        "counts": {kind: plan.count(kind) for kind in _KINDS},
        "changes": [
            {
                "kind": change.kind,
                "name": change.name,
                "fields": {field.field: [field.before, field.after] for field in change.fields},
                "notes": [note.to(language) for note in change.notes],
            }
            for change in plan.changes
        ],
        "faults": [{"row": fault.row, "what": fault.what.to(language)} for fault in plan.faults],
        "left_out": [{"row": fault.row, "what": fault.what.to(language)} for fault in plan.left_out],
        "unused": plan.unused,
    }


def print_plan(plan: Plan, counted: Text, language: Language) -> None:
    """Print what is wrong, all of it; where nothing is, what changes point by point; and the counts."""
    if plan.faults:
        heads: tuple[Text, ...] = (counted, Text("what is wrong", "问题"))
        print_table(heads, [(str(fault.row), plain(fault.what.to(language))) for fault in plan.faults], language)
        count, rows = len(plan.faults), len({fault.row for fault in plan.faults})
        said = Text(
            f"{count} things are wrong in {rows} rows; mend them, nothing was written",
            f"{rows} 行中共有 {count} 处问题；请改正，未写入任何内容",
        )
        print_line(said.to(language))
        return
    shown = [
        change for change in plan.changes if change.kind != "unchanged" and (change.kind != "kept" or change.notes)
    ]
    heads = (Text("", ""), Text("point", "点"), Text("what changes", "变化"), Text("note", "说明"))
    if shown:
        print_table(heads, [_row(change, language) for change in shown], language)
    for fault in plan.left_out:
        print_line(f"{counted.to(language)} {fault.row}: {fault.what.to(language)}")
    if plan.unused:
        listed = ", ".join(plan.unused)
        print_line(Text(f"columns that are not used: {listed}", f"未使用的列：{listed}").to(language))
    counts = [f"{plan.count(kind)} {label.to(language)}" for kind, (label, _) in _KINDS.items() if plan.count(kind)]
    print_line(Text(", ", "，").to(language).join(counts))


def _row(change: Change, language: Language) -> tuple[str, ...]:
    label, colour = _KINDS[change.kind]
    separator = Text("; ", "；").to(language)
    return (
        f"[{colour}]{label.to(language)}[/]",
        plain(change.name),
        plain(separator.join(_field(field, change.kind) for field in change.fields)),
        plain(separator.join(note.to(language) for note in change.notes)),
    )


def _field(field: FieldChange, kind: Kind) -> str:
    return (
        f"{field.field} {field.after}"
        if kind == "added"
        else f"{field.field} {field.before or '∅'} → {field.after or '∅'}"
    )
