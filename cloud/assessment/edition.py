"""An edition of the assessment as data: what is asked, how it scores, and which level follows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from protocols.text import Text

Dimension = Literal["foundation", "management", "results"]
Trend = Literal["higher", "same", "lower"]


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to tick or to choose, worth `points`."""

    id: str
    points: float
    en: str
    zh: str

    @property
    def text(self) -> Text:
        """What it says."""
        return Text(self.en, self.zh)


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name_en: str
    name_zh: str

    @property
    def name(self) -> Text:
        """What it is called."""
        return Text(self.name_en, self.name_zh)


class Question(_Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scored question.

    Attributes:
        kind: several of `options`, one of them, a share in % that falls into one of `bands`, or a trend against the year before.
        bands: (highest share of the band, points), the lowest first.
        better: which trend has all the points; none has half of them, the other one none.
        effort: how much it takes to improve, 1 to 3.
        page: of this product that helps, "" for none.
    """

    dimension: Dimension
    kind: Literal["multi", "single", "bands", "trend"]
    max: float
    ask_en: str
    ask_zh: str
    effort: int
    page: str
    options: tuple[Option, ...] = ()
    bands: tuple[tuple[float, float], ...] = ()
    better: Trend = "higher"

    @property
    def ask(self) -> Text:
        """The question."""
        return Text(self.ask_en, self.ask_zh)


class Scene(_Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scene of the business that is at one of four levels; `binding` ones count twice over in the thresholds."""

    area_en: str
    area_zh: str
    binding: bool
    effort: int
    page: str
    levels_en: tuple[str, str, str, str]
    levels_zh: tuple[str, str, str, str]

    def level(self, level: int) -> Text:
        """Return what `level`, 1 to 4, looks like."""
        return Text(self.levels_en[level - 1], self.levels_zh[level - 1])


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an overall level takes: so many points, and scenes at that level or above, so many of them binding."""

    level: int
    points: float
    scenes: int
    binding: int
    name_en: str
    name_zh: str

    @property
    def name(self) -> Text:
        """What the level is called."""
        return Text(self.name_en, self.name_zh)


class Edition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it."""

    edition: str
    source: str
    thresholds_note_en: str
    thresholds_note_zh: str
    levels: tuple[Threshold, ...]
    question: tuple[Question, ...]
    scene: tuple[Scene, ...]

    @property
    def note(self) -> Text:
        """What to know of the thresholds."""
        return Text(self.thresholds_note_en, self.thresholds_note_zh)

    @property
    def questions(self) -> Mapping[str, Question]:
        """The questions by id."""
        return {one.id: one for one in self.question}

    @property
    def scenes(self) -> Mapping[str, Scene]:
        """The scenes by id."""
        return {one.id: one for one in self.scene}


@lru_cache(maxsize=1)
def edition_2024() -> Edition:
    """Return the edition of 2024; read once per process."""
    content = files(__package__).joinpath("edition_2024.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(content), Edition)
