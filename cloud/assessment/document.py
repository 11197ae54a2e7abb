"""An assessment as a document that is shown and printed like every report."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from cloud.assessment.edition import Dimension, Edition
from cloud.assessment.schemas import Assessment
from cloud.reports.schemas import Bar, Bars, Cell, Column, Document, Figure, Section, Table
from protocols.text import Text

DIMENSIONS: dict[Dimension, Text] = {
    "foundation": Text("Foundation", "数字化基础"),
    "management": Text("Management", "数字化管理"),
    "results": Text("Results", "数字化成效"),
}
_TITLE = Text("Maturity of digitalisation", "数字化水平自评报告")
_RESULT, _SCORES = Text("Result", "评测结果"), Text("Scores", "各项得分")
_SCENES, _NEXT = Text("Scenes of the business", "经营场景"), Text("What raises the level next", "提升路径")
_LEVEL, _POINTS = Text("Overall level", "整体等级"), Text("Points", "基础得分")
_AT = Text("Scenes at level {level} or above", "达到{level}级及以上的场景")
_ITEM, _OF = Text("Question", "指标"), Text("of", "满分")
_SCENE, _NOW, _LOOKS = Text("Scene", "场景"), Text("Level", "等级"), Text("What that is", "现状")
_BINDING = Text("{name} (binding)", "{name}(约束性)")
_STEP, _GAIN, _EFFORT = Text("Step", "措施"), Text("Points", "加分"), Text("Effort, 1 to 3", "难度(1～3)")
_TO = Text("{name} to level {level}", "{name}提升至{level}级")
_BASIS = Text("What the platform knows", "平台数据佐证")
_NOT_YET = Text("below the first level", "未达一级")
_HIGHEST = Text("This is the highest level.", "已达最高等级。")
_LACKS = Text(
    "Level {level} lacks {points} points, {scenes} scenes, {binding} binding ones.",
    "距{level}级还差 {points} 分、{scenes} 个场景，其中约束性 {binding} 个。",
)


def document_of(edition: Edition, made: Assessment, company: str, zone: ZoneInfo) -> Document:
    """Return the report of an assessment."""
    return Document(
        title=_TITLE,
        company=company,
        place=edition.source,
        period=Text(f"edition {edition.edition}", f"{edition.edition} 年版"),
        made=made.assessed_at,
        zone=zone,
        sections=[
            _result(edition, made),
            _scores(edition, made),
            _scenes(edition, made),
            _steps(edition, made),
            _basis(edition, made),
        ],
    )


def level_name(edition: Edition, level: int) -> Text:
    """Return what a level is called, with its number."""
    found = next((one.name for one in edition.levels if one.level == level), None)
    return Text(f"{level} - {found.en}", f"{level}级({found.zh})") if found else _NOT_YET


def lacks(made: Assessment) -> Text:
    """Return in words what the next level lacks."""
    if made.lacking is None:
        return _HIGHEST
    values = made.lacking.model_dump() | {"points": f"{made.lacking.points:g}"}
    return Text(_LACKS.en.format(**values), _LACKS.zh.format(**values))


def _result(edition: Edition, made: Assessment) -> Section:
    level = max(made.level, 1)
    at = sum(each >= level for each in made.answers.scenes.values())
    return Section(
        _RESULT,
        figures=[
            Figure(_LEVEL, made.level, "", 0, note=level_name(edition, made.level)),
            Figure(_POINTS, made.points, "/ 100", 1),
            Figure(Text(_AT.en.format(level=level), _AT.zh.format(level=level)), at, f"/ {len(edition.scene)}", 0),
        ],
        note=Text(f"{lacks(made).en} {edition.note.en}", f"{lacks(made).zh}{edition.note.zh}"),
    )


def _scores(edition: Edition, made: Assessment) -> Section:
    bars = []
    for dimension, name in DIMENSIONS.items():
        of = [one for one in edition.question if one.dimension == dimension]
        share = 100 * sum(made.by_question[one.id] for one in of) / sum(one.max for one in of)
        bars.append(Bar(name, share, "good" if share >= 60 else "warn"))
    rows: list[list[Cell]] = [
        [DIMENSIONS[one.dimension], one.name, made.by_question[one.id], one.max] for one in edition.question
    ]
    columns = [Column(Text("", "")), Column(_ITEM), Column(_POINTS, digits=3), Column(_OF)]
    return Section(_SCORES, chart=Bars("%", 0, bars), table=Table(columns, rows))


def _scenes(edition: Edition, made: Assessment) -> Section:
    rows: list[list[Cell]] = []
    for scene in edition.scene:
        level = made.answers.scenes.get(scene.id, 0)
        name = scene.name
        if scene.binding:
            name = Text(_BINDING.en.format(name=name.en), _BINDING.zh.format(name=name.zh))
        rows.append([name, level, scene.level(level) if level else None])
    return Section(_SCENES, table=Table([Column(_SCENE), Column(_NOW, digits=0), Column(_LOOKS)], rows))


def _steps(edition: Edition, made: Assessment) -> Section:
    rows: list[list[Cell]] = [
        [step_name(edition, made, step.id, scene=step.scene), step.points or None, step.effort]
        for step in made.steps[:12]
    ]
    return Section(_NEXT, table=Table([Column(_STEP), Column(_GAIN, digits=3), Column(_EFFORT, digits=0)], rows))


def step_name(edition: Edition, made: Assessment, identity: str, *, scene: bool) -> Text:
    """Return a step of the road map in words."""
    if not scene:
        return edition.questions[identity].name
    name, level = edition.scenes[identity].name, made.lacking.level if made.lacking else 4
    return Text(_TO.en.format(name=name.en, level=level), _TO.zh.format(name=name.zh, level=level))


def _basis(edition: Edition, made: Assessment) -> Section:
    rows: list[list[Cell]] = [
        [edition.scenes[one.id].name if one.scene else edition.questions[one.id].name, one.words]
        for one in made.evidence
    ]
    return Section(_BASIS, table=Table([Column(_ITEM), Column(_BASIS)], rows))
