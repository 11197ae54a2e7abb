"""Remembers what technicians confirmed, so that the next device of the family is already known.

A small JSON file. A name is kept without its numbers ("Zone 3 temperature" speaks for zone 4 too) under the family of
the device: its vendor and model, else its kind, else the set of its points. Where the numbers tell meanings apart - the
phases "Voltage L1" and "Voltage L2", "Input 1" and "Input 2" - the name is kept with them and speaks for itself alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize

import msgspec

from edge_agent.atomic_file import write_file
from edge_agent.onboard.point_list import Point, PointList
from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError
from protocols.text import Text


class Memory(msgspec.Struct):
    """`families`: family -> folded name of a point -> confirmed entry, or None where a person said that none fits."""

    families: dict[str, dict[str, str | None]] = {}

    def recall(self, device: PointList) -> list[tuple[bool, str | None]]:
        """Return for each point of `device` (known, the entry confirmed for its name on a device of this family)."""
        names = self.families.get(_family(device), {}) if self.families else {}
        if not names:
            return [(False, None)] * len(device.points)
        return [self._recalled(names, point) for point in device.points]

    def _recalled(self, names: Mapping[str, str | None], point: Point) -> tuple[bool, str | None]:
        exact = _exact(point)
        name = exact if exact in names else _folded(exact)
        return name in names, names.get(name)

    def confirm(self, device: PointList, answers: Mapping[str, str | None]) -> int:
        """Take over `answers`, address -> entry or None; return how many points they spoke for.

        Raises ConfigError for an address that `device` has not and for an entry that the dictionary has not.
        """
        points = {point.address: point for point in device.points}
        dictionary = load_dictionary()
        for address, code in answers.items():
            if address not in points:
                raise ConfigError(
                    Text("is no address of the point list", "点表中没有此地址"),
                    Text("confirm with the point list it was proposed for", "请使用提出建议时的同一份点表"),
                    key=address,
                )
            if code is not None:
                dictionary.entry(code, key=address)
        names = self.families.setdefault(_family(device), {})
        meanings: dict[str, set[str | None]] = {}
        for address, code in answers.items():
            meanings.setdefault(_folded(_exact(points[address])), set()).add(code)
        for address, code in answers.items():
            exact = _exact(points[address])
            folded = _folded(exact)
            told_apart = len(meanings[folded]) > 1 or any(letter.isdigit() for letter in code or "")
            if exact != folded and (told_apart or names.get(folded, code) != code):
                names[exact] = code
            else:
                names[folded] = code
        return len(answers)


def load_memory(path: Path) -> Memory:
    """Return what is remembered in `path`; an absent file remembers nothing. Raises ConfigError for a spoilt one."""
    if not path.exists():
        return Memory()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except msgspec.DecodeError as error:
        raise ConfigError(
            Text(f"is no file of confirmations: {error}", f"不是确认记录文件：{error}"),
            Text("restore it or name another file", "请恢复该文件或指定其他文件"),
            key=str(path),
        ) from error


def save_memory(memory: Memory, path: Path) -> None:
    """Write `memory` so that a power cut leaves either the old file or the new one."""
    write_file(path, msgspec.json.format(msgspec.json.encode(memory)) + b"\n")


def _family(device: PointList) -> str:
    told = " ".join(filter(None, (device.vendor, device.model))) or device.kind
    if not told.strip():
        # Nobody said what it is: only a device of the very same points is of its family.
        names = "\n".join(sorted({_folded(_exact(point)) for point in device.points}))
        return f"points {sha256(names.encode()).hexdigest()[:16]}"
    return normalize("NFKC", told).casefold().strip()


def _exact(point: Point) -> str:
    text = normalize("NFKC", " | ".join((point.name, point.description, point.unit))).casefold()
    return " ".join(text.split())


def _folded(exact: str) -> str:
    return re.sub(r"\d+", "#", exact)
