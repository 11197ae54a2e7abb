"""Shows people what a command found, as plain tables and progress bars, and machines the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from protocols.dictionary.units import load_units
from protocols.text import Language, Text

if TYPE_CHECKING:
    from edge_agent.health import Status
    from edge_agent.outlets.outlet import OutletState

_STATE_COLOUR = {"up": "green", "down": "red", "waiting": "yellow"}
_CONFIG_STATES = {
    "applied": Text("in force", "已生效"),
    "failed": Text("in force; the file has changed and is not used:", "仍生效；文件已修改但未启用："),
}

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines. 输出 JSON。")]
Lang = Annotated[str | None, typer.Option("--lang", help="en or zh; the shell's locale decides otherwise. 语言。")]


def plain(text: str) -> str:
    """Return `text` so that brackets in it are shown and not taken as markup."""
    return escape(text)


def local_time(microseconds: int) -> str:
    """Return an instant (microseconds UTC) as this box's local date and time."""
    return datetime.fromtimestamp(microseconds / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def print_table(heads: Sequence[Text], rows: Sequence[Sequence[str]], language: Language) -> None:
    """Print a table; cells may carry rich's markup (see `plain`)."""
    table = Table(
        *(head.to(language) for head in heads), box=None, pad_edge=False, show_header=any(head.en for head in heads)
    )
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_pairs(pairs: Sequence[tuple[Text, str]], language: Language) -> None:
    """Print names and values, one pair a line."""
    print_table((Text("", ""), Text("", "")), [(name.to(language), plain(value)) for name, value in pairs], language)


def print_readings(rows: Sequence[dict[str, Any]], language: Language) -> None:
    """Print readings as `sunmao-edge read` lists them."""
    units = load_units()
    colour = {True: "green", False: "red"}
    heads = (
        Text("point", "点"),
        Text("value", "值"),
        Text("unit", "单位"),
        Text("quality", "质量"),
        Text("time", "时间"),
    )
    print_table(
        heads,
        [
            (
                plain(row["point"]),
                plain("-" if row["value"] is None else str(row["value"])),
                units[row["unit"]].symbol if row["unit"] in units else row["unit"],
                f"[{colour[row['quality'] == 'Good']}]{row['quality']}[/]",
                local_time(row["time"]),
            )
            for row in rows
        ],
        language,
    )


def print_status(found: Status, running: bool, language: Language) -> None:
    """Print the agent's status; `running` is whether it is fresh."""
    health = found.health
    last = local_time(health.time)
    print_pairs(
        [
            (
                Text("agent", "代理"),
                Text(
                    f"{found.name} runs" if running else f"{found.name} does not run; as of {last}:",
                    f"{found.name} 运行中" if running else f"{found.name} 未运行；最后状态 {last}:",
                ).to(language),
            ),
            (
                Text("cloud", "云端"),
                f"{found.uplink.state} {Text(found.uplink.reason_en, found.uplink.reason_zh).to(language)}",
            ),
            (Text("collected", "已采集"), f"{health.collected:,}"),
            (Text("waiting", "待上传"), f"{health.buffer_rows:,} ({health.buffer_bytes / 1e6:,.1f} MB)"),
            (Text("dropped / set aside", "丢弃 / 另存"), f"{health.dropped:,} / {health.set_aside:,}"),
            (Text("memory", "内存"), f"{health.rss_bytes / 1e6:,.0f} MB"),
            (
                Text("configuration", "配置"),
                f"{found.config.version} {_CONFIG_STATES.get(found.config.state, Text('', '')).to(language)}"
                f" {Text(found.config.reason_en, found.config.reason_zh).to(language)}".rstrip(),
            ),
        ],
        language,
    )
    heads = (
        Text("device", "设备"),
        Text("state", "状态"),
        Text("since", "自"),
        Text("points", "点数"),
        Text("missed cycles / changes", "错过的周期 / 变化"),
        Text("clock", "时钟偏差"),
        Text("reason", "原因"),
    )
    print_table(
        heads,
        [
            (
                plain(device.name),
                f"[{_STATE_COLOUR.get(device.state, 'yellow')}]{device.state}[/]",
                local_time(device.since),
                str(device.points),
                f"{found.missed_cycles.get(device.name, 0)} / {device.counters.get('overflows', 0)}",
                "-" if device.clock_offset_us is None else f"{device.clock_offset_us / 1e6:+.1f} s",
                plain(Text(device.reason_en, device.reason_zh).to(language)),
            )
            for device in health.devices
        ],
        language,
    )
    if found.outlets:
        _print_outlets(found.outlets, language)


def _print_outlets(outlets: Sequence[OutletState], language: Language) -> None:
    heads = (
        Text("outlet", "出口"),
        Text("state", "状态"),
        Text("since", "自"),
        Text("written", "已写出"),
        Text("waiting", "等待"),
        Text("dropped", "丢弃"),
        Text("last failure", "最近故障"),
    )
    print_table(
        heads,
        [
            (
                plain(f"{outlet.name} ({outlet.kind})"),
                f"[{_STATE_COLOUR[outlet.state]}]{outlet.state}[/]",
                local_time(outlet.since),
                f"{outlet.written:,}",
                f"{outlet.queued:,}",
                f"{outlet.dropped:,}",
                plain(Text(outlet.reason_en, outlet.reason_zh).to(language)),
            )
            for outlet in outlets
        ],
        language,
    )


@contextmanager
def progress(total: int | None, label: str, hidden: bool) -> Iterator[Any]:
    """Show a progress bar on standard error; yields `advance(total=None)`."""
    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=total)
        yield lambda total=None: bar.update(task, advance=1, **({"total": total} if total is not None else {}))
