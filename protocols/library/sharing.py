"""Hands a template from one plant to another: one file that says which template it is and that nothing in it changed.

The first line names the template and its version, the second the SHA-256 of all that follows. The checksum finds a file
that was damaged or edited on its way; it does not say who wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError
from protocols.library.folder import own_folder, own_templates
from protocols.library.templates import Template, load_template, parse_template, template_ids, whole_tables
from protocols.text import Text

_HEAD = re.compile(r"# sunmao device template ([a-z0-9-]+), version (\d+)\n# sha256 ([0-9a-f]{64})\n")


def exported(name: str) -> str:
    """Return the file that hands on the template `name`, an id or a path; it needs no other template of a library."""
    device = load_template(name).device
    return handed_on(device.id, device.version, _toml(whole_tables(name)))


def handed_on(name: str, version: int, body: str) -> str:
    """Return the file that hands on the template written in `body`."""
    return f"# sunmao device template {name}, version {version}\n# sha256 {hashlib.sha256(body.encode()).hexdigest()}\n{body}"


def received(text: str, file: str) -> Template:
    """Return the template in `text`; raises ConfigError for one that was changed on its way or is not valid."""
    head = _HEAD.match(text)
    if head is not None and hashlib.sha256(text[head.end() :].encode()).hexdigest() != head[3]:
        raise ConfigError(
            Text("was changed after it was exported", "导出之后被改动过"),
            Text(
                "ask for it again, or check the changes and take the first two lines away",
                "请重新索取；如果改动无误，请删去前两行",
            ),
            key=file,
        )
    return parse_template(text, file)


def add(path: Path, *, replace: bool = False) -> tuple[Template, Path]:
    """Take the template in `path` into the plant's own folder; return it and where it lies now.

    A template that is there already is replaced only where `replace` says so and its version was raised; the former file
    is kept beside it, with its version in its name. Raises ConfigError for anything else, and changes nothing then.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Text(f"cannot be read: {error}", f"无法读取：{error}"), key=str(path)) from error
    template = received(text, path.name)
    name, version = template.device.id, template.device.version
    target = own_folder() / f"{name}.toml"
    if name in template_ids():
        former = load_template(name)
        if former == template:
            return template, own_templates().get(name, target)
        if not replace:
            raise ConfigError(
                Text(f"there is a template '{name}' already", f"已有名为“{name}”的模板"),
                Text(
                    f"compare them: sunmao-edge library diff {name} {path}; then add it with --replace",
                    f"先比较：sunmao-edge library diff {name} {path}；确认后加 --replace",
                ),
                key=path.name,
            )
        if version <= former.device.version:
            raise ConfigError(
                Text(
                    f"version {version} is not above version {former.device.version}, which is there",
                    f"版本 {version} 不高于现有版本 {former.device.version}",
                ),
                Text("raise device.version", "请调高 device.version"),
                key=f"{path.name}: device.version",
            )
    if target.exists():
        target.replace(target.with_suffix(f".v{former.device.version}.bak"))
    _written_down(text, target)
    return template, target


def add_new(text: str, name: str) -> None:
    """Take the template `name` that is written in `text` unless the box has one of that id, which then counts.

    Raises ConfigError for one that is not valid, and changes nothing then.
    """
    if name in template_ids():
        return
    template = received(text, f"{name}.toml")
    if template.device.id != name:
        raise ConfigError(
            Text(f"calls itself '{template.device.id}'", f"自称“{template.device.id}”"), key=f"{name}.toml: device.id"
        )
    _written_down(text, own_folder() / f"{name}.toml")


def _written_down(text: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".part")
    with scratch.open("w", encoding="utf-8") as writing:
        writing.write(text)
        writing.flush()
        os.fsync(writing.fileno())
    scratch.replace(target)


def _toml(tables: Mapping[str, Any]) -> str:
    """Return the tables of a template as TOML: tables of plain values, and lists of such tables."""
    lines: list[str] = []
    for name in ("device", "defaults", "fingerprint"):
        table = tables.get(name) or {}
        plain = {key: value for key, value in table.items() if not _is_tables(value)}
        if plain:
            lines += [f"[{name}]", *_pairs(plain), ""]
        for key in table.keys() - plain.keys():
            for entry in table[key]:
                lines += [f"[[{name}.{key}]]", *_pairs(entry), ""]
    for point in tables["point"]:
        lines += ["[[point]]", *_pairs(point), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    # JSON writes texts, whole numbers, numbers and truth values as TOML does.
    return json.dumps(value, ensure_ascii=False)
