"""What the assessment domain takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.assessment.edition import Question, edition_2024
from protocols.text import Text

Answer = list[str] | float | str
"""Options that are ticked, a share in %, or one choice: an option, or "higher", "same" or "lower"."""


class Answers(BaseModel):
    """Answers to an edition. What is left out scores nothing.

    Attributes:
        machines: how many production machines the company has; shares of them are proposed from it.
        scenes: the level of each scene, 0 to 4.
    """

    model_config = ConfigDict(extra="forbid")

    machines: int | None = Field(None, ge=1, le=100_000)
    questions: dict[str, Answer] = {}
    scenes: dict[str, Annotated[int, Field(ge=0, le=4)]] = {}

    @model_validator(mode="after")
    def _fits(self) -> Answers:
        edition = edition_2024()
        for identity, answer in self.questions.items():
            question = edition.questions.get(identity)
            if question is None:
                raise ValueError(f"there is no question '{identity}' / 没有“{identity}”这一题")
            _check(question, answer)
        for identity in self.scenes:
            if identity not in edition.scenes:
                raise ValueError(f"there is no scene '{identity}' / 没有“{identity}”这一场景")
        return self


def _check(question: Question, answer: Answer) -> None:
    options = {option.id for option in question.options}
    right = {
        "multi": isinstance(answer, list) and set(answer) <= options,
        "single": isinstance(answer, str) and answer in options,
        "bands": isinstance(answer, int | float) and 0 <= answer <= 100,
        "trend": answer in ("higher", "same", "lower"),
    }[question.kind]
    if not right:
        raise ValueError(f"'{question.id}' does not take this answer / “{question.name_zh}”的答案无效")


class Evidence(BaseModel):
    """What the platform knows towards an answer, and the answer it proposes. `answer` of a scene is its level."""

    id: str
    scene: bool
    answer: Answer | int
    words_en: str
    words_zh: str

    @property
    def words(self) -> Text:
        """What is known."""
        return Text(self.words_en, self.words_zh)


class Lacking(BaseModel):
    """What the next level lacks."""

    level: int
    points: float
    scenes: int
    binding: int


class NextStep(BaseModel):
    """One thing that brings the next level nearer.

    Attributes:
        points: what it adds; 0 of a scene, which adds one scene at the level.
        effort: 1 little, 3 and more much.
        page: of this product that helps.
    """

    id: str
    scene: bool
    points: float
    effort: int
    page: str


class Assessment(BaseModel):
    """A stored assessment with what it comes to."""

    id: UUID
    edition: str
    answers: Answers
    evidence: list[Evidence]
    points: float
    by_question: dict[str, float]
    level: int
    lacking: Lacking | None
    steps: list[NextStep]
    assessed_by: str
    assessed_at: datetime
