"""What the cloud can say of a configuration without a driver: form, names, templates, dictionary codes, no secrets.

Whether a device's own settings are right is for the agent to say, which has its driver.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from cloud.core.errors import Invalid
from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError
from protocols.library.templates import template_ids
from protocols.text import Text
from protocols.uplink.configuration import (
    KEPT,
    LOCAL_TABLES,
    MAX_CONFIGURATION_BYTES,
    SHARED_TABLES,
    secrets_in,
    tables_of,
)

_ARRAYS = ("device", "forecast", "inspection", "machine_health", "outlet")


def check(text: str, own: Collection[str] = ()) -> None:
    """Raise Invalid, naming the place, for the first thing wrong in the shared part `text` of a configuration.

    `own` are the ids of the company's own templates.
    """
    for problem in _problems(text, [*template_ids(), *own]):
        raise Invalid(problem)


def _problems(text: str, templates: list[str]) -> Iterator[Text]:
    if len(text.encode("utf-8")) > MAX_CONFIGURATION_BYTES or "\0" in text:
        yield Text(
            f"above {MAX_CONFIGURATION_BYTES} bytes, or with NUL", f"超过 {MAX_CONFIGURATION_BYTES} 字节或含 NUL"
        )
        return
    try:
        tables = tables_of(text)
    except ConfigError as error:
        yield error.what
        return
    for name, table in tables.items():
        if name in LOCAL_TABLES:
            yield Text(f"[{name}] stays on the box; leave it out", f"[{name}] 仅在网关本机设置，请删去")
        elif name not in SHARED_TABLES:
            listed = ", ".join(SHARED_TABLES)
            yield Text(f"{name}: unknown; there are {listed}", f"{name}：未知的表；可用：{listed}")
        elif name in _ARRAYS and not (isinstance(table, list) and all(isinstance(each, dict) for each in table)):
            yield Text(f"{name}: must be written as [[{name}]]", f"{name}：应写作 [[{name}]]")
        elif name not in _ARRAYS and not isinstance(table, dict):
            yield Text(f"{name}: must be written as [{name}]", f"{name}：应写作 [{name}]")
    for path, secret in secrets_in(tables):
        if secret != KEPT:
            key = ".".join(path)
            yield Text(
                f'{key}: passwords never pass through the cloud; write "{KEPT}" and type it on the box',
                f"{key}：密码不经过云端；请填写“{KEPT}”，并在网关本机上设置密码",
            )
    seen: set[str] = set()
    for number, device in enumerate(tables.get("device", []), 1):
        yield from _device(device, f"device[{number}]", seen, templates)


def _device(device: Mapping[str, Any], key: str, seen: set[str], templates: list[str]) -> Iterator[Text]:
    name, template = device.get("name"), device.get("template")
    if not isinstance(name, str) or not name:
        yield Text(f"{key}.name: missing", f"{key}.name：缺失")
        return
    if name in seen:
        yield Text(f"{key}.name: '{name}' is used twice", f"{key}.name：名称“{name}”重复")
    seen.add(name)
    if (template is None) == (device.get("protocol") is None):
        yield Text(
            f"{key} ({name}): needs either a template or a protocol",
            f"{key}（{name}）：须在 template 与 protocol 中二选一",
        )
    if isinstance(template, str) and not template.endswith(".toml"):
        yield from _known(template, templates, f"{key}.template", Text("template", "模板"))
    points = device.get("point", [])
    for place, point in enumerate(points if isinstance(points, list) else [], 1):
        code = point.get("property") if isinstance(point, dict) else None
        if isinstance(code, str):
            where = f"{key}.point[{place}].property"
            yield from _known(code, list(load_dictionary()), where, Text("dictionary entry", "字典条目"))


def _known(name: str, names: list[str], key: str, kind: Text) -> Iterator[Text]:
    if name not in names:
        near = get_close_matches(name, names, 1)
        yield Text(
            f"{key}: there is no {kind.en} '{name}'{f'; did you mean {near[0]}?' if near else ''}",
            f"{key}：没有{kind.zh}“{name}”{f'，是否指“{near[0]}”？' if near else ''}",
        )
