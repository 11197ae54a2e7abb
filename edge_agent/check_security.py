"""How well this box is guarded: rights of files, encryption of connections, certificates, writing, user, open ports."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from edge_agent.check_room import running_status
from edge_agent.config import Config
from edge_agent.finding import Finding, Severity, and_more
from edge_agent.listening import Listener, listeners_of, processes_of
from protocols.driver import ConnectionConfig
from protocols.errors import SunmaoError
from protocols.secured import SecuredConnection
from protocols.text import Text

WARN_DAYS = 60
"""A certificate is announced so long before its end: time to plan a visit to the machine that has to trust the next."""


def check_security(config: Config, path: Path | None) -> list[Finding]:
    """Return one finding for each side of it; `path` is the configuration file."""
    pid = _pid(config.agent.state_dir)
    # The technician's pages and simulators are processes of their own.
    pids = {os.getpid(), *processes_of("sunmao-edge"), *([pid] if pid is not None else [])}
    listening = {listener for each in pids for listener in listeners_of(each)}
    ports = _ports(sorted(listening, key=lambda listener: (listener.port, str(listener.address))))
    return [_files(config, path), _connections(config), _certificates(config), _writes(config), _user(pid), ports]


def _pid(state_dir: Path) -> int | None:
    """Return the process of the agent that runs on this folder."""
    with suppress(SunmaoError):
        status = running_status(state_dir)
        return status.pid if status is not None else None
    return None


def connections(config: Config) -> Iterator[tuple[str, ConnectionConfig]]:
    """Yield what the agent connects to besides the cloud, by the name of the device or outlet."""
    for device in config.devices:
        yield device.name, device.connection
    for outlet in config.outlets:
        connection = getattr(outlet, "connection", None)
        if isinstance(connection, ConnectionConfig):
            yield outlet.name, connection


def _files(config: Config, path: Path | None) -> Finding:
    """What must be secret is readable by its owner only, and nobody else can put a file in its place."""
    state_dir = config.agent.state_dir
    secrets = [state_dir / "agent.key"]
    secrets += [key for _, each in connections(config) if (key := getattr(each, "key", None)) is not None]
    with_password = [each for _, each in connections(config)] + [station.camera for station in config.inspections]
    if path is not None and any(getattr(each, "password", None) is not None for each in with_password):
        secrets.append(path)
    open_to_others, writable = [], []
    for file in dict.fromkeys(secrets):
        mode = _mode(file)
        # A group may read a configuration that it administers; nobody but its owner a key.
        if mode is not None and mode & (0o007 if file == path else 0o077):
            open_to_others.append(f"{file} ({mode:04o})")
    for place in dict.fromkeys([state_dir, *(file.parent for file in secrets), *([path] if path else [])]):
        mode = _mode(place)
        if mode is not None and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            writable.append(f"{place} ({mode:04o})")
    if not open_to_others and not writable:
        return Finding(
            "security/files", "ok", Text("keys and passwords are readable by their owner only", "密钥和口令仅所有者可读")
        )  # fmt: skip
    listed = and_more([*open_to_others, *writable])
    steps = [f"chmod 600 {file.rpartition(' ')[0]}" for file in open_to_others]
    steps += [f"chmod o-w {place.rpartition(' ')[0]}" for place in writable]
    return Finding(
        "security/files",
        "wrong",
        Text(f"others can read or replace: {listed}", f"其他用户可读取或替换：{listed}"),
        Text("; ".join(steps), "；".join(steps)),
    )


def _mode(place: Path) -> int | None:
    try:
        return stat.S_IMODE(place.stat().st_mode)
    except OSError:
        return None


def _connections(config: Config) -> Finding:
    """Whether anybody on the network can read or change what is sent; a password must not go over such a line."""
    details: list[Text] = []
    severity: Severity = "ok"
    if config.cloud.url.startswith("http:") and not is_this_box(urlsplit(config.cloud.url).hostname or ""):
        severity = "look"
        details.append(Text(f"cloud: {config.cloud.url} is not encrypted", f"云端：{config.cloud.url} 未加密"))
    for name, each in connections(config):
        open_line = isinstance(each, SecuredConnection) and getattr(each, "security", "") == "none"
        if not open_line or is_this_box(_host(each)):
            continue
        severity = "wrong" if each.password is not None or severity == "wrong" else "look"  # type: ignore[attr-defined]
        with_password = each.password is not None  # type: ignore[attr-defined]
        details.append(
            Text(
                f"{name}: security is none" + (", and a password is sent over it" if with_password else ""),
                f"{name}：security 为 none" + ("，且会发送口令" if with_password else ""),
            )
        )
    if severity == "ok":
        said = Text("encrypted, where the protocol can be", "凡协议支持之处均已加密")
        return Finding("security/connections", "ok", said)
    listed = Text(and_more([each.en for each in details]), and_more([each.zh for each in details]))
    return Finding(
        "security/connections",
        severity,
        listed,
        Text(
            "use https and security = ... where the other side can; else keep these in a network of their own",
            "请在对方支持时使用 https 与 security = ...；否则请置于独立网络",
        ),
        details,
    )


def is_this_box(host: str) -> bool:
    """Whether what is sent to `host` stays on this box."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "")


def _host(connection: ConnectionConfig) -> str:
    endpoint = getattr(connection, "endpoint", None)
    host = urlsplit(endpoint).hostname if isinstance(endpoint, str) else getattr(connection, "host", None)
    return str(host or "")


def _certificates(config: Config) -> Finding:
    """Whether a certificate has ended or soon will: our own, those of trusted servers, of authorities."""
    files: list[Path] = [config.cloud.ca] if config.cloud.ca is not None else []
    for _, each in connections(config):
        if getattr(each, "security", "none") == "none":
            continue
        files += [file for name in ("certificate", "ca") if (file := getattr(each, name, None)) is not None]
        folder = getattr(each, "trust_dir", None)
        files += sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
    ends = [(end, file) for file in dict.fromkeys(files) if (end := _end(file)) is not None]
    if not ends:
        return Finding("security/certificates", "ok", Text("none is used", "未使用证书"))
    now = datetime.now(UTC)
    soon = sorted((end, file) for end, file in ends if (end - now).days < WARN_DAYS)
    if not soon:
        first = min(end for end, _ in ends)
        said = Text(
            f"the first of {len(ends)} ends on {first:%Y-%m-%d}", f"{len(ends)} 个证书，最早 {first:%Y-%m-%d} 到期"
        )
        return Finding("security/certificates", "ok", said)  # fmt: skip
    listed = and_more([f"{file} {end:%Y-%m-%d}" for end, file in soon])
    return Finding(
        "security/certificates",
        "wrong" if soon[0][0] < now else "look",
        Text(f"ended or about to end: {listed}", f"已到期或即将到期：{listed}"),
        Text(
            "one of this box: remove it and its key to have new ones made, and trust the new one at the machine; one of a"
            " machine: have it renewed there, then trust the new one here",
            "本机证书：删除证书及私钥以重新生成，并在设备上信任新证书；设备证书：请在设备上更新，再在本机信任",
        ),
    )


def _end(file: Path) -> datetime | None:
    """Return when the first certificate of a set in `file` ends; None where there is no certificate in it."""
    try:
        content = file.read_bytes()
        found = (
            x509.load_pem_x509_certificates(content)
            if b"-----BEGIN" in content
            else [x509.load_der_x509_certificate(content)]
        )
    except (OSError, ValueError):
        return None
    return min(certificate.not_valid_after_utc for certificate in found)


def _writes(config: Config) -> Finding:
    points = [f"{device.name}/{point.name}" for device in config.devices for point in device.points if point.write]
    if not config.agent.allow_writes:
        return Finding("security/writes", "ok", Text("nothing can be written to devices", "不允许写入任何设备"))
    listed = and_more(points)
    return Finding(
        "security/writes",
        "look",
        Text(
            f"{len(points)} points may be written: {listed}" if points else "writing is allowed, but no point may be",
            f"{len(points)} 个点可写入：{listed}" if points else "已允许写入，但没有可写的点",
        ),
        Text(
            "set allow_writes = false where nobody needs to; every write stands in audit.jsonl",
            "不需要写入时请设置 allow_writes = false；每次写入都记录在 audit.jsonl",
        ),
        [Text(point, point) for point in points],
    )


def _user(pid: int | None) -> Finding:
    """Whether the agent - or, where none runs, this check - has the rights of root."""
    try:
        uid = os.geteuid() if pid is None else Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        uid = os.geteuid()
    who = Text("this check", "本检查") if pid is None else Text("the agent", "代理")
    if uid != 0:
        return Finding(
            "security/user", "ok", Text(f"{who.en} runs as user {uid}, not as root", f"{who.zh}以用户 {uid} 运行，非 root")
        )  # fmt: skip
    return Finding(
        "security/user",
        "look",
        Text(f"{who.en} runs as root", f"{who.zh}以 root 运行"),
        Text(
            "run the agent as a user of its own, which owns its folder (and is in the group dialout for serial ports)",
            "请以专用用户运行代理，并由其拥有所在文件夹（使用串口时加入 dialout 组）",
        ),
    )


def _ports(listening: Sequence[Listener]) -> Finding:
    reachable = [listener for listener in listening if not listener.address.is_loopback]
    if not reachable:
        inside = _named(listening)
        return Finding(
            "security/listening",
            "ok",
            Text(f"nothing listens to the network{inside.en}", f"未对网络开放端口{inside.zh}"),
        )
    listed = and_more([str(listener) for listener in reachable])
    return Finding(
        "security/listening",
        "look",
        Text(f"anybody on the network reaches {listed}", f"网络上任何人都能访问 {listed}"),
        Text(
            "bind to 127.0.0.1 or to the technician's network only, or close the port in the firewall",
            "请仅绑定 127.0.0.1 或调试网段，或在防火墙中关闭该端口",
        ),
    )


def _named(listening: Iterable[Listener]) -> Text:
    listed = ", ".join(str(listener) for listener in listening)
    return Text(f" (only to this box: {listed})", f"（仅本机：{listed}）") if listed else Text("", "")
