"""The commands of the device library: `sunmao-edge library list`, `show`, `lint` and `import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.console import Json, Lang, explained, plain, print_json, print_line, print_pairs, print_table
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from protocols.driver import PointConfig

_PLAIN = {"table", "type", "node", "path"}
"""Fields of an address that speak for themselves, without their name."""

app = typer.Typer(no_args_is_help=True, help="The library of known devices. 设备库。")


@app.command("list")
def list_command(
    kind: Annotated[str | None, typer.Option("--class", help="Only this class of equipment. 仅列出该类设备。")] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List the known devices. 列出设备库中的设备。"""
    from protocols.dictionary.entries import equipment_classes
    from protocols.library.templates import load_template, template_ids

    language = choose_language(lang)
    with explained(language):
        if kind is not None and kind not in equipment_classes():
            known = ", ".join(equipment_classes())
            raise ConfigError(
                Text(f"unknown equipment class '{kind}'", f"未知设备类别“{kind}”"),
                Text(f"choose one of: {known}", f"可选：{known}"),
                key="--class",
            )
        templates = [load_template(name) for name in template_ids()]
        chosen = [found for found in templates if kind in {None, found.device.equipment_class}]
        if as_json:
            print_json([found.device.model_dump() | {"points": len(found.points)} for found in chosen])
            return
        heads = (
            Text("id", "标识"),
            Text("maker", "厂家"),
            Text("model", "型号"),
            Text("device", "设备"),
            Text("protocol", "协议"),
            Text("points", "点数"),
        )
        rows = [
            (
                plain(found.device.id),
                plain(found.device.manufacturer),
                plain(found.device.model),
                plain(found.device.name.to(language)),
                found.device.protocol,
                str(len(found.points)),
            )
            for found in chosen
        ]
        print_table(heads, rows, language)


@app.command("show")
def show_command(
    device: Annotated[str, typer.Argument(help="Library id or path of a device template. 设备模板。")],
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show what a device's points are and where its facts are from. 查看设备的点表与来源。"""
    from protocols.dictionary.entries import equipment_classes
    from protocols.library.templates import load_template

    language = choose_language(lang)
    with explained(language):
        template = load_template(device)
        if as_json:
            print_json(template.model_dump(mode="json", exclude={"points"}) | {"points": _tables(template.points)})
            return
        head = template.device
        print_pairs(
            [
                (Text("device", "设备"), f"{head.manufacturer} {head.model}, {head.name.to(language)}"),
                (Text("class", "类别"), equipment_classes()[head.equipment_class].to(language)),
                (Text("protocol", "协议"), head.protocol),
                (Text("version", "版本"), str(head.version)),
                (Text("source", "来源"), head.source),
            ],
            language,
        )
        heads = (
            Text("point", "点"),
            Text("meaning", "含义"),
            Text("unit", "单位"),
            Text("address", "地址"),
            Text("note", "说明"),
        )
        print_table(heads, [_row(point, language) for point in template.points], language)


@app.command("lint")
def lint_command(
    files: Annotated[list[str], typer.Argument(help="Templates: paths, or library ids. 模板文件或库内 id。")],
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Find what is wrong or unlikely in templates. 检查模板中的错误与可疑之处。"""
    from protocols.library.lint import lint_template
    from protocols.library.templates import load_template

    language = choose_language(lang)
    with explained(language):
        faults = {file: lint_template(load_template(file)) for file in files}
        if as_json:
            print_json(
                [{"template": file, "faults": [f.to(language) for f in found]} for file, found in faults.items()]
            )
        else:
            for file, found in faults.items():
                for fault in found or [Text("in order", "合格")]:
                    print_line(f"{file}: {fault.to(language)}")
        raise typer.Exit(1 if any(faults.values()) else 0)


@app.command("import")
def import_command(
    *,
    file: Annotated[Path, typer.Argument(help="Point list: .csv, .xlsx or .json. 点表文件。")],
    kind: Annotated[str, typer.Option("--class", help="Class of equipment. 设备类别。")],
    maker: Annotated[str, typer.Option(help="Manufacturer. 厂家。")],
    model: Annotated[str, typer.Option(help="Model. 型号。")],
    out: Annotated[Path, typer.Option(help="Template to write, <id>.toml; never overwritten. 要生成的模板。")],
    numbering: Annotated[
        str | None, typer.Option(help='"plain" addresses as sent, or "modicon" 40001. 地址编号方式。')
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Draft a template from a point list; meanings only where sure. 由点表生成模板草稿。"""
    from edge_agent.onboard.draft import draft_template
    from edge_agent.onboard.point_list import read_point_list

    language = choose_language(lang)
    with explained(language):
        if numbering not in {None, "plain", "modicon"}:
            raise ConfigError(
                Text(f"unknown numbering '{numbering}'", f"未知的编号方式“{numbering}”"),
                Text("choose plain or modicon", "请选择 plain 或 modicon"),
                key="--numbering",
            )
        head = {
            "id": out.stem,
            "manufacturer": maker,
            "model": model,
            "equipment_class": kind,
            "source": f"point list {file.name}",
        }
        text, notes = draft_template(read_point_list(file), head, numbering)  # type: ignore[arg-type]
        with out.open("x", encoding="utf-8") as target:
            target.write(text)
        if as_json:
            print_json({"path": str(out), "notes": [note.to(language) for note in notes]})
            return
        for note in notes:
            print_line(note.to(language))
        step = Text(
            f"{out} written - look it over, then: sunmao-edge library lint {out}",
            f"已生成 {out} - 请核对后运行：sunmao-edge library lint {out}",
        )
        print_line(step.to(language))


def _tables(points: tuple[PointConfig, ...]) -> list[dict[str, Any]]:
    return [point.model_dump(mode="json", exclude_defaults=True) for point in points]


def _row(point: PointConfig, language: Language) -> tuple[str, ...]:
    from protocols.dictionary.entries import load_dictionary
    from protocols.dictionary.units import load_units
    from protocols.driver import PointConfig

    entry = load_dictionary()[point.property] if point.property is not None else None
    unit = point.unit or (entry.unit if entry is not None else None)
    own = point.model_dump(mode="json", exclude_defaults=True, exclude=set(PointConfig.model_fields))
    scaled = point.model_dump(exclude_defaults=True, include={"scale", "offset", "codes"})
    place = [str(value) if key in _PLAIN else f"{key} {value}" for key, value in (own | scaled).items()]
    return (
        plain(point.name),
        plain(entry.name.to(language)) if entry is not None else "",
        "" if unit in {None, "C62"} else plain(load_units()[unit].symbol),
        plain(", ".join(place)),
        plain(point.description),
    )
