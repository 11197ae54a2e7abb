"""Signed and encrypted connections: who trusts whom, what a person is told, and that it lasts."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.errors import ConfigError, Refused
from protocols.opcua.certificates import (
    check_trusted,
    expiry_notice,
    fingerprint,
    own_identity,
    server_certificate,
)
from protocols.opcua.session import Session
from protocols.opcua.simulator import OpcuaSimulator
from protocols.opcua.trust import approve, known_certificates, withdraw
from tests.protocols.opcua.opcua_stand import DEADLINE_S, Inbox, opened, point

SPEED = point("Speed")


class SecureServer:
    """A simulator with Basic256Sha256 that lets in only the clients in `trust_dir`."""

    def __init__(self, folder: Path) -> None:
        self.trust_dir = folder / "trusted"
        self.rejected = folder / "rejected"
        self.certificate = folder / "own" / "certificate.der"
        self.endpoint = ""
        self.simulator = OpcuaSimulator(
            [SPEED],
            lambda: {"Speed": 1480},
            security="basic256sha256",
            pki=folder / "own",
            trust_dir=self.trust_dir,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SecureServer]:
    server = SecureServer(tmp_path_factory.mktemp("server"))
    server.endpoint = await server.simulator.start()
    yield server
    await server.simulator.stop()


def connection(folder: Path, **fields: Any) -> dict[str, Any]:
    """Connection fields of an agent whose certificates lie under `folder`."""
    return {
        "security": "basic256sha256",
        "certificate": folder / "own" / "certificate.der",
        "key": folder / "own" / "private-key.pem",
        "trust_dir": folder / "trusted",
        "timeout_s": 5,
        **fields,
    }


def move_all(source: Path, target: Path) -> None:
    """What a person does to trust a certificate."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        file.rename(target / file.name)


@pytest.mark.asyncio(loop_scope="module")
async def test_trust_is_given_once_on_each_side_by_moving_a_file(server: SecureServer, tmp_path: Path) -> None:
    fields = connection(tmp_path)
    theirs = fingerprint(x509.load_der_x509_certificate(server.certificate.read_bytes()))
    with pytest.raises(Refused, match=theirs) as refused:
        async with opened(server.endpoint, **fields):
            pass
    (saved,) = (tmp_path / "rejected").iterdir()
    assert str(saved) in str(refused.value)
    assert saved.read_bytes() == server.certificate.read_bytes()

    move_all(tmp_path / "rejected", tmp_path / "trusted")
    ours = fingerprint(x509.load_der_x509_certificate(fields["certificate"].read_bytes()))
    with pytest.raises(Refused, match=ours) as refused:
        async with opened(server.endpoint, **fields):
            pass
    assert str(fields["certificate"]) in refused.value.explain("zh")

    move_all(server.rejected, server.trust_dir)
    inbox = Inbox()
    for _ in range(2):  # the identity is kept
        async with opened(server.endpoint, **fields) as driver:
            (reading,) = await driver.read([SPEED])
            await driver.subscribe([SPEED], 0.1, inbox.deliver)
            await inbox.until(lambda latest: "Speed" in latest)
        assert reading.value == 1480


@pytest.mark.asyncio(loop_scope="module")
async def test_a_secure_channel_is_renewed_before_it_ends(
    server: SecureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[bool] = []
    original_client: Callable[[Session], Client] = Session._new_client
    original_open = Client.open_secure_channel

    def short_lived(self: Session) -> Client:
        client = original_client(self)
        client.secure_channel_timeout = 400
        return client

    async def open_secure_channel(self: Client, renew: bool = False) -> None:
        await original_open(self, renew)
        renewed.append(renew)

    monkeypatch.setattr(Session, "_new_client", short_lived)
    monkeypatch.setattr(Client, "open_secure_channel", open_secure_channel)
    fields = connection(tmp_path)
    own_identity(fields["certificate"], fields["key"], "edge")
    for trusted, file in ((server.trust_dir, fields["certificate"]), (fields["trust_dir"], server.certificate)):
        trusted.mkdir(parents=True, exist_ok=True)
        (trusted / f"{tmp_path.name}.der").write_bytes(file.read_bytes())
    async with opened(server.endpoint, **fields) as driver:
        watch = asyncio.create_task(driver.watch())
        async with asyncio.timeout(DEADLINE_S):
            while renewed.count(True) < 3:
                (reading,) = await driver.read([SPEED])
                assert reading.value == 1480
                assert not watch.done()
                await asyncio.sleep(0.02)
        watch.cancel()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_server_does_not_offer_is_refused_with_what_it_does(
    server: SecureServer, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="Basic256Sha256/SignAndEncrypt"):
        async with opened(server.endpoint, **connection(tmp_path, security="aes256sha256rsapss")):
            pass


def test_the_own_key_is_for_its_owner_only_and_never_replaced(tmp_path: Path) -> None:
    certificate, key = tmp_path / "own" / "certificate.der", tmp_path / "own" / "private-key.pem"
    identity = own_identity(certificate, key, "edge")
    assert identity.application_uri.endswith(":sunmao:edge")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert own_identity(certificate, key, "edge").certificate == identity.certificate
    certificate.unlink()
    with pytest.raises(ConfigError, match=r"certificate\.der"):
        own_identity(certificate, key, "edge")
    assert not certificate.exists()


def test_a_certificate_of_another_key_is_a_configuration_error(tmp_path: Path) -> None:
    own_identity(tmp_path / "a.der", tmp_path / "a.pem", "edge")
    own_identity(tmp_path / "b.der", tmp_path / "b.pem", "edge")
    with pytest.raises(ConfigError, match=r"a\.der is not .* the key .*b\.pem"):
        own_identity(tmp_path / "a.der", tmp_path / "b.pem", "edge")
    (tmp_path / "a.der").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"a\.der"):
        own_identity(tmp_path / "a.der", tmp_path / "a.pem", "edge")


def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file, where a folder should be")
    with pytest.raises(ConfigError, match="own"):
        own_identity(tmp_path / "own" / "certificate.der", tmp_path / "own" / "private-key.pem", "edge")


URI = "urn:plc:1"


def test_a_certificate_that_ends_soon_is_announced_in_time(tmp_path: Path) -> None:
    file = tmp_path / "own.der"
    assert expiry_notice(certificate(ends=61), file) is None
    for days in (59, 31, 1, -1):
        soon = certificate(starts=-3, ends=days)
        notice = expiry_notice(soon, file)
        assert notice is not None
        assert f"{soon.not_valid_after_utc:%Y-%m-%d}" in notice.en
        assert str(file) in notice.zh


@pytest.mark.asyncio(loop_scope="module")
async def test_an_own_certificate_that_ends_soon_is_a_notice_of_the_driver(
    server: SecureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = connection(tmp_path)
    monkeypatch.setattr("protocols.opcua.certificates._VALID", timedelta(days=40))
    own_identity(fields["certificate"], fields["key"], "edge")
    for trusted, file in ((server.trust_dir, fields["certificate"]), (fields["trust_dir"], server.certificate)):
        trusted.mkdir(parents=True, exist_ok=True)
        (trusted / f"{tmp_path.name}.der").write_bytes(file.read_bytes())
    async with opened(server.endpoint, **fields) as driver:
        (notice,) = driver.notices()
    assert str(fields["certificate"]) in notice.en


def test_trust_is_given_and_taken_by_fingerprint(tmp_path: Path) -> None:
    trust_dir = tmp_path / "trusted"
    with pytest.raises(Refused):
        check_trusted(plc := certificate(), URI, trust_dir)
    (tmp_path / "rejected" / "notes.txt").write_text("not a certificate")
    (known,) = known_certificates(trust_dir)
    assert (known.name, known.application_uri, known.trusted) == ("plc", URI, False)
    assert known.fingerprint == fingerprint(plc)
    with pytest.raises(ConfigError, match="trust list"):
        approve(trust_dir, "00" * 32)
    approve(trust_dir, known.fingerprint)
    check_trusted(plc, URI, trust_dir)
    withdraw(trust_dir, known.fingerprint.lower())
    with pytest.raises(Refused):
        check_trusted(plc, URI, trust_dir)


def certificate(bits: int = 2048, starts: int = -1, ends: int = 1, uri: str = URI) -> x509.Certificate:
    """A server certificate; `starts` and `ends` in days from now."""
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "plc")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=starts))
        .not_valid_after(now + timedelta(days=ends))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"starts": -3, "ends": -1}, "valid from"),
        ({"starts": 1, "ends": 3}, "valid from"),
        ({"bits": 1024}, "weak key"),
        ({"uri": "urn:somebody:else"}, URI),
    ],
)
def test_a_trusted_certificate_must_also_be_sound(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    unsound = certificate(**fields)
    (tmp_path / "plc.pem").write_bytes(unsound.public_bytes(Encoding.PEM))
    with pytest.raises(Refused, match=said):
        check_trusted(unsound, URI, tmp_path)


def test_a_trusted_and_sound_certificate_passes_beside_other_files(tmp_path: Path) -> None:
    sound = certificate()
    (tmp_path / "README").write_text("certificates of machines")
    (tmp_path / "plc.pem").write_bytes(sound.public_bytes(Encoding.PEM))
    check_trusted(sound, URI, tmp_path)


def test_a_server_may_send_its_whole_chain() -> None:
    first, second = certificate(), certificate()
    chain = first.public_bytes(Encoding.DER) + second.public_bytes(Encoding.DER)
    assert server_certificate(chain) == first
