"""The part of an agent's configuration that the cloud may hold: all but [agent] and [cloud], and never a secret.

A configuration file is taken apart and put together as text, so that comments and order survive the way both ways.
`version_of` names such a part; edge and cloud compute it alike.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from hashlib import sha256
from typing import Any

from protocols.errors import ConfigError
from protocols.text import Text

LOCAL_TABLES = ("agent", "cloud")
"""Who the box is and whom it reports to: never sent, never changed from afar."""
SHARED_TABLES = ("buffer", "device", "forecast", "inspection", "machine_health", "outlet")
SECRET_KEYS = frozenset({"password"})
"""Keys whose text never leaves the box, wherever they stand."""
KEPT = "<kept on the box>"
"""Stands where a secret stands on the box."""
MAX_CONFIGURATION_BYTES = 500_000

_HEADER = re.compile(rf"\s*\[{{1,2}}\s*({'|'.join(LOCAL_TABLES + SHARED_TABLES)})\b[^\[\]=]*\]{{1,2}}\s*(#.*)?$")
_QUOTES = re.compile(r'"""|\'\'\'')


def version_of(shared: str) -> str:
    """Return the version of a shared part: the first 12 hex digits of its SHA-256."""
    return sha256(shared.encode("utf-8")).hexdigest()[:12]


def normal(shared: str) -> str:
    """Return a shared part in the form both sides compare: no blank lines around it nor below its first comment."""
    lines = [line.rstrip() for line in shared.strip().splitlines()]
    first = next((number for number, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
    lines[:first] = [line for line in lines[:first] if line]
    return "\n".join(lines) + "\n" if lines else ""


def split(text: str) -> tuple[str, str]:
    """Return what of the file `text` stays on the box, and its shared part in `normal` form.

    Raises ConfigError if `text` is not valid TOML or writes [agent] or [cloud] other than as tables.
    """
    pieces: dict[bool, list[str]] = {True: [], False: []}
    for stays, lines in _blocks(text):
        pieces[stays] += lines
    local, shared = "".join(pieces[True]), normal("".join(pieces[False]))
    whole = tables_of(text)
    if (
        tables_of(local) != {name: table for name, table in whole.items() if name in LOCAL_TABLES}
        or tables_of(shared) != {name: table for name, table in whole.items() if name not in LOCAL_TABLES}
    ):  # fmt: skip
        raise _not_apart()
    return local, shared


def join(local: str, shared: str) -> str:
    """Return the file that `split` takes apart into `local` and `shared`; raises ConfigError if there is none such."""
    text = f"{local.rstrip()}\n\n{shared}" if local.strip() else shared
    if tables_of(text) != tables_of(local) | tables_of(shared):
        raise _not_apart()
    return text


def tables_of(text: str) -> dict[str, Any]:
    """Return the tables of `text`; raises ConfigError if it is not valid TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            Text(f"not valid TOML: {error}", f"不是有效的 TOML:{error}"), Text("correct that place", "请改正该处")
        ) from error


def secrets_in(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield path and text of every secret. Tables of an array are known by their name, else by their number from 1."""
    for key, value in table.items():
        if isinstance(value, str) and key in SECRET_KEYS:
            yield (*path, key), value
        elif isinstance(value, Mapping):
            yield from secrets_in(value, (*path, key))
        elif isinstance(value, list):
            for number, each in enumerate(value, 1):
                if isinstance(each, Mapping):
                    yield from secrets_in(each, (*path, key, str(each.get("name", number))))


def difference(before: str, after: str) -> str:
    """Return a unified diff of two shared parts, "" where they are the same."""
    return "\n".join(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)).removeprefix(
        "--- \n+++ \n"
    )


def _blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield the file in pieces that begin with a header and the comment above it; True for those that stay local."""
    block: list[str] = []
    local = True
    quote = ""
    for line in text.splitlines(keepends=True):
        if not quote and (header := _HEADER.match(line)):
            start = len(block)
            while start and block[start - 1].lstrip().startswith("#"):
                start -= 1
            if before := block[:start]:
                yield local and not (_has_keys(before) and _header_of(before) is None), before
            block, local = block[start:], header[1] in LOCAL_TABLES
        block.append(line)
        for found in _QUOTES.findall(line):
            quote = found if not quote else "" if quote == found else quote
    if block:
        yield local and not (_has_keys(block) and _header_of(block) is None), block


def _header_of(lines: list[str]) -> str | None:
    """Return the first table that `lines` begin, None if they begin none."""
    return next((header[1] for line in lines if (header := _HEADER.match(line))), None)


def _has_keys(lines: list[str]) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _not_apart() -> ConfigError:
    return ConfigError(
        Text(
            "the configuration cannot be taken apart into what stays on the box and what the cloud may hold",
            "无法将配置拆分为仅存于本机的部分与云端可保存的部分",
        ),
        Text(
            "write [agent], [cloud] and every [[device]] as tables with headers",
            "请将 [agent]、[cloud] 与各 [[device]] 写成带表头的表",
        ),
    )
