"""A `task.toml` as it is submitted to the platform: what is computed of which pictures or readings, and its limits.

It is the file that `cloud.compute.task` plans with; `name`, `needs` and `applicant`, which the platform knows, are not looked
at here, and `input`, `backfill`, `python` and `run` not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from cloud.compute.task import Limits, Weights, read, refuse_without_offset, wrong
from protocols.text import Text

_ENDINGS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_KINDS = ("good", "unknown")
_ARCHIVE = ""


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


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A program of one's own; see `PythonRun`, whose defaults hold.

    Attributes:
        archive: a signed archive, as it stands beside the file; `sunmao-model archive` makes it.
        inputs: a folder beside the file; its files are the inputs.
    """

    archive: str
    inputs: str = ""
    entry: str = ""
    parameters: dict[str, Any] = {}
    work_s: float = 0
    time_s: float = 0
    memory_gb: float = 0
    disk_mb: int = 0
    network: bool = False


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it runs; see `JobRequest`, whose defaults hold."""

    offer: str | None = None
    use_voucher: bool = True
    use_hours: bool = True
    offline_h: float = 0
    stop_idle_s: int | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task as it is submitted. `backfill` is that of `JobRequest`."""

    kind: Literal["fit", "evaluate", "inspect", "backfill", "python"]
    limits: Limits
    weights: Weights = Weights()
    input: Input | None = None
    backfill: dict[str, Any] | None = None
    python: Program | None = None
    run: Run = Run()

    def body(
        self, set_id: str | None = None, version_id: str | None = None, files: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return what is asked of the platform, as JSON has it; `files`: digests of a program's, by their names."""
        about: dict[str, Any] = {"set_id": set_id, "version_id": version_id, "backfill": self.backfill}
        if self.python and files:
            inputs = {name: digest for name, digest in files.items() if name != _ARCHIVE}
            about["python"] = msgspec.to_builtins(self.python) | {"archive": files[_ARCHIVE], "inputs": inputs}
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
    given = [name for name in ("input", "backfill", "python") if getattr(order, name) is not None]
    if given != [order.kind if order.kind in ("backfill", "python") else "input"]:
        what = Text(
            "a backfill takes [backfill], python [python], all else [input]",
            "回填任务须有 [backfill]，python 任务须有 [python]，其他任务须有 [input]",
        )
        raise wrong(file, "input", what, Text("see docs/compute.md", "请参阅 docs/compute.zh.md"))
    return order


def program_of(file: Path, order: Program) -> dict[str, bytes]:
    """Return a program's archive, as "", and its inputs by their names; raises ConfigError for what cannot be read."""
    folder = file.parent / order.inputs
    inputs = sorted(path for path in folder.iterdir() if path.is_file()) if order.inputs and folder.is_dir() else []
    if order.inputs and not inputs:
        what = Text(f"there is no file in {folder}", f"{folder} 中没有文件")
        raise wrong(file, "python.inputs", what, Text("name a folder of inputs", "请指定输入目录"))
    try:
        return {_ARCHIVE: (file.parent / order.archive).read_bytes()} | {
            path.name: path.read_bytes() for path in inputs
        }
    except OSError as error:
        what = Text(f"{error.filename} cannot be read", f"无法读取 {error.filename}")
        mend = Text("`sunmao-model archive` makes an archive", "用 `sunmao-model archive` 制作归档")
        raise wrong(file, "python", what, mend) from error


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
