"""What a check finds at devices, on the way to the cloud and in how the box is guarded, and what it advises."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge_agent.check_device import check_device
from edge_agent.check_network import check_cloud
from edge_agent.check_page import check_page
from edge_agent.check_room import check_room
from edge_agent.check_security import _ports, check_security, is_this_box
from edge_agent.config import CloudConfig, Config, load_config
from edge_agent.finding import Finding
from edge_agent.listening import Listener, listeners_of, processes_of
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator
from protocols.text import Text

HEAD = '[agent]\nname = "a"\n[cloud]\nurl = "{url}"\n'


def configuration(folder: Path, text: str = "", url: str = "http://127.0.0.1:1") -> Config:
    (folder / "agent.toml").write_text(HEAD.format(url=url) + text, "utf-8")
    return load_config(folder / "agent.toml")


def opcua(endpoint: str, *points: str) -> str:
    head = f'[[device]]\nname = "press"\nprotocol = "opcua"\n[device.connection]\nendpoint = "{endpoint}"\nsecurity = "none"\n'
    return head + "".join(f"[[device.point]]\n{point}\n" for point in points)


@pytest.fixture
async def press() -> AsyncIterator[str]:
    served = [
        OpcuaPoint(name="oil", node="nsu=urn:p;s=oil", unit="BAR"),
        OpcuaPoint(name="hot", node="nsu=urn:p;s=hot", unit="CEL"),
    ]
    simulator = OpcuaSimulator(served, lambda: {"oil": 140.0, "hot": 900.0})
    yield await simulator.start()
    await simulator.stop()


async def test_a_device_is_compared_with_range_unit_and_clock(press: str, tmp_path: Path) -> None:
    config = configuration(
        tmp_path,
        opcua(
            press,
            'name = "oil"\nnode = "nsu=urn:p;s=oil"\nunit = "KPA"',
            'name = "hot"\nnode = "nsu=urn:p;s=hot"\nunit = "CEL"\nhigh = 90',
            'name = "gone"\nnode = "nsu=urn:p;s=gone"',
        ),
    )
    points, clock = [finding async for finding in check_device(config.devices[0])]
    assert (points.severity, clock.severity, clock.subject) == ("wrong", "ok", "press/clock")
    assert "2 of 3 points doubtful: hot (UncertainEngineeringUnitsExceeded), gone (BadNodeIdUnknown)" in points.found.en
    assert "browse the device again" in points.mend.en
    assert [detail.en for detail in points.details] == [
        "hot: 900 °C, UncertainEngineeringUnitsExceeded; plausible: …..90 °C",
        "gone: -, BadNodeIdUnknown",
        "oil: the device delivers bar, configured is kPa",
    ]


async def test_a_value_out_of_range_alone_is_only_to_be_looked_at(press: str, tmp_path: Path) -> None:
    config = configuration(tmp_path, opcua(press, 'name = "hot"\nnode = "nsu=urn:p;s=hot"\nunit = "CEL"\nhigh = 90'))
    assert [finding.severity async for finding in check_device(config.devices[0])] == ["look", "ok"]


def certified(folder: Path, name: str, days: int) -> tuple[Path, Path]:
    """Write a self-signed certificate for `name` that ends in `days`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400)).not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / f"{name}.{days}.pem", folder / f"{name}.{days}.key"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@pytest.fixture
async def https(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts servers that speak TLS and answer nothing; gives the port and the file of the certificate."""
    servers = []

    async def start(name: str = "localhost", days: int = 300) -> tuple[int, Path]:
        certificate, key = certified(tmp_path, name, days)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return server.sockets[0].getsockname()[1], certificate

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def steps(url: str, folder: Path, ca: Path | None = None) -> dict[str, Finding]:
    cloud = CloudConfig(url=url, ca=ca)
    return {finding.subject: finding async for finding in check_cloud(cloud, folder)}


async def test_each_step_to_the_cloud_fails_by_its_own_name(https: Callable[..., Any], tmp_path: Path) -> None:
    found = await steps("https://nobody.invalid", tmp_path)
    assert ([*found], found["cloud/name"].severity) == (["cloud/name"], "wrong")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = await steps(f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path)
    assert [*found] == ["cloud/name", "cloud/port"]
    assert "127.0.0.1 is an address" in found["cloud/name"].found.en
    assert "nothing listens on port" in found["cloud/port"].mend.en
    assert found["cloud/port"].found.en.endswith("cannot be reached: Connection refused")
    port, own = await https()
    found = await steps(f"https://localhost:{port}", tmp_path)
    assert [*found] == ["cloud/name", "cloud/port", "cloud/tls"]
    assert "cloud.ca" in found["cloud/tls"].mend.en
    found = await steps(f"https://localhost:{port}", tmp_path, own)
    assert (found["cloud/tls"].severity, found["cloud"].severity) == ("ok", "wrong")
    assert "not enrolled" in found["cloud"].found.en


@pytest.mark.parametrize(
    ("name", "days", "severity", "said"),
    [
        ("localhost", 20, "look", "renewed before that day"),
        ("localhost", -1, "wrong", "date of this box first"),
        ("other", 300, "wrong", "the name that stands in the certificate"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    https: Callable[..., Any], tmp_path: Path, name: str, days: int, severity: str, said: str
) -> None:
    port, own = await https(name, days)
    finding = (await steps(f"https://localhost:{port}", tmp_path, own))["cloud/tls"]
    assert finding.severity == severity
    assert said in finding.mend.en


async def test_a_port_that_speaks_no_tls(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        found = await steps(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path)
    assert (found["cloud/port"].ok, found["cloud/tls"].ok) == (True, False)


METER = '[[device]]\nname = "meter"\ntemplate = "demo-energy-meter"\nconnection = {{ host = "127.0.0.1" }}\n'


@pytest.mark.parametrize(
    ("buffer", "severity", "found", "mend"),
    [
        ("limit_mb = 2048", "ok", "(as configured)", ""),
        ("limit_mb = 1", "wrong", "room for", "raise buffer.limit_mb"),
        ("limit_mb = 2048\nlimit_h = 5", "wrong", "room for 5 h", "raise buffer.limit_h,"),
    ],
)
async def test_how_long_the_buffer_lasts(tmp_path: Path, buffer: str, severity: str, found: str, mend: str) -> None:
    finding = await check_room(configuration(tmp_path, f"[buffer]\n{buffer}\n{METER.format()}"))
    assert finding.severity == severity
    assert found in finding.found.en
    assert mend in finding.mend.en


GUARDED = """
[[device]]
name = "press"
protocol = "opcua"
[device.connection]
endpoint = "opc.tcp://10.255.0.1:4840"
security = "none"
{user}
[[device.point]]
name = "setpoint"
node = "nsu=urn:p;s=x"
write = {{ min = 0, max = 1 }}
"""


def secured(config: Config, folder: Path) -> dict[str, Finding]:
    return {finding.subject: finding for finding in check_security(config, folder / "agent.toml")}


def test_how_the_box_is_guarded(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "agent.key").touch(mode=0o600)
    found = secured(configuration(tmp_path), tmp_path)
    assert {name: finding.severity for name, finding in found.items() if name != "security/listening"} == {
        "security/files": "ok",
        "security/connections": "ok",
        "security/certificates": "ok",
        "security/writes": "ok",
        "security/user": "look" if os.geteuid() == 0 else "ok",
    }
    (tmp_path / "state" / "agent.key").chmod(0o644)
    (tmp_path / "state").chmod(0o777)
    config = configuration(tmp_path, GUARDED.format(user=""), "http://10.255.0.1")
    found = secured(config, tmp_path)
    assert found["security/files"].severity == "wrong"
    assert (
        f"chmod 600 {tmp_path / 'state' / 'agent.key'}; chmod o-w {tmp_path / 'state'}"
        in found["security/files"].mend.en
    )
    assert found["security/connections"].severity == "look"
    assert "press: security is none" in found["security/connections"].found.en
    assert "http://10.255.0.1 is not encrypted" in found["security/connections"].found.en
    (tmp_path / "agent.toml").touch()
    (tmp_path / "agent.toml").chmod(0o644)
    config = configuration(tmp_path, GUARDED.format(user='user = "u"\npassword = "p"'))
    config = config.model_copy(update={"agent": config.agent.model_copy(update={"allow_writes": True})})
    found = secured(config, tmp_path)
    assert found["security/connections"].severity == "wrong"
    assert "a password is sent" in found["security/connections"].found.en
    assert "agent.toml" in found["security/files"].found.en
    assert "press/setpoint" in found["security/writes"].found.en


@pytest.mark.parametrize(("days", "severity"), [(300, "ok"), (40, "look"), (-1, "wrong")])
def test_certificates_are_watched(tmp_path: Path, days: int, severity: str) -> None:
    certificate, _ = certified(tmp_path, "edge", days)
    trusted = tmp_path / "pki" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "press.pem").write_bytes(certificate.read_bytes())
    config = configuration(tmp_path, GUARDED.format(user="").replace('"none"', '"basic256sha256"'))
    finding = secured(config, tmp_path)["security/certificates"]
    assert finding.severity == severity
    assert ("press.pem" in finding.found.en) == (severity != "ok")


def test_open_ports_are_found() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as inside,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        ports = {inside.getsockname()[1], six.getsockname()[1]}
        found = [listener for listener in listeners_of(os.getpid()) if listener.port in ports]
    assert len(found) == 2
    assert all(listener.address.is_loopback for listener in found)
    assert not [listener for listener in listeners_of(os.getpid()) if listener.port in ports]


def test_a_port_open_to_the_network_is_named() -> None:
    listeners = [Listener(ip_address("192.0.2.7"), 8020), Listener(ip_address("127.0.0.1"), 8021)]
    finding = _ports(listeners)
    assert finding.severity == "look"
    assert "192.0.2.7:8020" in finding.found.en
    assert "8021" not in finding.found.en


def test_processes_are_found_by_their_program(tmp_path: Path) -> None:
    program = tmp_path / "some-program"
    program.write_text("import time; print('ready', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert processes_of("some-program") == [process.pid]
        finally:
            process.kill()
    assert processes_of("some-program") == []


def test_this_box_is_told_from_others() -> None:
    assert [is_this_box(host) for host in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "plc")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path: Path) -> None:
    findings = [
        Finding("meter", "ok", Text("fine", "好")),
        Finding("cloud", "wrong", Text("<b>no</b>", "<b>不</b>"), Text("do", "做"), [Text("one", "一")]),
    ]
    page = check_page("box & co", findings, "2026-01-01", "zh")
    assert "&lt;b&gt;不&lt;/b&gt;" in page
    assert "box &amp; co" in page
    assert page.index("云端：登录") < page.index("meter")
    assert "→ 做" in page
    assert "<li>一</li>" in page
    assert not [part for part in ("http:", "https:", "src=", "<script", "url(") if part in page]
