"""The commands about the points of a device: `sunmao-edge plan`, `test` and `write`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edge_agent.console import Json, Lang, plain, print_pairs, print_table
from edge_agent.interruptible import run_work
from edge_agent.plain_lines import explained, print_json, print_line, say
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.point_test import Candidate, PointTest

Configuration = Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("plan")(plan_command)
    app.command("test")(try_point)
    app.command("write", context_settings={"ignore_unknown_options": True})(write_command)  # "-5" is a value


def plan_command(
    *,
    device: Annotated[str, typer.Argument(help="Name of the device. 设备名称。")],
    config: Configuration = Path("agent.toml"),
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show which requests a device gets in each cycle, without connecting. 查看每个周期发出的请求（不连接设备）。"""
    from edge_agent.config import load_config
    from protocols.driver import Planned

    language = choose_language(lang)
    with explained(language):
        chosen = load_config(config).device(device)
        driver = chosen.driver()
        if not isinstance(driver, Planned):
            raise ConfigError(
                Text(f"{device} is not read by requests of ours", f"{device} 不是由本机逐次请求读取"),
                Text("it sends by itself, or its server decides", "由设备主动上报，或由服务器决定"),
            )
        planned = [
            (period, request) for period, points in chosen.periods().items() for request in driver.requests(points)
        ]
        if as_json:
            print_json(
                [
                    {"period_s": period, "request": request.what, "size": request.size, "points": request.points}
                    for period, request in planned
                ]
            )
            return
        heads = (Text("period", "周期"), Text("request", "请求"), Text("addresses", "地址数"), Text("points", "点"))
        rows = [
            (f"{period:g} s", request.what, str(request.size), plain(_some(request.points)))
            for period, request in planned
        ]
        print_table(heads, rows, language)
        count = sum(len(request.points) for _, request in planned)
        print_line(Text(f"{len(rows)} requests for {count} points", f"{count} 个点共 {len(rows)} 个请求").to(language))


def _some(names: Sequence[str]) -> str:
    """Return the first and the last of many names."""
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])} … {names[-1]} ({len(names)})"


def try_point(
    *,
    device: Annotated[str, typer.Argument(help="Name of the device. 设备名称。")],
    point: Annotated[str, typer.Argument(help="Name of the point. 点名称。")],
    everything: Annotated[
        bool, typer.Option("--all", help="Show implausible readings, too. 也显示不合理的读法。")
    ] = False,
    config: Configuration = Path("agent.toml"),
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Read one point and show frames, registers and every way of reading them. 测试一个点：报文、寄存器与各种读法。"""
    from edge_agent.config import load_config
    from edge_agent.point_test import test_point

    language = choose_language(lang)
    with explained(language):
        chosen = load_config(config).device(device)
        found = run_work(test_point(chosen, point))
        if as_json:
            print_json(_spoken(found, language))
        else:
            _print(found, everything, language)
        raise typer.Exit(3 if not found.reached else 0 if found.quality == "Good" else 1)


def write_command(
    *,
    device: Annotated[str, typer.Argument(help="Name of the device. 设备名称。")],
    point: Annotated[str, typer.Argument(help="Name of the point. 点名称。")],
    value: Annotated[str, typer.Argument(help="New value in the point's unit. 新值，按该点的单位。")],
    reason: Annotated[str, typer.Option(help="Why; kept in the record. 写入原因，会被记录。")],
    config: Configuration = Path("agent.toml"),
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Write one point that the configuration lets be written; recorded and read back. 写入一个允许写入的点（留痕并回读）。"""
    from edge_agent.config import load_config
    from edge_agent.point_write import write_point

    language = choose_language(lang)
    with explained(language):
        written = run_work(write_point(load_config(config), device, point, value, reason))
        say(
            msgspec.to_builtins(written) | {"found": written.found.to(language)},
            Text(f"{written.device} / {written.found.en}", f"{written.device} / {written.found.zh}"),
            language,
            as_json,
        )
        raise typer.Exit(written.exit_code)


def _spoken(found: PointTest, language: Language) -> dict[str, Any]:
    """Return `found` as plain data, its sentences in `language`."""
    return msgspec.to_builtins(found) | {  # type: ignore[no-any-return]
        "found": found.found.to(language),
        "frames": [msgspec.to_builtins(each) | {"words": each.words.to(language)} for each in found.frames],
        "candidates": [msgspec.to_builtins(each) | {"why": each.why.to(language)} for each in found.candidates],
    }


def _print(found: PointTest, everything: bool, language: Language) -> None:
    print_line(f"{found.device} / {found.point}: {found.found.to(language)}")
    pairs = [(Text("quality", "质量"), found.quality)]
    if found.round_trip_ms is not None:
        pairs.append((Text("round trip", "往返时间"), f"{found.round_trip_ms:g} ms"))
    if found.registers:
        shown = " ".join(f"{register:04X}" for register in found.registers)
        pairs.append((Text("registers (hex)", "寄存器(十六进制)"), shown))
    print_pairs(pairs, language)
    arrows = {"sent": "→", "received": "←"}
    heads = (Text("", ""), Text("frame", "报文"), Text("in words", "含义"))
    rows = [(arrows[each.direction], each.hex, plain(each.words.to(language))) for each in found.frames]
    print_table(heads, rows, language)
    shown_candidates = [each for each in found.candidates if everything or each.plausible or each.configured]
    if not shown_candidates:
        return
    print_candidates(shown_candidates, language)


def print_candidates(candidates: Sequence[Candidate], language: Language) -> None:
    """Print ways of reading a point's registers, one a line; the configured one is marked by an arrow."""
    from edge_agent.point_test import shown_value

    heads = (
        Text("", ""),
        Text("value", "值"),
        Text("type", "类型"),
        Text("order", "字节序"),
        Text("address", "地址"),
        Text("why", "理由"),
    )
    rows = [
        (
            "[green]✓[/]" if each.plausible else "[red]✗[/]",
            plain(shown_value(each.value)),
            f"{each.type} {each.byte or ('' if each.bit is None else each.bit)}".rstrip(),
            each.order,
            f"{each.table or ''} {each.address}{' ←' if each.configured else ''}".lstrip(),
            plain(each.why.to(language)),
        )
        for each in candidates
    ]
    print_table(heads, rows, language)
