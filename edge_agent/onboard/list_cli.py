"""The commands of point lists: `sunmao-edge browse`, `export` and `import`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
import typer

from edge_agent.console import Json, Lang, plain, print_table, progress
from edge_agent.interruptible import run_work
from edge_agent.plain_lines import explained, print_json, print_line, say
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.config import DeviceConfig
    from edge_agent.onboard.point_sheet import Sheet
    from protocols.driver import Driver

Configuration = Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")]
Connection = Annotated[
    list[str] | None,
    typer.Option(
        "--connection", help="A field of the connection, e.g. security=none; repeatable. 连接参数，可多次给出。"
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(help="What the device is, e.g. 注塑机; makes proposals surer. 设备类型，可提高建议的准确度。"),
]
DEFAULT = Path("agent.toml")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("browse")(browse_command)
    app.command("export")(export_command)
    app.command("import")(import_command)


def browse_command(
    *,
    device: Annotated[
        str, typer.Argument(help="Name of a device, opc.tcp://HOST:PORT or mqtt://HOST:PORT. 设备名称或地址。")
    ],
    connection: Connection = None,
    matching: Annotated[
        str, typer.Option("--match", help='Only places like this, e.g. "Line1/*". 仅列出匹配的路径。')
    ] = "*",
    kind: Kind = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the list here: .csv, .xlsx or .json. 将点表写入文件。")
    ] = None,
    config: Configuration = DEFAULT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List what a device offers: points, units, ranges and proposed meanings. 浏览设备提供的点，生成点表。"""
    from edge_agent.onboard.browse_list import browse_points
    from edge_agent.onboard.point_sheet import browsed_sheet, write_sheet
    from edge_agent.onboard.propose import propose

    language = choose_language(lang)
    with explained(language):
        driver, known = _driver(device, connection or [], config)
        with progress(None, Text("browsing", "浏览中").to(language), as_json) as advance:
            found = run_work(browse_points(driver, matching=matching, advance=advance))
        found = msgspec.structs.replace(found, kind=kind or "")
        points = known.points if known is not None else ()
        rows = browsed_sheet(found, propose(found), language, known.protocol if known is not None else "", points)
        if out is not None:
            write_sheet(rows, out, language)
        if as_json:
            print_json({"points": rows, "left_out": found.left_out, "path": str(out) if out else None})
        elif out is None:
            _print_sheet(rows, language)
        else:
            sure = sum(1 for row in rows if row["property"])
            target = device if known is not None else f"NAME {_reach(device, connection or [])}"
            said = Text(
                f"{out}: {len(rows)} points, {sure} of them with a sure meaning - look it over, then: sunmao-edge import"
                f" --points {out} --device {target} --dry-run",
                f"{out}：共 {len(rows)} 个点，其中 {sure} 个含义已确定 - 请核对后运行：sunmao-edge import --points {out}"
                f" --device {target} --dry-run",
            )
            print_line(said.to(language))
        if found.left_out and not as_json:
            left = Text(
                f"{found.left_out} arrays and structures are left out", f"已略去 {found.left_out} 个数组或结构体"
            )
            print_line(left.to(language))
        raise typer.Exit(0 if rows else 1)


def _reach(address: str, connection: list[str]) -> str:
    """Return the options of an import that say how to reach what was browsed at `address`; a password is left out."""
    parts = urlsplit(address)
    if parts.scheme == "opc.tcp":
        fields = [f"endpoint={address}"]
    else:
        fields = [f"host={parts.hostname}", *([f"port={parts.port}"] if parts.port else [])]
    fields += [field for field in connection if not field.startswith("password")]
    return " ".join(f"--connection {field}" for field in fields)


def export_command(
    *,
    device: Annotated[str, typer.Option("--device", help="Name of the device. 设备名称。")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, .xlsx or .json. 要写入的文件。")],
    config: Configuration = DEFAULT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Write a device's configured points as a list to edit and import again. 导出设备点表，编辑后可再导入。"""
    from edge_agent.config import load_config
    from edge_agent.onboard.point_sheet import configured_sheet, write_sheet

    language = choose_language(lang)
    with explained(language):
        chosen = load_config(config).device(device)
        write_sheet(configured_sheet(chosen.protocol, chosen.points), out, language)
        count = len(chosen.points)
        text = Text(f"{out}: {count} points", f"{out}：{count} 个点")
        say({"path": str(out), "points": count}, text, language, as_json)


def import_command(
    *,
    points: Annotated[Path, typer.Option(help="Point list: .csv, .xlsx or .json. 点表文件。")],
    device: Annotated[str, typer.Option("--device", help="Name of the device, new or configured. 设备名称。")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change. 仅显示变化，不写入。")
    ] = False,
    mode: Annotated[
        str,
        typer.Option(
            help='"merge": change what is listed; "replace": also remove what is not; "skip": only add.'
            " 合并、替换或仅新增。"
        ),
    ] = "merge",
    numbering: Annotated[
        str | None, typer.Option(help='"plain" addresses as sent, or "modicon" 40001. 地址编号方式。')
    ] = None,
    connection: Connection = None,
    protocol: Annotated[str | None, typer.Option(help="Protocol of a new device. 新设备的协议。")] = None,
    kind: Kind = None,
    memory: Annotated[Path | None, typer.Option(help="File of earlier confirmations. 已确认记录文件。")] = None,
    config: Configuration = DEFAULT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Bring an edited point list into the configuration, all of it or nothing. 将编辑好的点表导入配置。"""
    from edge_agent.config import read_config, version_of
    from edge_agent.config_edit import save_config
    from edge_agent.onboard.plan_show import plan_json, print_plan
    from edge_agent.onboard.point_import import plan_import
    from edge_agent.onboard.point_list import read_rows
    from edge_agent.onboard.propose_memory import load_memory

    language = choose_language(lang)
    with explained(language):
        _one_of(mode, ("merge", "replace", "skip"), "--mode")
        _one_of(numbering, (None, "plain", "modicon"), "--numbering")
        listed, text = read_rows(points), read_config(config)
        if kind is not None:
            listed = msgspec.structs.replace(listed, kind=kind)
        plan = plan_import(
            listed,
            text,
            config,
            device,
            mode=mode,  # type: ignore[arg-type]
            numbering=numbering,  # type: ignore[arg-type]
            protocol=protocol,
            connection=_fields(connection or []),
            memory=load_memory(memory) if memory is not None else None,
        )
        saved = not plan.faults and not dry_run and plan.text != text
        if saved:
            save_config(config, plan.text, over=version_of(text))
        if as_json:
            print_json(plan_json(plan, language) | {"saved": saved})
        else:
            print_plan(plan, listed.counted, language)
            if not plan.faults:
                print_line(_outcome(saved, dry_run, config).to(language))
        raise typer.Exit(2 if plan.faults else 0)


def _outcome(saved: bool, dry_run: bool, config: Path) -> Text:
    if dry_run:
        return Text("dry run: nothing was written", "试运行：未写入任何内容")
    if saved:
        return Text(
            f"{config} written; a running agent takes it over by itself", f"已写入 {config}；运行中的代理会自动采用"
        )
    return Text(f"{config} is as the list says already", f"{config} 已与点表一致")


def _one_of(given: str | None, known: tuple[str | None, ...], option: str) -> None:
    if given not in known:
        listed = ", ".join(filter(None, known))
        raise ConfigError(
            Text(f"unknown choice '{given}'", f"未知选项“{given}”"),
            Text(f"choose one of: {listed}", f"可选：{listed}"),
            key=option,
        )


def _print_sheet(rows: Sheet, language: Language) -> None:
    heads = {
        "name": Text("place", "位置"),
        "value": Text("value", "当前值"),
        "unit": Text("unit", "单位"),
        "low": Text("from", "下限"),
        "high": Text("to", "上限"),
        "datatype": Text("type", "类型"),
        "property": Text("entry", "字典条目"),
        "address": Text("address", "地址"),
    }
    print_table(list(heads.values()), [[plain(row.get(column, "")) for column in heads] for row in rows], language)


def _driver(device: str, connection: list[str], config: Path) -> tuple[Driver, DeviceConfig | None]:
    """Return a driver for a configured device, with its configuration, or for an address."""
    from edge_agent.config import load_config
    from edge_agent.onboard.browse_list import driver_at

    if "://" in device:
        return driver_at(device, _fields(connection), config.resolve().parent), None
    known = load_config(config).device(device)
    return known.driver(), known


def _fields(given: list[str]) -> dict[str, Any]:
    """Return name=value options as a table; a value is what TOML makes of it, else the text itself."""
    fields = {}
    for option in given:
        name, equals, value = option.partition("=")
        if not equals:
            raise ConfigError(
                Text(f"'{option}' is not name=value", f"“{option}”不是 名称=值 的形式"),
                Text("write e.g. security=none", "例如 security=none"),
                key="--connection",
            )
        try:
            fields[name] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            fields[name] = value
    return fields
