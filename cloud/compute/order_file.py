"""A `task.toml` as it is submitted to the platform: what is computed of which pictures or readings, and its limits.

It is the file that `cloud.compute.task` plans with; `name`, `needs` and `applicant`, which the platform knows, are not looked
at here, and `input`, `backfill` and `run` not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from cloud.compute.task import Limits, Weights, read, refuse_without_offset, wrong
from protocols.text import Text

_ENDINGS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_KINDS = ("good", "unknown")


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is learnt from, or looked at.

    Attributes:
        set: name of a set of pictures.
        pictures: a folder, as it stands beside the file; what the set lacks of it is sent.
        parts: whether each picture shows another part, or file names tell: cap17_1 and cap17_2 show cap17.
        model: name of the set that the model was fitted from; the same one unless told. version: the newest unless told.
    """

    set: str
    pictures: str = ""
    parts: Literal["each", "names"] = "each"
    model: str = ""
    version: int | None = None


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it runs; see `JobRequest`, whose defaults hold."""

    offer: str | None = None
    use_voucher: bool = True
    use_hours: bool = True
    offline_h: float = 0
    stop_idle_s: int | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task as it is submitted. `backfill` is that of `JobRequest`."""

    kind: Literal["fit", "evaluate", "inspect", "backfill"]
    limits: Limits
    weights: Weights = Weights()
    input: Input | None = None
    backfill: dict[str, Any] | None = None
    run: Run = Run()

    def body(self, set_id: str | None, version_id: str | None) -> dict[str, Any]:
        """Return what is asked of the platform, as JSON has it."""
        about = {"set_id": set_id, "version_id": version_id, "backfill": self.backfill}
        limits = {name: getattr(self.limits, name) for name in ("deadline", "budget", "regions", "privacy")}
        found: dict[str, Any] = msgspec.to_builtins(
            {"kind": self.kind, "carbon": self.weights.carbon}
            | {name: value for name, value in about.items() if value is not None}
            | limits
            | msgspec.to_builtins(self.run)
        )
        return found


class Picture(NamedTuple):
    """A file of a folder of pictures, and what it is said to show."""

    file: Path
    media_type: str
    query: dict[str, str]


def read_order(file: Path) -> Order:
    """Return the order of a file; raises ConfigError naming the file, the key and what is wrong with it."""
    order = read(file, Order, without=("name", "needs", "applicant"))
    refuse_without_offset(file, order.limits)
    if (order.kind == "backfill") != (order.backfill is not None) or (order.kind == "backfill") == bool(order.input):
        what = Text("a backfill takes [backfill], all else [input]", "回填任务须有 [backfill]，其他任务须有 [input]")
        raise wrong(file, "input", what, Text("see docs/compute.md", "请参阅 docs/compute.zh.md"))
    return order


def pictures_of(file: Path, order: Input) -> list[Picture]:
    """Return the pictures of the folder that an order names, in the order of their names.

    Below `good/` stand good parts, below a folder of any other name defects of this name, below `unknown/` or in the folder
    itself what nobody knows. Raises ConfigError where there is no such folder, or no JPEG or PNG in it.
    """
    folder = file.parent / order.pictures
    found = list(_pictures(folder, order.parts)) if folder.is_dir() else []
    if not found:
        what = Text(f"there is no JPEG or PNG below {folder}", f"{folder} 下没有 JPEG 或 PNG 图片")
        raise wrong(file, "input.pictures", what, Text("name a folder of pictures", "请指定图片目录"))
    return found


def _pictures(folder: Path, parts: str) -> Iterator[Picture]:
    for path in sorted(folder.rglob("*")):
        media_type = _ENDINGS.get(path.suffix.lower())
        if media_type is None or not path.is_file():
            continue
        below = path.relative_to(folder).parts[:-1]
        name = below[0] if below else "unknown"
        query = {"kind": name} if name in _KINDS else {"kind": "defect", "defect": name[:80]}
        if parts == "names":
            query["part"] = (path.stem.rpartition("_")[0] or path.stem)[:80]
        yield Picture(path, media_type, query)
