"""Proves a tenant's audit log whole: no row edited, missing, moved, added or cut off.

The hash of row n is SHA-256(hash of row n-1, then the row as canonical JSON in UTF-8); before row 1 stand 32 zero bytes.
It is worked out here anew from the columns, not with the database's function that wrote it.

Who owns the database can write the whole chain and its head anew. An `Anchor` kept elsewhere - printed, mailed, on another
machine - shows that, too: the log must still lead through it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.core.audit import canonical
from protocols.errors import ConfigError
from protocols.text import Text

_START = bytes(32)
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of a tenant's log at one time: `count` rows, the last of them with `hash` (hex)."""

    tenant_id: UUID
    count: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a log of `count` rows is whole; if not, which row is the first that is wrong and what is wrong with it."""

    count: int
    row: int | None = None
    fault: Text | None = None


async def head(connection: AsyncConnection) -> Anchor:
    """Return the head of the log of the tenant the transaction is in."""
    cursor = await connection.execute(
        "SELECT tenant_id, count, encode(hash, 'hex') FROM audit_head WHERE tenant_id = current_tenant()"
    )
    row = await cursor.fetchone()
    if row is None:
        cursor = await connection.execute("SELECT current_tenant()")
        row = (*(await cursor.fetchone() or ()), 0, _START.hex())
    return Anchor(*row)


async def verify(connection: AsyncConnection, anchors: Collection[Anchor] = ()) -> Verdict:
    """Follow the log of the tenant the transaction is in, from its first row to its head and through `anchors`.

    The transaction must be REPEATABLE READ, else a row appended meanwhile looks like one too many.
    """
    end = await head(connection)
    known = {anchor.count: anchor.hash for anchor in anchors if anchor.count}
    previous, expected = _START, 1
    async with connection.cursor("audit", row_factory=dict_row) as rows:
        rows.itersize = _ROWS_AT_ONCE
        await rows.execute(
            "SELECT tenant_id, seq, at, actor, act, subject, address, detail::text AS detail, hash FROM audit"
            " WHERE tenant_id = current_tenant() ORDER BY seq"
        )
        async for row in rows:
            fault = _fault(row, previous, expected, end, known)
            if fault:
                return Verdict(end.count, expected, fault)
            previous, expected = row["hash"], expected + 1
    last = expected - 1
    if last < max([end.count, *known]):
        return Verdict(end.count, expected, Text("it and all that followed are missing", "该条及其后的记录缺失"))
    if previous.hex() != end.hash:
        return Verdict(end.count, last, Text("it is not the row the log's head names", "与日志头记录的末条不符"))
    return Verdict(end.count)


def _fault(row: dict[str, Any], previous: bytes, expected: int, end: Anchor, known: dict[int, str]) -> Text | None:
    if row["seq"] != expected:
        return Text(f"it is missing; the next one is {row['seq']}", f"该条缺失，下一条为 {row['seq']}")
    if expected > end.count:
        return Text("it was added behind the log's head", "该条是在日志头之后添加的")
    if hashlib.sha256(previous + _text(row).encode()).digest() != row["hash"]:
        return Text("its content or its place has been changed", "其内容或位置被更改")
    if known.get(expected, row["hash"].hex()) != row["hash"].hex():
        return Text("the log was written anew: the anchor has another hash", "日志被重写：与锚点的哈希不符")
    return None


def _text(row: dict[str, Any]) -> str:
    at = row["at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields = {name: canonical(row[name]) for name in ("act", "actor", "address", "seq", "subject")}
    fields |= {"at": f'"{at}"', "detail": row["detail"], "tenant": f'"{row["tenant_id"]}"'}
    return "{" + ",".join(f'"{name}":{fields[name]}' for name in sorted(fields)) + "}"


def written(anchors: Collection[Anchor]) -> str:
    """Return `anchors` as text, a line of JSON each; `read` takes it back."""
    return "".join(
        canonical({"tenant_id": anchor.tenant_id, "count": anchor.count, "hash": anchor.hash}) + "\n"
        for anchor in anchors
    )


def read(text: str) -> list[Anchor]:
    """Return the anchors in `text`; raises ConfigError if there is anything else in it."""
    anchors = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            fields = json.loads(line)
            anchors.append(Anchor(UUID(fields["tenant_id"]), int(fields["count"]), str(fields["hash"])))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                Text(f"line {number} is not an anchor", f"第 {number} 行不是锚点"),
                Text(
                    "give a file written by: sunmao-cloud audit anchor", "请提供由 sunmao-cloud audit anchor 写出的文件"
                ),
                key="--anchor",
            ) from error
    return anchors
