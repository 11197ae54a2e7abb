"""The commands of point lists: `sunmao-edge browse`, `export` and `import`."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.console import Json, Lang, explained, plain, print_json, print_line, print_table, progress
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.onboard.point_sheet import Sheet
    from protocols.driver import Driver

Configuration = Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")]
Connection = Annotated[
    list[str] | None,
    typer.Option(
        "--connection", help="A field of the connection, e.g. security=none; repeatable. 连接参数，可多次给出。"
    ),
]
DEFAULT = Path("agent.toml")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("browse")(browse_command)


def browse_command(
    *,
    device: Annotated[str, typer.Argument(help="Name of a device, or opc.tcp://HOST:PORT. 设备名称或 OPC UA 地址。")],
    connection: Connection = None,
    matching: Annotated[
        str, typer.Option("--match", help='Only places like this, e.g. "Line1/*". 仅列出匹配的路径。')
    ] = "*",
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
        driver = _driver(device, connection or [], config)
        with progress(None, Text("browsing", "浏览中").to(language), as_json) as advance:
            found = asyncio.run(browse_points(driver, matching=matching, advance=advance))
        rows = browsed_sheet(found, propose(found), language)
        if out is not None:
            write_sheet(rows, out, language)
        if as_json:
            print_json({"points": rows, "left_out": found.left_out, "path": str(out) if out else None})
        elif out is None:
            _print_sheet(rows, language)
        else:
            sure = sum(1 for row in rows if row["property"])
            said = Text(
                f"{out}: {len(rows)} points, {sure} of them with a sure meaning - look it over, then: sunmao-edge import"
                f" --points {out} --device {device} --dry-run",
                f"{out}：共 {len(rows)} 个点，其中 {sure} 个含义已确定 - 请核对后运行：sunmao-edge import --points {out}"
                f" --device {device} --dry-run",
            )
            print_line(said.to(language))
        if found.left_out and not as_json:
            left = Text(
                f"{found.left_out} arrays and structures are left out", f"已略去 {found.left_out} 个数组或结构体"
            )
            print_line(left.to(language))
        raise typer.Exit(0 if rows else 1)


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
    print_table(list(heads.values()), [[plain(row[column]) for column in heads] for row in rows], language)


def _driver(device: str, connection: list[str], config: Path) -> Driver:
    from edge_agent.config import load_config
    from edge_agent.onboard.browse_list import driver_at

    if "://" in device:
        return driver_at(device, _fields(connection), config.resolve().parent)
    devices = load_config(config).devices
    for known in devices:
        if known.name == device:
            return known.driver()
    listed = ", ".join(known.name for known in devices)
    raise ConfigError(
        Text(f"there is no device '{device}'", f"没有名为“{device}”的设备"),
        Text(f"write opc.tcp://<host>:<port>, or one of: {listed}", f"请写 opc.tcp://<主机>:<端口>，或：{listed}"),
    )


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
