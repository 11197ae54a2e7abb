"""Which pictures show the same part: what a model learns from and what it is judged by must never share one.

A wrong grouping makes limits that do not hold, so the first rule that the folder supports is taken and said:

    listed     `parts.csv` in the folder (columns picture, part)
    pattern    a regular expression given by the user; its first group, or the whole match, names the part
    folders    one subfolder a part
    names      the name up to the last underscore ("cap17_2.png" shows "cap17"), where that makes believable groups
    likeness   nothing tells: pictures that are all but copies of each other count as one part
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from models.errors import InputError
from models.vision.pictures import Grey

Rule = Literal["listed", "pattern", "folders", "names", "likeness"]

ALIKE = 0.9
"""Pictures are taken for one part above this correlation of their thumbnails, less the mean of all thumbnails. On magnetic tiles
half of all pairs of one part are above it, and one in a thousand of different parts."""

THUMBNAIL = 64


class Parts(NamedTuple):
    """`names[i]` is the part that picture i shows, told by `rule`."""

    rule: Rule
    names: list[str]

    @property
    def told(self) -> bool:
        """Whether somebody said so, rather than the pictures being alike."""
        return self.rule != "likeness"


def told_parts(folder: Path, paths: Sequence[Path], pattern: str = "") -> Parts | None:
    """Return the parts that the pictures `paths` in `folder` show, None where nothing tells.

    Raises InputError("parts") for a list or a pattern that leaves out one of them.
    """
    listed = _listed(folder / "parts.csv")
    if listed is not None:
        return Parts("listed", [_of_list(path.relative_to(folder).as_posix(), listed) for path in paths])
    if pattern:
        return Parts("pattern", _by_pattern(paths, pattern))
    if all(path.parent != folder for path in paths):
        return Parts("folders", [path.relative_to(folder).parts[0] for path in paths])
    names = [path.relative_to(folder).with_suffix("").as_posix().rpartition("_")[0] for path in paths]
    return Parts("names", names) if all(names) and _believable(names) else None


def alike_parts(greys: Sequence[Grey]) -> Parts:
    """Return the parts of pictures (side x side) of which nothing else tells: those that are nearly the same are one."""
    cell = max(greys[0].shape[0] // THUMBNAIL, 1)
    side = greys[0].shape[0] // cell
    small = np.stack(
        [grey[: side * cell, : side * cell].reshape(side, cell, side, cell).mean((1, 3)) for grey in greys]
    )
    small -= small.mean(axis=(1, 2), keepdims=True)
    small /= small.std(axis=(1, 2), keepdims=True) + 2
    rest = (small - small.mean(axis=0)).reshape(len(greys), -1)
    rest /= np.linalg.norm(rest, axis=1, keepdims=True) + 1e-9
    part = list(range(len(greys)))
    for one, other in np.argwhere(np.triu(rest @ rest.T > ALIKE, 1)):
        ours, theirs = part[one], part[other]
        if ours != theirs:
            part = [ours if each == theirs else each for each in part]
    return Parts("likeness", [str(each) for each in part])


def _believable(names: Sequence[str]) -> bool:
    """Whether names group pictures as parts do: several to some, and none has half of all ("IMG_0001" has)."""
    sizes = Counter(names)
    return 1 < max(sizes.values()) <= len(names) / 2


def _by_pattern(paths: Sequence[Path], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            "parts",
            f"--parts '{pattern}': no regular expression: {error}",
            f"--parts “{pattern}”：正则表达式无效：{error}",
        ) from error
    names = []
    for path in paths:
        match = compiled.search(path.name)
        if match is None:
            raise InputError(
                "parts",
                f"--parts '{pattern}' finds no part in {path.name}",
                f"--parts “{pattern}”在 {path.name} 中找不到工件",
            )
        names.append(match[1] if compiled.groups else match[0])
    return names


def _listed(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    try:
        rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        if not {"picture", "part"} <= set(rows.fieldnames or ()):
            raise InputError(
                "parts", f"{path}: needs the columns picture and part", f"{path}：须有 picture 与 part 两列"
            )
        return {row["picture"]: row["part"] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "parts", f"{path}: cannot be read; save it as CSV in UTF-8", f"{path}：无法读取；请另存为 UTF-8 编码的 CSV"
        ) from error


def _of_list(name: str, listed: dict[str, str]) -> str:
    if name not in listed:
        raise InputError("parts", f"parts.csv does not name {name}", f"parts.csv 中没有 {name}")
    return listed[name]
