"""The card of a model: what it is called, what goes in and out, how it was made and what is known about its quality.

`card.toml` is written for people and read by programs; its bytes are covered by the bundle's signature.
"""

from __future__ import annotations

import json
import tomllib
from typing import Annotated, Any, Literal

import msgspec

from models.errors import BundleRefused

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,31}$")]
Shape = Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=32_768)]], msgspec.Meta(min_length=1, max_length=4)]
Kind = Literal["uint8", "float32", "int64"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Region = Annotated[
    list[Annotated[list[tuple[Share, Share]], msgspec.Meta(min_length=3, max_length=64)]], msgspec.Meta(max_length=20)
]
"""Polygons of x and y in shares of a picture's width and height, from its upper left."""


class TensorCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name, element type and static shape of an input or output."""

    name: str
    kind: Kind
    shape: Shape


class MemberCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several ways of looking that a model joins.

    Attributes:
        name: which.
        found: probability that a picture with a planted defect scores above a good one, by a member that saw neither's part.
        kept: whether it counts; one that finds hardly more than chance does not.
    """

    name: str
    found: float
    kept: bool


class FitCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model was learnt from.

    Attributes:
        family: the way it was learnt.
        samples: pictures, or rows of series.
        groups: parts that the pictures show, or blocks of rows: what is never both learnt from and judged by.
        data: SHA-256 over all pictures in order of their names, or over the series.
        parts: which rule told which pictures show one part; "likeness" where nobody said so.
        looked_at: share of the picture that is looked at, 0..1.
        parity: largest difference between the definition and the graph over `parity_samples`.
    """

    family: str
    samples: int
    groups: int
    data: str
    recipe: dict[str, str | int | float]
    parity: float
    parity_samples: int
    parts: str = ""
    members: list[MemberCard] = []
    looked_at: float = 1.0


class LimitCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One limit and what stands behind it.

    Attributes:
        value: the score above which the verdict is given, in standard deviations of good parts.
        wanted: share of good parts meant to exceed it.
        measured: share of held-out good samples, disjoint by group, that exceed it.
        low, high: 95 % interval of that share, counting each group once.
        provisional: true when there are too few groups to hold `wanted`; collect more good parts and fit again.
    """

    value: float
    wanted: float
    measured: float
    low: float
    high: float
    provisional: bool


class KindCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of defect that the model names, and what it said of parts of it that it had not learnt from.

    Attributes:
        name: as people call it.
        parts: how many parts of it were confirmed.
        said: how many of its pictures were given each kind's name, in the order of the kinds, and last how many none.
        found: share that was given its own name; `low`, `high`: 95 % interval, counting each part once.
    """

    name: str
    parts: int
    said: list[int]
    found: float
    low: float
    high: float


class TilingCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a large picture is cut in tiles, each of which the model sees; see `models.vision.tiles`.

    Attributes:
        tile: side of a tile in pixels of the pictures that the model was learnt from.
        overlap: pixels that neighbouring tiles share at least, as the model sees them.
        width, height: size that a picture is brought to before it is cut, pixels.
        latency_ms: what a whole picture took when the model was fitted, one thread; the one thing that two fits do not have alike.
    """

    tile: int
    overlap: int
    width: Annotated[int, msgspec.Meta(ge=1, le=16384)]
    height: Annotated[int, msgspec.Meta(ge=1, le=16384)]
    latency_ms: float = 0.0


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything `card.toml` says."""

    name: Name
    version: Version
    task: Literal["inspect", "health", "seasonal"]
    opset: int
    input: list[TensorCard]
    output: list[TensorCard]
    fit: FitCard
    review: LimitCard
    reject: LimitCard
    sensors: list[str] = []
    """Of a health model: what its inputs are, in their order."""
    kinds: list[KindCard] = []
    """Of an inspection model: the defects it names, in the order of its output `kinds`."""
    tiling: TilingCard | None = None
    """Of an inspection model that sees large pictures in tiles."""
    region: Region = []
    """Of an inspection model: where it looks, if somebody has drawn that."""

    @property
    def sees(self) -> tuple[int, int]:
        """Width and height that an inspection model wants a picture to be brought to, pixels."""
        side = self.input[0].shape[0]
        return (self.tiling.width, self.tiling.height) if self.tiling else (side, side)


def parse_card(data: bytes) -> Card:
    """Return the card in `data`; raises BundleRefused("card") naming the key that is wrong."""
    try:
        return msgspec.toml.decode(data, type=Card)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleRefused("card", f"card.toml is not valid: {error}", f"card.toml 无效：{error}") from error


def format_card(card: Card) -> bytes:
    """Return the card as TOML, tables after plain keys, in the order of the fields."""
    lines: list[str] = []
    _table(msgspec.to_builtins(card), "", lines)
    return ("\n".join(lines) + "\n").encode()


def _table(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    nested = {key: value for key, value in table.items() if isinstance(value, dict) or _is_array_of_tables(value)}
    # A JSON string, number, boolean or list of them is valid TOML as it stands.
    lines.extend(
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items() if key not in nested
    )
    for key, value in nested.items():
        for entry in value if isinstance(value, list) else [value]:
            head = f"[[{prefix}{key}]]" if isinstance(value, list) else f"[{prefix}{key}]"
            lines.extend(["", head])
            _table(entry, f"{prefix}{key}.", lines)


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
