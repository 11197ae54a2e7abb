"""Who is let in, and whom we trust: passwords, topics that are not allowed, TLS both ways."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from shutil import which

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from protocols.errors import Refused, Unreachable
from protocols.mqtt.broker import Broker
from tests.protocols.mqtt.mqtt_stand import needs_mosquitto, opened, point, running

pytestmark = needs_mosquitto
POINTS = [point("n")]


def authority(folder: Path, name: str) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    """Make a certificate authority: `<name>.pem` in `folder`."""
    subject, key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ec.generate_private_key(ec.SECP256R1())
    write(folder / f"{name}.pem", build(subject, key, subject, key, ca=True))
    return subject, key


def issue(folder: Path, name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey]) -> None:
    """Make a certificate of 127.0.0.1: `<name>.pem` and `<name>.key` in `folder`."""
    subject, key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ec.generate_private_key(ec.SECP256R1())
    write(folder / f"{name}.pem", build(subject, key, *issuer, ca=False))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))


def build(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, by: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(by, hashes.SHA256())
    )


def write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    ours = authority(tmp_path, "ca")
    authority(tmp_path, "stranger")
    for name in ("broker", "agent"):
        issue(tmp_path, name, ours)
    return tmp_path


def tls_settings(pki: Path, *more: str) -> str:
    files = (f"cafile {pki}/ca.pem", f"certfile {pki}/broker.pem", f"keyfile {pki}/broker.key")
    return "\n".join((f"user {getpass.getuser()}", *files, "allow_anonymous true", *more))


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker with one user, "agent", who may read t/n only."""
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    if which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    make = ["mosquitto_passwd", "-c", "-b", passwords, "agent", "right"]
    subprocess.run(make, check=True, capture_output=True)  # noqa: ASYNC221 # it takes milliseconds
    rights.write_text("user agent\ntopic readwrite t/n\ntopic deny secret/#\n")
    rights.chmod(0o700)
    async with running(
        f"user {getpass.getuser()}\npassword_file {passwords}\nacl_file {rights}\nallow_anonymous false"
    ) as broker:
        yield broker


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("fields", [{}, {"user": "agent", "password": "wrong"}, {"user": "nobody"}])
async def test_wrong_credentials_are_refused_with_what_to_do(
    guarded: Broker, version: str, fields: dict[str, str]
) -> None:
    with pytest.raises(
        Refused, match=f"127.0.0.1:{guarded.port} does not let us in: .* - check user and password"
    ) as no:
        async with opened(guarded.port, POINTS, version=version, **fields):
            pass
    assert "wrong" not in str(no.value)


async def test_right_credentials_let_in_and_topics_not_allowed_stay_without_a_value(guarded: Broker) -> None:
    points = [*POINTS, point("secret", topic="secret/x")]
    fields = {"user": "agent", "password": "right", "timeout_s": 0.5}
    async with opened(guarded.port, points, **fields) as driver:
        await driver.read(points[:1])
        readings = await driver.read(points)
    assert all(reading.value is None and reading.quality < 0 for reading in readings)


async def test_a_broker_that_is_vouched_for_is_trusted(pki: Path) -> None:
    async with (
        running(tls_settings(pki)) as broker,
        opened(broker.port, POINTS, security="tls", ca=pki / "ca.pem", timeout_s=0.5) as driver,
    ):
        (reading,) = await driver.read(POINTS)
        assert reading.value is None


async def test_a_broker_nobody_vouches_for_is_refused(pki: Path) -> None:
    async with running(tls_settings(pki)) as broker:
        for fields in ({}, {"ca": pki / "stranger.pem"}, {"ca": pki / "ca.pem", "host": "localhost"}):
            with pytest.raises(Refused, match="shows a certificate that is not trusted") as no:
                async with opened(broker.port, POINTS, security="tls", **fields):
                    pass
            assert "give its authority in ca" in str(no.value)


async def test_a_client_certificate_lets_in_where_it_is_asked_for(pki: Path) -> None:
    ours = {"security": "tls", "ca": pki / "ca.pem"}
    async with running(tls_settings(pki, "require_certificate true")) as broker:
        with pytest.raises((Unreachable, Refused), match="client certificate"):
            async with opened(broker.port, POINTS, **ours) as driver:
                await driver.read(POINTS)
        own = {"certificate": pki / "agent.pem", "key": pki / "agent.key"}
        async with opened(broker.port, POINTS, timeout_s=0.5, **ours, **own) as driver:
            await driver.read(POINTS)


async def test_a_broker_without_tls_is_not_spoken_to_in_clear() -> None:
    async with running() as broker:
        with pytest.raises((Unreachable, Refused), match="check port"):
            async with opened(broker.port, POINTS, security="tls"):
                pass
