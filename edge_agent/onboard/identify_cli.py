"""The command `sunmao-edge identify`: which device of the library answers at an address; it only reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from edge_agent.console import Json, Lang, plain, print_table, progress
from edge_agent.interruptible import run_work
from edge_agent.onboard.cli import Address, Framing, Timeout, Unit, modbus_connection
from edge_agent.plain_lines import explained, print_json, print_line
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.onboard.identify import Identified, Match
    from protocols.modbus.config import ModbusConnection


def identify_command(
    *,
    address: Address,
    unit: Unit = 1,
    framing: Framing = "tcp",
    timeout: Timeout = 1.0,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Find which device of the library this is; an opc.tcp:// address tells what it is itself. 识别设备型号。"""
    from edge_agent.onboard.identify import SURE

    language = choose_language(lang)
    with explained(language):
        if address.startswith("opc.tcp://"):
            matches = _describe(address, timeout, language, as_json)
            raise typer.Exit(0 if matches is None or (matches and matches[0].score >= SURE) else 1)
        found = run_work(_identify(address, modbus_connection(address, unit, framing, timeout), language, as_json))
        if as_json:
            print_json({"identity": found.identity, "matches": _match_tables(found.matches, language)})
        else:
            for key, value in found.identity.items():
                print_line(f"{key}: {value}")
            _print_matches(found.matches, language)
        raise typer.Exit(0 if found.matches and found.matches[0].score >= SURE else 1)


def _match_tables(matches: Sequence[Match], language: Language) -> list[dict[str, Any]]:
    return [
        {
            "template": match.template,
            "name": match.name.to(language),
            "score": match.score,
            "reasons": [reason.to(language) for reason in match.reasons],
        }
        for match in matches
    ]


def _print_matches(matches: Sequence[Match], language: Language) -> None:
    from edge_agent.onboard.identify import SURE

    heads = (Text("score", "得分"), Text("template", "模板"), Text("name", "名称"), Text("reasons", "依据"))
    separator = Text("; ", "；").to(language)
    rows = [
        (
            f"{match.score:.2f}",
            match.template,
            plain(match.name.to(language)),
            plain(separator.join(reason.to(language) for reason in match.reasons)),
        )
        for match in matches[:5]
    ]
    print_table(heads, rows, language)
    if not matches or matches[0].score < SURE:
        unknown = Text(
            "no template of the library is certain: compare the label, or run sunmao-edge decode",
            "设备库中没有可以确认的模板：请核对铭牌，或运行 sunmao-edge decode",
        )
        print_line(unknown.to(language))


async def _identify(device: str, connection: ModbusConnection, language: Language, hidden: bool) -> Identified:
    from edge_agent.onboard.identify import identify, modbus_templates

    with progress(
        1 + len(modbus_templates()), Text("trying templates", "逐个比对模板").to(language), hidden
    ) as advance:
        return await identify(device, connection, advance)


def _describe(endpoint: str, timeout: float, language: Language, as_json: bool) -> list[Match] | None:
    """Print what the server says of itself and what fits; None where it lets nobody look without log-in."""
    from edge_agent.onboard.identify_opcua import identify_server
    from protocols.opcua.config import OpcuaConnection
    from protocols.opcua.description import describe_server

    server = run_work(describe_server(endpoint, timeout))
    matches = None
    if server.namespaces:
        connection = OpcuaConnection.model_validate({"endpoint": endpoint, "security": "none", "timeout_s": timeout})
        matches = run_work(identify_server(connection, server))
    if as_json:
        tables = _match_tables(matches or (), language)
        print_json({**server._asdict(), "companions": server.companions, "matches": tables})
        return matches
    rows = [
        (Text("application", "应用").to(language), server.application),
        *server.build.items(),
        *(
            (Text("endpoint", "端点").to(language), f"{e.policy}/{e.mode} {', '.join(e.users)}")
            for e in server.endpoints
        ),
        *((Text("specification", "配套规范").to(language), name) for name in server.companions),
    ]
    print_table((Text("", ""), Text("", "")), [(plain(key), plain(value)) for key, value in rows], language)
    if matches is not None:
        _print_matches(matches, language)
    return matches
