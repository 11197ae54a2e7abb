"""Scores, level and road map from answers. Pure.

The base score is the sum of the scored questions, at most 100. The overall level is the highest whose threshold is met: points,
and scenes at that level or above, so many of them binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cloud.assessment.edition import Edition, Question, Threshold
from cloud.assessment.schemas import Answer, Answers

_DIGITS = 4


class Score(NamedTuple):
    """What answers come to.

    Attributes:
        points: by question.
        base: their sum.
        level: 0 where not even the first is met.
        missing: what the next level lacks; None at the highest.
    """

    points: Mapping[str, float]
    base: float
    level: int
    missing: Missing | None


class Missing(NamedTuple):
    """What a level lacks: points, scenes at it or above, and binding ones among them."""

    level: int
    points: float
    scenes: int
    binding: int


class Step(NamedTuple):
    """One thing that brings the next level nearer; `points` or one more scene, at an effort of 1 to 3."""

    id: str
    scene: bool
    points: float
    effort: int
    page: str


def points_of(question: Question, answer: Answer | None) -> float:
    """Return what an answer scores; none scores nothing."""
    if answer is None:
        return 0.0
    match question.kind:
        case "multi":
            chosen = set(answer) if isinstance(answer, list) else set()
            return round(sum(option.points for option in question.options if option.id in chosen), _DIGITS)
        case "single":
            return next((option.points for option in question.options if option.id == answer), 0.0)
        case "bands":
            share = float(answer) if isinstance(answer, int | float) else 0.0
            return next(points for highest, points in question.bands if share <= highest)
        case "trend":
            return question.max if answer == question.better else question.max / 2 if answer == "same" else 0.0


def score(edition: Edition, answers: Answers) -> Score:
    """Return points, base score and level."""
    points = {one.id: points_of(one, answers.questions.get(one.id)) for one in edition.question}
    base = round(sum(points.values()), _DIGITS)
    met = [threshold.level for threshold in edition.levels if _lacking(edition, answers, base, threshold) is None]
    level = max(met, default=0)
    following = next((threshold for threshold in edition.levels if threshold.level == level + 1), None)
    return Score(points, base, level, _lacking(edition, answers, base, following) if following else None)


def _lacking(edition: Edition, answers: Answers, base: float, threshold: Threshold) -> Missing | None:
    """Return what `threshold` lacks; None if it is met."""
    at = [scene for scene in edition.scene if answers.scenes.get(scene.id, 0) >= threshold.level]
    lacks = Missing(
        threshold.level,
        max(0.0, round(threshold.points - base, _DIGITS)),
        max(0, threshold.scenes - len(at)),
        max(0, threshold.binding - sum(scene.binding for scene in at)),
    )
    return lacks if lacks.points or lacks.scenes or lacks.binding else None


def road_map(edition: Edition, answers: Answers, found: Score) -> list[Step]:
    """Return what brings the next level nearer, the least effort first; nothing where it lacks nothing."""
    if found.missing is None:
        return []
    steps: list[Step] = []
    if found.missing.points:
        steps += [
            Step(one.id, False, round(gain, _DIGITS), one.effort, one.page)
            for one in edition.question
            if (gain := _next_gain(one, answers.questions.get(one.id), found.points[one.id])) > 0
        ]
    if found.missing.scenes or found.missing.binding:
        only_binding = not found.missing.scenes
        steps += [
            Step(one.id, True, 0.0, one.effort + found.missing.level - 1 - answers.scenes.get(one.id, 0), one.page)
            for one in edition.scene
            if answers.scenes.get(one.id, 0) < found.missing.level and (one.binding or not only_binding)
        ]
    binding = {one.id for one in edition.scene if one.binding}
    return sorted(steps, key=lambda step: (step.effort, step.scene and step.id not in binding, -step.points, step.id))


def _next_gain(question: Question, answer: Answer | None, points: float) -> float:
    """Return what the next step of a question would add: one more tick, the next choice, band or trend."""
    match question.kind:
        case "multi":
            chosen = set(answer) if isinstance(answer, list) else set()
            return max((option.points for option in question.options if option.id not in chosen), default=0.0)
        case "single":
            return min((one.points - points for one in question.options if one.points > points), default=0.0)
        case "bands":
            return min((each - points for _, each in question.bands if each > points), default=0.0)
        case "trend":
            return question.max / 2 if points < question.max else 0.0
