"""Where in a folder that somebody gives are the pictures of good parts, and where those of defects: told by the folders' names.

good pictures alone, or one subfolder a part        they are good
good/ beside others, in English, German or Chinese  the others are defects, called as their folders
train/ beside others                                what is in it, in one of these ways; nothing else is learnt from
NG/ or another word for bad, and no word for good   refused: nothing is learnt from defects as if they were good
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from models.errors import InputError

LONGEST_NAME = 80
"""Of a defect, characters; people's own words have the same bound."""

_GOOD = frozenset(
    re.findall(
        r"\w+",
        "good goodparts ok okay okparts okteile io iot inordnung gut gutteil gutteile normal pass passed fine free nodefect nodefects"
        " defectfree nondefective faultfree 良品 良 合格 合格品 正常 正常品 正品 好 好品 好件 无缺陷",
    )
)
_BAD = frozenset(
    re.findall(
        r"\w+",
        "bad badparts ng nok nio niot notok notgood nogood schlecht schlechtteil schlechtteile ausschuss fehler defekt defekte"
        " defect defects defective anomaly anomalies anomalous abnormal fail failed faulty reject rejected rejects scrap 不良 不良品"
        " 不合格 不合格品 缺陷 缺陷品 次品 废品 异常 坏 坏件",
    )
)
_MASKS = frozenset({"groundtruth", "gt", "mask", "masks"})
_TRAIN = frozenset({"train", "training", "训练", "训练集"})
_REST = frozenset({"test", "testing", "val", "valid", "validation", "测试", "测试集", "验证", "验证集"})


class Layout(NamedTuple):
    """Where pictures are: of good parts, of defects by their names, and folders beside them that are none of these."""

    good: Path
    kinds: dict[str, Path]
    left_out: list[Path]


def layout_of(folder: Path) -> Layout:
    """Return how `folder`, which need not exist, is laid out, for learning.

    Raises InputError where two folders are called good, where one is called bad and none good, or for a name too long.
    """
    beside = _folders(folder)
    if train := next((one for one in beside if _plain(one.name) in _TRAIN), None):
        inner = layout_of(train)
        return inner._replace(left_out=[*inner.left_out, *(one for one in beside if one != train)])
    good = [one for one in beside if _says(one.name, _GOOD) and not _says(one.name, _BAD)]
    if len(good) > 1:
        names = ", ".join(one.name for one in good)
        raise InputError(
            "kinds",
            f"{folder}: {names} are all called good; put good pictures into one folder, or give one of these",
            f"{folder}：{names} 都像是良品文件夹；请合并为一个，或直接指定其中之一",
        )
    others = [one for one in beside if one not in good]
    left_out = [one for one in others if _plain(one.name) in _MASKS | _REST]
    if not good:
        bad = next((one.name for one in others if _says(one.name, _BAD) or one in left_out), None)
        if bad is not None:
            raise InputError(
                "kinds",
                f"{folder}: '{bad}' does not sound like good parts; put the good pictures into a folder good beside it",
                f"{folder}：“{bad}”不像良品文件夹；请将良品图片放入与其并列的 good(或 良品)文件夹",
            )
        return Layout(folder, {}, [])
    kinds = {one.name: one for one in others if one not in left_out}
    if long := next((name for name in kinds if len(name) > LONGEST_NAME), None):
        raise InputError(
            "kinds",
            f"{folder}: '{long}' is too long for the name of a defect: {LONGEST_NAME} characters at most",
            f"{folder}：缺陷名称“{long}”过长，最多 {LONGEST_NAME} 个字符",
        )
    return Layout(good[0], kinds, left_out)


def judged_layout(folder: Path) -> Layout:
    """Return the same for judging: of test/ in `folder`, if there is one; raises InputError without good parts and defects."""
    test = next((one for one in _folders(folder) if _plain(one.name) in _REST), folder)
    found = layout_of(test)
    if found.kinds:
        return found
    raise InputError(
        "usage",
        f"{folder}: give the defects with --bad, or a folder with good pictures in good and defects in folders beside it",
        f"{folder}：请用 --bad 指定缺陷图片，或给出含 good(良品)及各缺陷子文件夹的文件夹",
    )


def is_mask(folder: str) -> bool:
    """Return whether a folder called so holds pictures that show where a defect is, and no part."""
    return _plain(folder) in _MASKS


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _says(name: str, words: frozenset[str]) -> bool:
    """Whether a folder's name, or the last word of it, as in MT_Free, is one of these."""
    return _plain(name) in words or re.split(r"[\W_]+", name.casefold().rstrip(" ._-"))[-1] in words
