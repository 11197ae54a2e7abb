"""`sunmao-edge`: set up, run and look after an edge agent.

Exit status: 0 done and well; 1 the thing looked at is not in order; 2 wrong use or configuration; 3 unreachable.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edge_agent import buffer_cli, check_cli, point_cli, trust_cli
from edge_agent.console import Json, Lang, local_time, print_pairs, print_readings, print_status, progress
from edge_agent.interruptible import run_work
from edge_agent.onboard import cli as onboard
from edge_agent.onboard import library_cli, list_cli
from edge_agent.plain_lines import explained, print_json, print_line, say
from edge_agent.ui import cli as ui_cli
from protocols.errors import ConfigError
from protocols.reading import now_us
from protocols.text import Text, choose_language

if TYPE_CHECKING:
    from edge_agent.config import Config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Set up, run and look after an edge agent. 边缘代理的配置、运行与维护。",
)
buffer_app = typer.Typer(no_args_is_help=True, help="The buffer of unsent readings. 未上传数据的缓存。")
app.add_typer(buffer_app, name="buffer")
buffer_cli.register(buffer_app)
onboard.register(app)
point_cli.register(app)
trust_cli.register(app)
list_cli.register(app)
check_cli.register(app)
ui_cli.register(app)
app.add_typer(library_cli.app, name="library")

Configuration = Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")]

DEFAULT = Path("agent.toml")
STALE_US = 10_000_000
"""A status older than this was left by an agent that no longer runs."""


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write. 要生成的文件。")] = DEFAULT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Write a commented sample configuration; an existing file is never touched. 生成带注释的样例配置。"""
    language = choose_language(lang)
    with explained(language):
        sample = files("edge_agent").joinpath("sample.toml").read_bytes()
        try:
            with path.open("xb") as file:
                file.write(sample)
        except FileExistsError as error:
            raise ConfigError(
                Text("exists already and is left as it is", "文件已存在，未作改动"),
                Text("name another file", "请指定其他文件名"),
                key=str(path),
            ) from error
        step = Text(f"edit {path}, then: sunmao-edge check", f"请编辑 {path}，然后运行：sunmao-edge check")
        say({"path": str(path)}, Text(f"{path} written - {step.en}", f"已生成 {path} - {step.zh}"), language, as_json)


@app.command()
def enrol(
    code: Annotated[str, typer.Argument(help="One-time code from the cloud, e.g. K7QF-3XWD-9MPA. 云端生成的注册码。")],
    cloud: Annotated[
        str | None, typer.Option("--cloud", help="Address of the cloud, if not the configured one. 云端地址。")
    ] = None,
    config: Configuration = DEFAULT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Enrol this agent in the cloud; its key never leaves this box. 用注册码将本代理注册到云端。"""
    from edge_agent.config import CloudConfig
    from edge_agent.identity import enrol as ask
    from protocols.validation import validate

    language = choose_language(lang)
    with explained(language):
        loaded = _load(config)
        url = validate(CloudConfig, {"url": cloud}, "--cloud").url if cloud else loaded.cloud.url
        identity = run_work(ask(loaded.agent.state_dir, url, code, loaded.agent.name, loaded.cloud.ca))
        say(
            msgspec.to_builtins(identity),
            Text(
                f"enrolled at {identity.tenant} / {identity.site} as {loaded.agent.name}",
                f"已注册到 {identity.tenant} / {identity.site}，名称 {loaded.agent.name}",
            ),
            language,
            as_json,
        )


@app.command()
def run(config: Configuration = DEFAULT, as_json: Json = False, lang: Lang = None) -> None:
    """Run the agent until stopped; logs go to standard error. 运行代理，日志输出到标准错误。"""
    from edge_agent.service import become

    become(config, choose_language(lang), as_json)


@app.command()
def status(config: Configuration = DEFAULT, as_json: Json = False, lang: Lang = None) -> None:
    """Show how the running agent fares. 查看代理运行状况。"""
    from edge_agent.health import read_status

    language = choose_language(lang)
    with explained(language):
        found = read_status(_load(config).agent.state_dir)
        running = found is not None and abs(now_us() - found.health.time) < STALE_US
        if as_json:
            print_json({"running": running, "status": msgspec.to_builtins(found)})
        elif found is None:
            print_line(Text("the agent has not run yet", "代理尚未运行过").to(language))
        else:
            print_status(found, running, language)
        states = {found.uplink.state} if found else set()
        if found:
            states |= {device.state for device in found.health.devices} | {outlet.state for outlet in found.outlets}
        up = states == {"up"}
        raise typer.Exit(0 if running and up else 1)


@app.command()
def read(
    device: Annotated[str, typer.Argument(help="Name of the device. 设备名称。")],
    point: Annotated[str | None, typer.Argument(help="Name of one point; all otherwise. 点名称，缺省为全部。")] = None,
    config: Configuration = DEFAULT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Read a device once. 读取一次设备。"""
    from edge_agent.check import read_device

    language = choose_language(lang)
    with explained(language):
        chosen = _load(config).device(device)
        if point is not None:
            chosen.point(point)
        readings = run_work(read_device(chosen, [point] if point else []))
        rows = [
            {
                "point": ref.name,
                "property": ref.property,
                "value": reading.value,
                "unit": ref.unit,
                "quality": reading.quality.cause,
                "time": reading.source_time,
            }
            for ref, reading in readings
        ]
        if as_json:
            print_json(rows)
        else:
            print_readings(rows, language)
        raise typer.Exit(0 if all(reading.quality >= 0 for _, reading in readings) else 1)


@buffer_app.command("stats")
def buffer_stats(config: Configuration = DEFAULT, as_json: Json = False, lang: Lang = None) -> None:
    """Show what waits in the buffer and what was counted. 查看缓存内容与计数。"""
    from edge_agent.buffer_care import peek

    language = choose_language(lang)
    with explained(language):
        loaded = _load(config)
        path = _buffer_path(loaded)
        stats = peek(path)
        if as_json:
            found = msgspec.to_builtins(stats) | {"limit": loaded.buffer.limit_mb * 1_000_000}
            print_json(found)
            return
        state = stats.state
        print_pairs(
            [
                (Text("readings waiting", "待上传读数"), f"{stats.rows:,}"),
                (Text("oldest", "最早"), local_time(stats.oldest) if stats.oldest else "-"),
                (Text("size", "大小"), f"{stats.bytes / 1e6:,.1f} / {loaded.buffer.limit_mb:,} MB"),
                (Text("collected", "已采集"), f"{state.collected:,}"),
                (Text("dropped (full)", "因写满丢弃"), f"{state.dropped:,}"),
                (Text("set aside (refused)", "被拒收另存"), f"{state.set_aside:,}"),
                (Text("inspections", "检测次数"), f"{state.inspections:,}"),
            ],
            language,
        )


@buffer_app.command("verify")
def buffer_verify(config: Configuration = DEFAULT, as_json: Json = False, lang: Lang = None) -> None:
    """Check the buffer's structure and every frame's checksum. 校验缓存结构与每个数据帧。"""
    from edge_agent.buffer_care import verify

    language = choose_language(lang)
    with explained(language):
        path = _buffer_path(_load(config))
        with progress(None, Text("verifying", "校验中").to(language), as_json) as advance:
            wrong = verify(path, lambda done, total: advance(total))
        text = (
            Text(
                f"{path}: {len(wrong)} faults: {'; '.join(wrong[:5])}",
                f"{path}：{len(wrong)} 处错误：{'; '.join(wrong[:5])}",
            )
            if wrong
            else Text(f"{path}: whole", f"{path}：完好")
        )
        say({"path": str(path), "faults": wrong}, text, language, as_json)
        raise typer.Exit(1 if wrong else 0)


@app.command("simulate")
def simulate_command(
    *,
    device: Annotated[str, typer.Argument(help="Library id or path of a device template. 设备模板。")],
    port: Annotated[int, typer.Option(help="TCP port; 0 = any free one. 端口,0 为自动选择。")] = 0,
    seed: Annotated[int, typer.Option(help="Same seed and start, same workshop. 随机种子。")] = 1,
    start: Annotated[int | None, typer.Option(help="Start of the workshop, microseconds UTC. 起始时刻(微秒)。")] = None,
    load: Annotated[
        list[str] | None, typer.Option(help="Machine an energy meter measures. 电表所测的设备，可多次给出。")
    ] = None,
    tick: Annotated[float, typer.Option(help="Seconds between changes. 数值更新间隔(秒)。")] = 0.1,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Serve a simulated device over its real protocol, until stopped. 以真实协议模拟一台设备。"""
    from edge_agent.simulate import simulate

    language = choose_language(lang)
    with explained(language):
        simulate(
            device, port=port, seed=seed, start=start, load=load or [], tick=tick, as_json=as_json, language=language
        )


def main() -> None:
    """Run the command line."""
    app()


def _load(path: Path) -> Config:
    from edge_agent.config import load_config

    return load_config(path)


def _buffer_path(config: Config) -> Path:
    from edge_agent.buffer import FILE

    path = config.agent.state_dir / FILE
    if not path.exists():
        raise ConfigError(
            Text("there is no buffer yet", "尚无缓存"), Text("run the agent first", "请先运行代理"), key=str(path)
        )
    return path
