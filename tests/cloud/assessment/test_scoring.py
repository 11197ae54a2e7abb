"""The edition of 2024, golden: what it sums to, every boundary, and one worked company at each level."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cloud.assessment.edition import edition_2024
from cloud.assessment.schemas import Answers
from cloud.assessment.scoring import points_of, road_map, score

EDITION = edition_2024()
BINDING = [scene.id for scene in EDITION.scene if scene.binding]
OTHER = [scene.id for scene in EDITION.scene if not scene.binding]
BEST: dict[str, Any] = {
    "multi": lambda one: [option.id for option in one.options],
    "single": lambda one: max(one.options, key=lambda option: option.points).id,
    "bands": lambda _: 100,
    "trend": lambda one: one.better,
}


def best(*ids: str) -> dict[str, Any]:
    return {one.id: BEST[one.kind](one) for one in EDITION.question if not ids or one.id in ids}


def scenes(binding: int, other: int, level: int) -> dict[str, int]:
    return dict.fromkeys([*BINDING[:binding], *OTHER[:other]], level)


def test_the_edition_is_whole() -> None:
    assert len(EDITION.question) == 15
    assert sum(one.max for one in EDITION.question) == 100
    by_dimension = {
        name: sum(one.max for one in EDITION.question if one.dimension == name)
        for name in ("foundation", "management", "results")
    }
    assert by_dimension == {"foundation": 50, "management": 30, "results": 20}
    assert (len(EDITION.scene), len(BINDING), len(OTHER)) == (16, 10, 6)
    for question in EDITION.question:
        assert points_of(question, BEST[question.kind](question)) == pytest.approx(question.max), question.id
        assert points_of(question, None) == 0
    for scene in EDITION.scene:
        texts = [*scene.levels_en, *scene.levels_zh]
        assert len(set(texts)) == 8, scene.id


# (share in %, points of "connected", points of "funds")
@pytest.mark.parametrize(
    ("share", "connected", "funds"),
    [
        (0, 0, 0), (10, 0, 0), (10.01, 1.5, 1.875), (20, 1.5, 1.875), (20.01, 3, 3.75), (40, 3, 3.75),
        (40.01, 4.5, 5.625), (60, 4.5, 5.625), (60.01, 6, 7.5), (100, 6, 7.5),
    ],
)  # fmt: skip
def test_bands_end_where_they_say(share: float, connected: float, funds: float) -> None:
    assert points_of(EDITION.questions["connected"], share) == connected
    assert points_of(EDITION.questions["digitised"], share) == connected
    assert points_of(EDITION.questions["funds"], share) == funds


@pytest.mark.parametrize(
    ("question", "answer", "points"),
    [
        ("green", "lower", 7), ("green", "same", 3.5), ("green", "higher", 0),
        ("product_quality", "higher", 7), ("product_quality", "same", 3.5), ("product_quality", "lower", 0),
        ("productivity", "higher", 3), ("productivity", "same", 1.5), ("cost", "lower", 3), ("cost", "higher", 0),
        ("collection", ["people"], 0.9), ("collection", ["energy", "quality"], 1.4), ("systems", "most", 7.5),
        ("planning", "begun", 4.5), ("mechanism", ["leader", "team"], 3.75), ("cyber", ["rules"], 1.25),
    ],
)  # fmt: skip
def test_single_answers(question: str, answer: Any, points: float) -> None:
    assert points_of(EDITION.questions[question], answer) == pytest.approx(points)


# What has exactly so many points.
POINTS = {
    20: best("network", "connected", "digitised"),
    40: best("network", "connected", "digitised", "collection", "systems"),
    60: best("network", "connected", "digitised", "collection", "systems", "cyber", "mechanism", "talent"),
    80: best(
        "network",
        "connected",
        "digitised",
        "collection",
        "systems",
        "cyber",
        "mechanism",
        "talent",
        "planning",
        "funds",
        "data_security",
    ),
}


@pytest.mark.parametrize(
    ("level", "points", "binding", "other"), [(1, 20, 3, 3), (2, 40, 3, 3), (3, 60, 5, 3), (4, 80, 6, 4)]
)
def test_a_company_at_each_level_and_just_below_it(level: int, points: int, binding: int, other: int) -> None:
    questions = dict(POINTS[points])
    base = score(EDITION, Answers(questions=questions)).base
    assert base >= points
    whole = Answers(questions=questions, scenes=scenes(binding, other, level))
    assert score(EDITION, whole).level == level
    one_less = score(EDITION, Answers(questions=questions, scenes=scenes(binding, other - 1, level)))
    assert one_less.level < level
    assert one_less.missing is not None
    swapped = score(EDITION, Answers(questions=questions, scenes=scenes(binding - 1, min(other + 1, 6), level)))
    assert swapped.level < level, "as many scenes, one binding too few"
    lower = score(EDITION, Answers(questions=questions, scenes=scenes(binding, other, level - 1)))
    assert lower.level < level


@pytest.mark.parametrize(
    ("base", "level"), [(19.99, 0), (20, 1), (39.99, 1), (40, 2), (59.99, 2), (60, 3), (79.99, 3), (80, 4)]
)
def test_points_alone_hold_a_company_back(base: float, level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "cloud.assessment.scoring.points_of", lambda question, _: base if question.id == "network" else 0.0
    )
    assert score(EDITION, Answers(scenes=scenes(10, 6, 4))).level == level


def test_the_road_map_leads_on_by_the_least_effort() -> None:
    answers = Answers(questions=POINTS[40], scenes=scenes(3, 3, 2))
    found = score(EDITION, answers)
    assert (found.level, found.missing) == (2, (3, 20.0, 8, 5))
    steps = road_map(EDITION, answers, found)
    assert {step.id for step in steps if step.scene} == set(BINDING + OTHER)
    assert [step.effort for step in steps] == sorted(step.effort for step in steps)
    equipment = next(step for step in steps if step.id == "equipment")
    assert (equipment.page, equipment.points) == ("/oee", 0)
    assert "connected" not in {step.id for step in steps}, "it has all it can"
    top = Answers(questions=best(), scenes=scenes(10, 6, 4))
    assert score(EDITION, top)[1:] == (100, 4, None)
    assert road_map(EDITION, top, score(EDITION, top)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"questions": {"unknown": 1}}, {"scenes": {"unknown": 1}}, {"scenes": {"energy": 5}},
        {"questions": {"network": "control"}}, {"questions": {"network": ["nothing"]}}, {"questions": {"connected": 101}},
        {"questions": {"systems": ["one"]}}, {"questions": {"green": "better"}},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Answers.model_validate(wrong)
