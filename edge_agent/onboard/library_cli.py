"""The commands of the device library: `sunmao-edge library list`, `show`, `lint`, `import`, `diff`, `export`, `add`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.console import Json, Lang, plain, print_pairs, print_table
from edge_agent.plain_lines import explained, print_json, print_line, say
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
    from protocols.library.folder import own_templates
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
            print_json(
                [
                    found.device.model_dump() | {"points": len(found.points), "own": found.device.id in own_templates()}
                    for found in chosen
                ]
            )
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
            print_json(
                template.model_dump(mode="json", exclude={"points", "signs"}) | {"points": _tables(template.points)}
            )
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


Folder = Annotated[
    Path, typer.Option(help="The plant's own templates; beside the configuration: library. 本厂模板文件夹。")
]


@app.command("diff")
def diff_command(
    old: Annotated[str, typer.Argument(help="Library id or path of a template. 原模板。")],
    new: Annotated[str, typer.Argument(help="The same of another, or of its next version. 新模板。")],
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show what one template says otherwise than another; ends with 1 where they differ. 比较两个模板。"""
    from protocols.library.difference import differences
    from protocols.library.templates import load_template

    language = choose_language(lang)
    with explained(language):
        found = [change.to(language) for change in differences(load_template(old), load_template(new))]
        if as_json:
            print_json(found)
        else:
            for line in found or [Text("no difference", "没有差异").to(language)]:
                print_line(line)
        raise typer.Exit(1 if found else 0)


@app.command("export")
def export_command(
    device: Annotated[str, typer.Argument(help="Library id or path of a template. 设备模板。")],
    out: Annotated[Path | None, typer.Option(help="File to write; never overwritten. 要写入的文件。")] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Write a template as one file with a checksum, to hand on. 将模板导出为带校验和的单个文件。"""
    from protocols.library.sharing import exported

    language = choose_language(lang)
    with explained(language):
        text = exported(device)
        if out is None:
            if as_json:
                print_json({"path": None, "text": text})
            else:
                typer.echo(text, nl=False)
            return
        with out.open("x", encoding="utf-8") as target:
            target.write(text)
        say({"path": str(out)}, Text(f"{out} written", f"已写入 {out}"), language, as_json)


@app.command("add")
def add_command(
    *,
    file: Annotated[Path, typer.Argument(help="Template file, as `export` writes it or hand-made. 模板文件。")],
    folder: Folder = Path("library"),
    replace: Annotated[bool, typer.Option("--replace", help="Replace an older version. 替换旧版本。")] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Take a template into the plant's own folder; never replaces one unasked. 将模板加入本厂模板文件夹。"""
    from protocols.library.folder import use_folder
    from protocols.library.lint import lint_template
    from protocols.library.sharing import add

    language = choose_language(lang)
    with explained(language):
        use_folder(folder)
        template, place = add(file, replace=replace)
        faults = [fault.to(language) for fault in lint_template(template)]
        if as_json:
            print_json({"id": template.device.id, "path": str(place), "faults": faults})
            return
        for fault in faults:
            print_line(fault)
        name = template.device.id
        print_line(Text(f"'{name}' is in {place}", f"“{name}”已存入 {place}").to(language))


@app.command("plc")
def plc_command(
    controller: Annotated[str | None, typer.Argument(help="Controller, as the list names it. PLC 型号。")] = None,
    variables: Annotated[list[str] | None, typer.Argument(help="Variables: D100, M8, D100.3. 变量名。")] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List known controllers, one's areas, or where its variables lie. 列出 PLC、其数据区，或变量的 Modbus 地址。"""
    from protocols.library.plc import load_plc, place_of, plc_ids

    language = choose_language(lang)
    with explained(language):
        if controller is None:
            known = [load_plc(name) for name in plc_ids()]
            heads: tuple[Text, ...] = (
                Text("id", "标识"),
                Text("maker", "厂家"),
                Text("model", "型号"),
                Text("name", "名称"),
            )
            rows: list[tuple[str, ...]] = [
                (plc.id, plc.manufacturer, plc.model, plc.name.to(language)) for plc in known
            ]
            tables = [plc.model_dump(exclude={"area"}) for plc in known]
        elif not variables:
            areas = load_plc(controller).area
            heads = (
                Text("area", "数据区"),
                Text("from", "起始"),
                Text("count", "数量"),
                Text("table", "表"),
                Text("address", "地址"),
            )
            rows = [(a.name, str(a.first), str(a.count), a.table, f"0x{a.address:04X}") for a in areas]
            tables = [area.model_dump() for area in areas]
        else:
            plc = load_plc(controller)
            found = {at: place_of(plc, at) for at in variables}
            heads = (Text("variable", "变量"), Text("table", "表"), Text("address", "地址"), Text("bit", "位"))
            rows = [(at, str(p["table"]), str(p["address"]), str(p.get("bit", ""))) for at, p in found.items()]
            tables = [{"at": at, **place} for at, place in found.items()]
        if as_json:
            print_json(tables)
        else:
            print_table(heads, [tuple(plain(cell) for cell in row) for row in rows], language)


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
