"""The commands of trust between this agent and OPC UA servers: `sunmao-edge trust list`, `approve`, `withdraw`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.console import Json, Lang
from edge_agent.plain_lines import explained, print_json, print_line, say
from protocols.errors import ConfigError
from protocols.text import Text, choose_language

if TYPE_CHECKING:
    from protocols.opcua.config import OpcuaConnection
    from protocols.opcua.trust import KnownCertificate

Configuration = Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")]
Fingerprint = Annotated[str, typer.Argument(help="SHA-256 fingerprint, as `trust list` shows it. SHA-256 指纹。")]

_STATES = {
    "waiting": Text("waits for a decision", "待确认"),
    "trusted": Text("trusted", "已信任"),
    "own": Text("this agent's own", "本机证书"),
}

app = typer.Typer(no_args_is_help=True, help="Certificates of OPC UA servers: which are trusted. OPC UA 服务器证书。")


def register(parent: typer.Typer) -> None:
    """Add the commands to `parent`."""
    parent.add_typer(app, name="trust")


@app.command("list")
def list_command(config: Configuration = Path("agent.toml"), as_json: Json = False, lang: Lang = None) -> None:
    """List servers' certificates, those that wait first; exit 1 if one waits or ends soon. 列出证书。"""
    from protocols.opcua.certificates import WARN

    language = choose_language(lang)
    with explained(language):
        rows = _certificates(config)
        soon = [known for known, _, _ in rows if known.ends - datetime.now(UTC) < WARN]
        if as_json:
            print_json([_shown(*row) for row in rows])
        else:
            for known, state, devices in rows:
                end = f"{known.ends:%Y-%m-%d}"
                until = (
                    Text(f"ends on {end}", f"{end} 到期") if known in soon else Text(f"until {end}", f"有效期至 {end}")
                )
                who = ", ".join(filter(None, (known.name, known.application_uri)))
                print_line(f"{_STATES[state].to(language)}: {who}; {until.to(language)}; {', '.join(devices)}")
                print_line(f"    {known.fingerprint}")  # whole and on a line of its own: it is compared and copied
        raise typer.Exit(1 if soon or any(state == "waiting" for _, state, _ in rows) else 0)


@app.command("approve")
def approve_command(
    fingerprint: Fingerprint, config: Configuration = Path("agent.toml"), as_json: Json = False, lang: Lang = None
) -> None:
    """Trust the server with this fingerprint, after comparing it with the one shown at the machine. 信任该服务器。"""
    from protocols.opcua.trust import approve

    language = choose_language(lang)
    with explained(language):
        known = _first(config, fingerprint, approve)
        text = Text(
            f"{known.name} is trusted; it is connected to within a minute", f"已信任 {known.name}，一分钟内连接"
        )
        say(_shown(known, "trusted", []), text, language, as_json)


@app.command("withdraw")
def withdraw_command(
    fingerprint: Fingerprint, config: Configuration = Path("agent.toml"), as_json: Json = False, lang: Lang = None
) -> None:
    """Trust the server with this fingerprint no longer. 取消信任该服务器。"""
    from protocols.opcua.trust import withdraw

    language = choose_language(lang)
    with explained(language):
        known = _first(config, fingerprint, withdraw)
        text = Text(f"{known.name} is trusted no longer", f"已取消对 {known.name} 的信任")
        say(_shown(known, "waiting", []), text, language, as_json)


def _connections(config: Path) -> list[tuple[str, OpcuaConnection]]:
    from edge_agent.config import load_config
    from protocols.opcua.config import OpcuaConnection

    return [
        (device.name, device.connection)
        for device in load_config(config).devices
        if isinstance(device.connection, OpcuaConnection) and device.connection.security != "none"
    ]


def _certificates(config: Path) -> list[tuple[KnownCertificate, str, list[str]]]:
    """Return each certificate with its state and the devices whose connections go by it, those that wait first."""
    from protocols.opcua.trust import describe_certificate, known_certificates

    found: dict[Path, tuple[KnownCertificate, str, list[str]]] = {}
    for device, connection in _connections(config):
        rows = [
            (known, "trusted" if known.trusted else "waiting") for known in known_certificates(connection.trust_dir)
        ]
        own = describe_certificate(connection.certificate, trusted=True)
        for known, state in [*rows, *([(own, "own")] if own else [])]:
            found.setdefault(known.file, (known, state, []))[2].append(device)
    return sorted(found.values(), key=lambda row: ("waiting", "trusted", "own").index(row[1]))


def _first(config: Path, fingerprint: str, act: Callable[[Path, str], KnownCertificate]) -> KnownCertificate:
    """Do `act` in the trust folder that has the certificate."""
    from protocols.opcua.trust import known_certificates, same_fingerprint

    folders = list(dict.fromkeys(connection.trust_dir for _, connection in _connections(config)))
    if not folders:
        raise ConfigError(
            Text("no device has a secured OPC UA connection", "没有使用安全连接的 OPC UA 设备"), key=str(config)
        )
    for folder in folders:
        if any(same_fingerprint(known.fingerprint, fingerprint) for known in known_certificates(folder)):
            return act(folder, fingerprint)
    return act(folders[0], fingerprint)


def _shown(known: KnownCertificate, state: str, devices: list[str]) -> dict[str, Any]:
    return {
        "state": state,
        "devices": devices,
        "name": known.name,
        "application_uri": known.application_uri,
        "ends": known.ends.isoformat(),
        "fingerprint": known.fingerprint,
        "file": str(known.file),
    }
