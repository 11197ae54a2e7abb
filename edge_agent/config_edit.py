"""Changes a configuration as a careful person would: comments and order stay, and no wrong file ever replaces a good one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import AoT

from edge_agent.atomic_file import write_file
from edge_agent.config import parse_config, read_config, version_of
from protocols.errors import ConfigError
from protocols.text import Text
from protocols.uplink.configuration import KEPT, SECRET_KEYS, secrets_in, tables_of


def put_device(text: str, device: Mapping[str, Any]) -> str:
    """Return the configuration `text` with `device` added, or put in place of the device of that name.

    Args:
        text: a configuration file.
        device: plain values under the keys of a [[device]] table; None stands for an absent key.

    What stays the same keeps its place and its comments. Raises ConfigError if `text` is not valid TOML.
    """
    document = _parsed(text)
    devices = _devices(document)
    for table in devices:
        if table.get("name") == device["name"]:
            _merge(table, device)
            return document.as_string()
    added = tomlkit.item(_present(device))
    added.trivia.indent = "\n" if text.strip() else ""
    devices.append(added)
    document["device"] = devices
    return document.as_string()


def remove_device(text: str, name: str) -> str:
    """Return the configuration `text` without the device `name`; comments that follow it stay.

    Raises ConfigError if there is no such device or `text` is not valid TOML.
    """
    document = _parsed(text)
    devices = _devices(document)
    number = next((number for number, table in enumerate(devices) if table.get("name") == name), None)
    if number is None:
        raise ConfigError(
            Text(f"there is no device '{name}'", f"没有名为“{name}”的设备"),
            Text("look at the list of devices again", "请重新查看设备列表"),
        )
    # The comments between this table and the next are part of this one; a table that only marks the place takes them over.
    following = _following_comments(devices[number].as_string())
    mark = uuid4().hex
    devices[number] = tomlkit.item({"name": mark})
    document["device"] = devices
    before, _, after = document.as_string().partition(f'[[device]]\nname = "{mark}"\n')
    return f"{before.rstrip()}\n{following}{after}" if before.strip() else f"{following.lstrip()}{after.lstrip()}"


def put_values(text: str, table: str, values: Mapping[str, Any]) -> str:
    """Return the configuration `text` with `values` in [table]; its other keys and all comments stay.

    Raises ConfigError if `text` is not valid TOML.
    """
    document = _parsed(text)
    held = document.setdefault(table, tomlkit.table())
    for key, value in _present(values).items():
        held[key] = value
    return document.as_string()


def save_config(path: Path, text: str, *, over: str | None = None) -> None:
    """Check `text` as `load_config` would and put it in place of the file, atomically and durably.

    Args:
        path: the configuration file; its permissions stay as they are.
        text: the new content.
        over: version (`config.version_of`) that the file must still have, if it matters.

    Raises ConfigError, and leaves the file as it is, if `text` is wrong, the file was changed or cannot be written.
    """
    parse_config(text, path)
    if over is not None and version_of(read_config(path)) != over:
        raise ConfigError(
            Text("the file has been changed meanwhile", "文件已被他人修改"),
            Text("look at its present content and change that", "请查看当前内容后再修改"),
            key=str(path),
        )
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o640
        write_file(target, text.encode("utf-8"), mode=mode)
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be written: {error.strerror}", f"无法写入：{error.strerror}"),
            Text("make the file and its folder writable for this user", "请为当前用户开放该文件及其文件夹的写权限"),
            key=str(path),
        ) from error


def without_secrets(text: str) -> str:
    """Return a configuration with `KEPT` in place of every secret; raises ConfigError if it is not valid TOML."""
    if not any(secrets_in(tables_of(text))):
        return text  # as most are; to edit 10,000 points takes 60 MB
    document = _parsed(text)
    for table, key, _ in list(_secrets(document)):
        table[key] = KEPT
    return document.as_string()


def with_secrets(text: str, of: str) -> str:
    """Return a configuration with the secrets of the configuration `of` in place of every `KEPT`.

    Raises ConfigError if there is none to put in.
    """
    if KEPT not in text:
        return text
    document = _parsed(text)
    known = dict(secrets_in(tables_of(of)))
    changed = False
    for table, key, path in _secrets(document):
        if table[key] == KEPT:
            if path not in known:
                raise ConfigError(
                    Text("the box has no secret to keep here", "本机没有可沿用的密码"),
                    Text("type it on the box itself", "请在本机上填写"),
                    key=".".join(path),
                )
            table[key] = known[path]
            changed = True
    return document.as_string() if changed else text


def _secrets(
    table: MutableMapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[MutableMapping[str, Any], str, tuple[str, ...]]]:
    """Yield the table, the key and the path (see `uplink.configuration.secrets_in`) of every secret."""
    for key, value in table.items():
        if isinstance(value, str) and key in SECRET_KEYS:
            yield table, key, (*path, key)
        elif isinstance(value, MutableMapping):
            yield from _secrets(value, (*path, key))
        elif isinstance(value, list):
            for number, each in enumerate(value, 1):
                if isinstance(each, MutableMapping):
                    yield from _secrets(each, (*path, key, str(each.get("name", number))))


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise ConfigError(
            Text(f"not valid TOML: {error}", f"不是有效的 TOML:{error}"), Text("correct that place", "请改正该处")
        ) from error


def _devices(document: tomlkit.TOMLDocument) -> AoT:
    """Return the [[device]] tables; devices written as one inline array become such tables."""
    written = document.get("device", [])
    if isinstance(written, AoT):
        return written
    devices = tomlkit.aot()
    for table in written:
        devices.append(tomlkit.item(table.unwrap()))
    return devices


def _merge(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    """Make `table` say `values`, touching only what differs."""
    wanted = _present(values)
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, value in wanted.items():
        old = table.get(key)
        if isinstance(value, Mapping) and isinstance(old, MutableMapping):
            _merge(old, value)
        elif isinstance(old, AoT) and value and isinstance(value, list):
            if [point.get("name") for point in old] == [point.get("name") for point in value]:
                for point, written in zip(old, value, strict=True):
                    _merge(point, written)
            else:
                table[key] = _merged_points(old, value)
        elif old is None or repr(_unwrapped(old)) != repr(value):  # 1, 1.0 and true are equal but not the same
            table[key] = value


def _unwrapped(old: Any) -> Any:
    """Return the plain value of an item; tomlkit gives booleans plain already."""
    return old if isinstance(old, bool) else old.unwrap()


def _merged_points(old: AoT, wanted: list[Mapping[str, Any]]) -> AoT:
    named = {point.get("name"): point for point in old}
    merged = tomlkit.aot()
    for point in wanted:
        table = named.pop(point.get("name"), None)
        if table is None:
            table = tomlkit.item(_present(point))
        else:
            _merge(table, point)
        merged.append(table)
    return merged


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` without what is None, which TOML cannot say."""
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _present(value)
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _following_comments(table: str) -> str:
    """Return the comments at the end of a table as written, which stand before whatever follows it."""
    lines = table.splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
    return "".join(lines[last + 1 :])
