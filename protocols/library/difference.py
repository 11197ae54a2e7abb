"""What has changed between two templates, or two versions of one, in words a technician can check against the manual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from protocols.driver import PointConfig
from protocols.library.templates import Template
from protocols.text import Text

_PLACE = ("table", "address", "type", "order", "bit", "node", "path", "topic")
"""Fields that say where a value is: a point of another name at the same place has been renamed."""


def differences(old: Template, new: Template) -> list[Text]:
    """Return what `new` says otherwise than `old`, one sentence per change; empty where both mean the same."""
    return [
        *_changed("device", old.device.model_dump(exclude={"id"}), new.device.model_dump(exclude={"id"})),
        *_changed("defaults", old.defaults, new.defaults),
        *_changed("fingerprint", old.fingerprint.model_dump(), new.fingerprint.model_dump()),
        *_points(old, new),
    ]


def _points(old: Template, new: Template) -> Iterator[Text]:
    before = {point.name: point for point in old.points}
    after = {point.name: point for point in new.points}
    gone = {_place(point): name for name, point in before.items() if name not in after}
    for name, point in after.items():
        if name in before:
            yield from _changed(f"point '{name}'", _fields(before[name]), _fields(point))
        elif (former := gone.pop(_place(point), None)) is not None:
            yield Text(f"point '{former}': now called '{name}'", f"点“{former}”：更名为“{name}”")
            yield from _changed(f"point '{name}'", _fields(before[former]), _fields(point))
        else:
            yield Text(f"point '{name}': new", f"点“{name}”：新增")
    for name in gone.values():
        yield Text(f"point '{name}': gone", f"点“{name}”：删除")


def _place(point: PointConfig) -> str:
    return str(sorted(point.model_dump(include=set(_PLACE)).items()))


def _fields(point: PointConfig) -> dict[str, Any]:
    return point.model_dump(mode="json", exclude={"name"})


def _changed(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Text]:
    chinese = what.replace("point '", "点“").replace("'", "”")
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before != after:
            yield Text(
                f"{what}: {key} was {_said(before, 'nothing')}, is {_said(after, 'nothing')}",
                f"{chinese}：{key} 由 {_said(before, '无')} 改为 {_said(after, '无')}",
            )


def _said(value: Any, nothing: str) -> str:
    return nothing if value in (None, "", (), [], {}) else str(value)
