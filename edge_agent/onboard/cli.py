"""The commands of onboarding: `sunmao-edge discover`, `identify`, `decode` and `propose`; all of them only read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edge_agent.console import Json, Lang, plain, print_table, progress
from edge_agent.interruptible import run_work
from edge_agent.plain_lines import explained, print_json, print_line
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.onboard.decode import Proposal, Snapshots
    from edge_agent.onboard.discover import Found
    from edge_agent.onboard.discover_serial import FoundOnLine
    from protocols.modbus.config import ModbusConnection, Table

Rate = Annotated[float, typer.Option(min=0.1, max=1000, help="Most requests per second. 每秒最多请求数。")]
Timeout = Annotated[float, typer.Option(min=0.05, max=60, help="Longest wait for an answer, seconds. 应答超时（秒）。")]
Address = Annotated[str, typer.Argument(help="HOST or HOST:PORT of the device. 设备地址。")]
Unit = Annotated[int, typer.Option(min=0, max=255, help="Modbus unit id. 从站号。")]
Framing = Annotated[str, typer.Option(help='"tcp" or "rtu-over-tcp". 帧格式。')]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    from edge_agent.onboard.identify_cli import identify_command

    app.command("discover")(discover_command)
    app.command("identify")(identify_command)
    app.command("decode")(decode_command)
    app.command("propose")(propose_command)


def discover_command(
    *,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range", help="Where to look, e.g. 192.168.1.20-40:502; may be repeated. 搜索范围，可多次给出。"
        ),
    ] = None,
    serial: Annotated[
        str | None, typer.Option(help="Look on this serial port, e.g. /dev/ttyUSB0. 在该串口上搜索。")
    ] = None,
    baud: Annotated[str, typer.Option(help="Speeds to try on it, e.g. 9600,19200. 要尝试的波特率。")] = "9600",
    parity: Annotated[str, typer.Option(help="Parities to try on it, e.g. N,E. 要尝试的校验。")] = "N",
    stopbits: Annotated[int, typer.Option(min=1, max=2, help="Stop bits on it. 停止位。")] = 1,
    units: Annotated[str, typer.Option(help="Modbus unit ids to ask for, e.g. 1-10. 要询问的从站号。")] = "1",
    rate: Rate = 20.0,
    timeout: Timeout = 1.0,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Look for devices in the named ranges or on a serial port, only reading. 在指定范围或串口上搜索设备（只读）。"""
    from edge_agent.onboard.discover import discover, parse_places
    from edge_agent.onboard.discover_serial import discover_serial, parse_settings

    language = choose_language(lang)

    async def look() -> list[Found | FoundOnLine]:
        places = list(dict.fromkeys(place for text in ranges or () for place in parse_places(text)))
        settings = parse_settings(baud, parity, stopbits) if serial else []
        wanted = _units(units)
        with progress(len(places) + len(settings), Text("looking", "搜索中").to(language), as_json) as advance:
            found: list[Found | FoundOnLine] = [
                device async for device in discover(places, wanted, rate=rate, timeout_s=timeout, advance=advance)
            ]
            if serial:
                line = discover_serial(serial, settings, wanted, rate=rate, timeout_s=timeout, advance=advance)
                found += [device async for device in line]
            return found

    with explained(language):
        if not ranges and serial is None:
            raise ConfigError(
                Text("where to look is missing", "缺少搜索位置"),
                Text("name --range or --serial", "请用 --range 或 --serial 指定"),
            )
        devices = run_work(look())
        if as_json:
            print_json([_found(device, language) for device in devices])
        else:
            heads = (
                Text("address", "地址"),
                Text("protocol", "协议"),
                Text("units", "从站"),
                Text("says of itself", "设备自报"),
                Text("endpoints and specifications", "端点与配套规范"),
                Text("note", "说明"),
            )
            print_table(heads, [_row(device, language) for device in devices], language)
        raise typer.Exit(0 if any(_known(device) for device in devices) else 1)


def _known(device: Found | FoundOnLine) -> bool:
    from edge_agent.onboard.discover_serial import FoundOnLine

    return device.unit > 0 if isinstance(device, FoundOnLine) else device.protocol != "unknown"


def _found(device: Found | FoundOnLine, language: Language) -> dict[str, Any]:
    from edge_agent.onboard.discover_serial import FoundOnLine

    if isinstance(device, FoundOnLine):
        return {
            "address": device.path,
            "protocol": "modbus-rtu" if device.unit else "unknown",
            "units": [device.unit] if device.unit else [],
            "identity": dict(device.identity),
            "connection": {"serial": device.path, "framing": "rtu", **device.setting._asdict()},
            "note": device.note.to(language) if device.note else None,
        }
    return {
        "address": str(device.place),
        "protocol": device.protocol,
        "units": device.units,
        "identity": dict(device.identity),
        **device.details,
        "note": device.note.to(language) if device.note else None,
    }


def _machine(machine: dict[str, Any]) -> str:
    said = machine["identification"]
    words = (machine["type_name"], said.get("manufacturer"), said.get("model"), said.get("serial_number"))
    return " ".join(filter(None, words))


def _row(device: Found | FoundOnLine, language: Language) -> list[str]:
    from edge_agent.onboard.discover_serial import FoundOnLine

    if isinstance(device, FoundOnLine):
        note = device.note.to(language) if device.note else ""
        said = ", ".join(filter(None, device.identity.values()))
        where = f"{device.path} {device.setting}"
        cells: tuple[str, ...] = (
            where,
            "modbus-rtu" if device.unit else "unknown",
            str(device.unit or ""),
            said,
            "",
            note,
        )
        return [plain(cell) for cell in cells]
    ways = [f"{end['policy']}/{end['mode']}" for end in device.details.get("endpoints", ())]
    cells = (
        str(device.place),
        device.protocol,
        ", ".join(map(str, device.units)),
        ", ".join(filter(None, device.identity.values())),
        "; ".join([*ways, *map(_machine, device.details.get("machines", ())), *device.details.get("companions", ())]),
        device.note.to(language) if device.note else "",
    )
    return [plain(cell) for cell in cells]


def decode_command(
    *,
    address: Address,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="Registers, e.g. input:0x1000-0x10FF; may be repeated. 寄存器范围，可多次给出。"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=86400, help="How long to sample. 采样时长（秒）。")] = 120.0,
    period: Annotated[float, typer.Option(min=0.05, help="Seconds between samples. 采样间隔（秒）。")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write the proposed points as TOML. 将建议的点写入 TOML。")] = None,
    unit: Unit = 1,
    framing: Framing = "tcp",
    rate: Rate = 20.0,
    timeout: Timeout = 1.0,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Propose how to read a device nobody has a template of, from its live registers. 推断未知设备的寄存器含义。"""
    from edge_agent.onboard.decode import decode, point_toml

    language = choose_language(lang)
    with explained(language):
        connection = modbus_connection(address, unit, framing, timeout)
        found = _sample(
            address,
            connection,
            ranges or [],
            rate=rate,
            language=language,
            hidden=as_json,
            seconds=seconds,
            period=period,
        )
        proposals = decode(run_work(found))
        if out is not None:
            with out.open("x", encoding="utf-8") as file:
                file.write("\n".join(point_toml(proposal, language) for proposal in proposals))
        if as_json:
            print_json([_proposal(proposal, language) for proposal in proposals])
        else:
            _print_proposals(proposals, language)
        raise typer.Exit(0 if proposals else 1)


async def _sample(
    device: str,
    connection: ModbusConnection,
    ranges: list[str],
    *,
    rate: float,
    language: Language,
    hidden: bool,
    seconds: float,
    period: float,
) -> dict[Table, Snapshots]:
    """Find the registers of a device in `ranges` and sample them."""
    from edge_agent.onboard.decode_sample import DEFAULT_RANGES, RegisterSampler, parse_range

    wanted = [parse_range(text) for text in ranges] or list(DEFAULT_RANGES)
    sampler = RegisterSampler(device, connection, rate)
    await sampler.open()
    try:
        places: dict[Table, list[int]] = {}
        total = sum(part.last + 1 - part.first for part in wanted)
        with progress(total, Text("finding registers", "查找寄存器").to(language), hidden) as advance:
            for part in wanted:
                known = places.setdefault(part.table, [])
                known[:] = sorted({*known, *await sampler.explore(part, advance)})
        places = {table: addresses for table, addresses in places.items() if addresses}
        with progress(round(seconds / period), Text("sampling", "采样中").to(language), hidden) as advance:
            shots = await sampler.sample(places, seconds, period, advance) if places else {}
    finally:
        await sampler.close()
    return dict(shots)


def _proposal(proposal: Proposal, language: Language) -> dict[str, Any]:
    point = proposal.point
    return {
        "name": point.name,
        "table": point.table,
        "address": point.address,
        "type": point.type,
        "order": point.order,
        "scale": point.scale,
        "unit": point.unit,
        "kind": proposal.kind,
        "quantity": proposal.quantity.to(language),
        "value": proposal.value,
        "confidence": round(proposal.confidence, 3),
        "scale_confidence": round(proposal.scale_confidence, 3),
        "scales": proposal.scales,
        "reasons": [reason.to(language) for reason in proposal.reasons],
    }


def _print_proposals(proposals: list[Proposal], language: Language) -> None:
    heads = (
        Text("register", "寄存器"),
        Text("type", "类型"),
        Text("scale", "比例"),
        Text("value", "当前值"),
        Text("what", "可能含义"),
        Text("sure of type / scale", "把握：类型 / 比例"),
        Text("reasons", "依据"),
    )
    separator = Text("; ", "；").to(language)
    print_table(
        heads,
        [
            (
                f"{proposal.point.table}:{proposal.point.address}",
                f"{proposal.point.type} {proposal.point.order}",
                f"{proposal.point.scale:g}",
                f"{proposal.value:.6g} {proposal.point.unit or ''}",
                plain(proposal.quantity.to(language)),
                f"{proposal.confidence:.0%} / {proposal.scale_confidence:.0%}",
                plain(separator.join(reason.to(language) for reason in proposal.reasons)),
            )
            for proposal in proposals
        ],
        language,
    )


def modbus_connection(address: str, unit: int, framing: str, timeout: float) -> ModbusConnection:
    """Return the connection the options ask for; raises ConfigError for an address that is none."""
    from edge_agent.onboard.discover import MODBUS_PORT, parse_places
    from protocols.modbus.config import ModbusConnection
    from protocols.validation import validate

    places = parse_places(address if ":" in address else f"{address}:{MODBUS_PORT}")
    if len(places) != 1:
        raise ConfigError(
            Text(f"'{address}' is more than one device", f"“{address}”不是单个设备"),
            Text("write HOST:PORT", "请写成 主机:端口"),
        )
    table = {"host": places[0].host, "port": places[0].port, "unit_id": unit, "framing": framing, "timeout_s": timeout}
    return validate(ModbusConnection, table, "connection")


def _units(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        found = range(int(first), int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found or found[0] < 0 or found[-1] > 255:
        raise ConfigError(
            Text(f"'{text}' is not a range of unit ids", f"“{text}”不是有效的从站号范围"),
            Text("write e.g. 1 or 1-10", "请写成 1 或 1-10"),
            key="--units",
        )
    return found


def propose_command(
    *,
    points: Annotated[Path, typer.Option(help="Point list: .csv, .xlsx or .json. 点表文件。")],
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the proposals here; - for standard output. 建议写入的文件。")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="What the device is, e.g. 变频器, if the list does not say. 设备类型。")
    ] = None,
    memory: Annotated[Path | None, typer.Option(help="File of earlier confirmations. 已确认记录文件。")] = None,
    learn: Annotated[
        Path | None,
        typer.Option(help="Answers a technician confirmed, kept in --memory for the next time. 技术人员已确认的结果。"),
    ] = None,
    lang: Lang = None,
) -> None:
    """Propose what each point of a list is; no device is touched. 根据点表建议每个点对应的字典条目。"""
    from edge_agent.onboard.point_list import read_point_list
    from edge_agent.onboard.propose import propose, read_answers
    from edge_agent.onboard.propose_memory import Memory, load_memory, save_memory
    from edge_agent.onboard.propose_show import print_proposals, to_json

    language = choose_language(lang)
    with explained(language):
        if learn is not None and memory is None:
            raise ConfigError(
                Text("nowhere to keep the answers", "没有保存位置"),
                Text("name a file with --memory", "请用 --memory 指定文件"),
                key="--learn",
            )
        found = read_point_list(points)
        if kind is not None:
            found = msgspec.structs.replace(found, kind=kind)
        remembered = load_memory(memory) if memory is not None else Memory()
        if learn is not None and memory is not None:
            remembered.confirm(found, read_answers(learn))
            save_memory(remembered, memory)
        proposals = propose(found, remembered)
        if json_out is None:
            print_proposals(found, proposals, language)
            return
        written = to_json(proposals, language)
        if str(json_out) == "-":
            print_line(written)
        else:
            json_out.write_text(written + "\n", encoding="utf-8")
