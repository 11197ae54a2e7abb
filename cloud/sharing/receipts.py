"""Proves a grant's chain of receipts whole, from a file that either side has downloaded; needs neither database nor network.

The file is JSON lines: first what the grant is and where its chain ends, then a receipt a line. The hash of receipt n is
SHA-256(hash of receipt n-1, then the receipt without its hash as canonical JSON in UTF-8); before the first are 32 zero bytes.
Who owns the database could write a chain anew; not so that it leads through what the other side, or you earlier, have
downloaded: compare two files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from cloud.core.audit import canonical
from protocols.errors import ConfigError
from protocols.text import Text

_START = bytes(32).hex()
_FIELDS = ("actor", "at", "body", "grant", "kind", "seq", "version")


class Verdict(NamedTuple):
    """Whether a chain of `receipts` is whole; if not, which receipt is the first that is wrong, and how."""

    grant: str
    receipts: int
    reads: int
    seq: int | None = None
    fault: Text | None = None


def head_line(row: Mapping[str, Any]) -> str:
    """Return the first line of a file: what the grant is and where its chain ends."""
    return canonical({name: row[name] for name in ("id", "leader", "supplier", "purpose", "receipts", "head")}) + "\n"


def line(grant: UUID, row: Mapping[str, Any]) -> str:
    """Return a receipt as a line of a file; `body` of `row` is its text."""
    at: datetime = row["at"]
    fields = {"actor": row["actor"], "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "grant": grant}
    fields |= {name: row[name] for name in ("kind", "seq", "version", "hash")}
    return canonical(fields | {"body": json.loads(row["body"])}) + "\n"


def verify(text: str) -> Verdict:
    """Follow the chain in `text` from its first receipt to its head; raises ConfigError if that is not such a file."""
    head, receipts = _parsed(text)
    grant = str(head["id"])
    previous = _START
    for place, receipt in enumerate(receipts, 1):
        if receipt["seq"] != place:
            return _faulty(grant, receipts, place, Text("it is missing or moved", "该条缺失或被移动"))
        content = canonical({name: receipt[name] for name in _FIELDS})
        if hashlib.sha256(bytes.fromhex(previous) + content.encode()).hexdigest() != receipt["hash"]:
            return _faulty(grant, receipts, place, Text("its content has been changed", "其内容被更改"))
        if receipt["grant"] != grant:
            return _faulty(grant, receipts, place, Text("it is of another grant", "该条属于其他授权"))
        previous = receipt["hash"]
    if len(receipts) != head["receipts"] or previous != head["head"]:
        return _faulty(grant, receipts, len(receipts) + 1, Text("the chain ends too early", "凭据链不完整，末尾缺失"))
    return Verdict(grant, len(receipts), _reads(receipts))


def compare(text: str, other: str) -> Verdict:
    """Return the verdict on `text`, which must also lead through all that `other` has: the same chain, maybe longer."""
    verdict = verify(text)
    if verdict.fault:
        return verdict
    (head, mine), (other_head, theirs) = _parsed(text), _parsed(other)
    if head["id"] != other_head["id"]:
        raise _wrong(Text("the files are of two grants", "两个文件属于不同的授权"))
    for place, (one, two) in enumerate(zip(mine, theirs, strict=False), 1):
        if one["hash"] != two["hash"]:
            return _faulty(verdict.grant, mine, place, Text("it differs between the two files", "两个文件中该条不一致"))
    if len(theirs) > len(mine):
        return _faulty(verdict.grant, mine, len(mine) + 1, Text("the other file has more", "另一文件中的凭据更多"))
    return verdict


def _faulty(grant: str, receipts: Sequence[Mapping[str, Any]], seq: int, fault: Text) -> Verdict:
    return Verdict(grant, len(receipts), _reads(receipts), seq, fault)


def _reads(receipts: Iterable[Mapping[str, Any]]) -> int:
    return sum(receipt["kind"] == "read" for receipt in receipts)


def _parsed(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        head, *receipts = [json.loads(each) for each in text.splitlines()]
        UUID(head["id"]), int(head["receipts"]), str(head["head"])
        for receipt in receipts:
            canonical([receipt[name] for name in _FIELDS])
            bytes.fromhex(receipt["hash"])
    except (ValueError, KeyError, TypeError) as error:
        raise _wrong(Text("it is not a file of receipts", "不是凭据文件")) from error
    return head, receipts


def _wrong(what: Text) -> ConfigError:
    return ConfigError(
        what,
        Text(
            "download it from the grant's page, or GET .../receipts/chain",
            "请从授权页面下载，或调用 GET .../receipts/chain",
        ),
        key="FILE",
    )
