"""From the buffer to a cloud that misbehaves in every way a network can: nothing lost, nothing doubled, nothing stuck."""

from __future__ import annotations

import asyncio
import ssl
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge_agent import cloud_link, forward
from edge_agent.buffer import Buffer
from edge_agent.cloud_link import Busy, CloudLink, Rejected
from edge_agent.identity import Login, enrol, load_identity
from protocols.errors import ConfigError, Malformed, SunmaoError, Unreachable
from protocols.uplink.messages import Batch, ChallengeReply, ChallengeRequest
from tests.doubles.cloud import CODE, SWALLOW, Answer, CloudDouble
from tests.edge_agent.conftest import OpenBuffer, forwarding, until
from tests.edge_agent.numbered import numbered

PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in hundredths of seconds; its shape stays."""
    monkeypatch.setattr(forward, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(forward, "LOOK_FOR_IDENTITY_S", 0.01)


def stored(cloud: CloudDouble) -> list[int]:
    return sorted(int(value) for _, _, value, _ in cloud.readings())


async def fill(buffer: Buffer, end: int, first: int = 0) -> None:
    for number in range(first, end, 10):
        buffer.add_readings(numbered(number, 10))
        await buffer.flush()


FAULTS = {
    "reply lost after commit": [SWALLOW],
    "reply lost again and again": [SWALLOW] * 4,
    "too many requests": [Answer(429, headers="retry-after: 0\r\n")],
    "unavailable": [Answer(503), Answer(502), Answer(500)],
    "captive portal": [Answer(200, b"<html>please log in</html>")],
    "redirect to a portal": [Answer(302, headers="location: http://127.0.0.1/login\r\n")],
    "a wrong body of the right type": [Answer(200, b"\x93\x01", "application/msgpack")],
    "a receipt for somebody else": [
        Answer(200, b"\x82\xa6stored\x91\xcd\xff\xff\xa7refused\x90", "application/msgpack")
    ],
    "an empty receipt": [Answer(200, b"\x82\xa6stored\x90\xa7refused\x90", "application/msgpack")],
    "a proxy that refuses all": [Answer(400, b"<html>", "text/html")] * 5,
    "token no longer taken": [Answer(401, b"{}", PROBLEM)],
    "an endless body": [Answer(200, b"x" * 2_000_000, "application/msgpack")],
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_fault_loses_or_doubles_a_reading(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path, fault: str
) -> None:
    buffer = await open_buffer()
    await enrol(tmp_path, cloud.url, CODE, "a")
    await fill(buffer, 100)
    cloud.faults.extend(FAULTS[fault])
    async with forwarding(buffer, cloud, tmp_path):
        await until(lambda: len(stored(cloud)) == 100)
        buffer.add_readings(numbered(100, 10))
        await until(lambda: len(stored(cloud)) == 110)
    assert stored(cloud) == list(range(110))
    state = (await buffer.stats()).state
    assert (state.set_aside, state.dropped) == (0, 0)


async def test_a_page_with_status_200_is_no_receipt(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path
) -> None:
    buffer = await open_buffer()
    await enrol(tmp_path, cloud.url, CODE, "a")
    await fill(buffer, 50)
    cloud.faults.extend([Answer(200, b"<html>")] * 1000)
    async with forwarding(buffer, cloud, tmp_path) as forwarder:
        await until(lambda: forwarder.uplink.state == "down")
        assert (await buffer.stats()).rows == 50
        cloud.faults.clear()
        await until(lambda: forwarder.uplink.state == "up")
    assert stored(cloud) == list(range(50))
    await buffer.flush()
    assert (await buffer.stats()).rows == 0


async def test_a_cloud_that_was_away_gets_everything_and_the_outage_is_told_once(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path
) -> None:
    buffer = await open_buffer()
    await enrol(tmp_path, cloud.url, CODE, "a")
    async with forwarding(buffer, cloud, tmp_path) as forwarder:
        await fill(buffer, 10)
        await until(lambda: len(stored(cloud)) == 10)
        await cloud.stop()
        buffer.add_readings(numbered(10, 10))
        await until(lambda: forwarder.uplink.state == "down")
        await fill(buffer, 200, first=20)
        await cloud.start()
        await until(lambda: len(stored(cloud)) == 200)
        await until(lambda: cloud.events().count("cloud_back") == 1)
    assert stored(cloud) == list(range(200))
    assert cloud.events().count("cloud_lost") == 1


def poisoned(batch: Batch) -> bool:
    return batch.columns is not None and b"\x00\x00\x00\x00\x00\x80\x46\x40" in batch.columns.value  # 45.0


async def test_a_frame_the_cloud_refuses_is_set_aside_and_the_rest_passes(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path
) -> None:
    buffer = await open_buffer()
    await enrol(tmp_path, cloud.url, CODE, "a")
    await fill(buffer, 100)
    cloud.poison = lambda batch: "unit unknown" if poisoned(batch) else ""
    async with forwarding(buffer, cloud, tmp_path):
        await until(lambda: len(stored(cloud)) == 90)
        await until(lambda: "frame_refused" in cloud.events())
    state = (await buffer.stats()).state
    assert (state.set_aside, state.frames_set_aside) == (10, 1)
    assert stored(cloud) == [*range(40), *range(50, 100)]


async def test_a_frame_that_makes_the_cloud_refuse_whole_deliveries_is_found_and_set_aside(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path
) -> None:
    buffer = await open_buffer()
    await enrol(tmp_path, cloud.url, CODE, "a")
    await fill(buffer, 100)
    cloud.chokes_on = poisoned
    async with forwarding(buffer, cloud, tmp_path):
        await until(lambda: len(stored(cloud)) == 90)
        await until(lambda: "frame_refused" in cloud.events())
    assert (await buffer.stats()).state.set_aside == 10


async def test_a_backlog_passes_a_line_that_takes_small_deliveries_only(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path
) -> None:
    buffer = await open_buffer()
    await enrol(tmp_path, cloud.url, CODE, "a")
    await fill(buffer, 3000)
    cloud.most_bytes = 20_000
    async with forwarding(buffer, cloud, tmp_path):
        await until(lambda: len(stored(cloud)) == 3000)
    assert stored(cloud) == list(range(3000))
    assert (await buffer.stats()).state.set_aside == 0


async def test_an_answer_that_trickles_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hung_up = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        hung_up.set()

    monkeypatch.setattr(cloud_link, "EXCHANGE_S", 0.2)
    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server, CloudLink(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as link:
        with pytest.raises(Unreachable):
            await link.post(forward.BATCHES, ChallengeRequest("x"), ChallengeReply)
        await asyncio.wait_for(hung_up.wait(), 10)


@pytest.fixture
def own_authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A factory's own certificate, as a file and as a server shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "factory")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca, pem = tmp_path / "ca.pem", tmp_path / "key.pem"
    ca.write_bytes(certificate.public_bytes(Encoding.PEM))
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, pem)
    return ca, context


async def test_a_certificate_is_checked_and_an_authority_of_ones_own_can_be_trusted(
    own_authority: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    ca, context = own_authority
    cloud = CloudDouble(tls=context)
    await cloud.start()
    with pytest.raises(Unreachable, match=r"cloud\.ca"):
        await enrol(tmp_path, cloud.url, CODE, "a")
    assert (await enrol(tmp_path, cloud.url, CODE, "a", ca)).url == cloud.url
    await cloud.stop()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_can_not_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem") as caught:
        CloudLink("https://127.0.0.1", tmp_path / "ca.pem")
    assert caught.value.key == "cloud.ca"


async def test_an_agent_enrolled_while_it_runs_begins_to_send(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path
) -> None:
    buffer = await open_buffer()
    await fill(buffer, 20)
    async with forwarding(buffer, cloud, tmp_path) as forwarder:
        await until(lambda: "enrol" in forwarder.uplink.reason_en)
        await enrol(tmp_path, cloud.url, CODE, "a")
        await until(lambda: len(stored(cloud)) == 20)


async def test_a_token_is_renewed_before_it_expires_and_not_before_need(
    open_buffer: OpenBuffer, cloud: CloudDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    await enrol(tmp_path, cloud.url, CODE, "a")
    async with CloudLink(cloud.url) as link:
        login = Login(tmp_path, link)
        tokens = [await login.token() for _ in range(3)]
        clock += 0.85 * cloud.token_life_s
        tokens.append(await login.token())
    assert tokens == ["token-1", "token-1", "token-1", "token-2"]


async def test_a_token_that_is_good_is_used_while_no_new_one_is_given_and_many_ask_for_one_at_once(
    cloud: CloudDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    await enrol(tmp_path, cloud.url, CODE, "a")
    async with CloudLink(cloud.url) as link:
        login = Login(tmp_path, link)
        assert await asyncio.gather(*(login.token() for _ in range(4))) == ["token-1"] * 4
        await cloud.stop()
        clock += 0.85 * cloud.token_life_s
        assert await login.token() == "token-1"
        clock += 0.2 * cloud.token_life_s
        with pytest.raises(Unreachable):
            await login.token()


async def test_the_key_is_readable_by_its_owner_only_and_survives_a_second_enrolment(
    cloud: CloudDouble, tmp_path: Path
) -> None:
    identity = await enrol(tmp_path, cloud.url, f" {CODE.lower()} ", "a")
    key = tmp_path / "agent.key"
    first = key.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert load_identity(tmp_path) == identity
    await enrol(tmp_path, cloud.url, CODE, "a")
    assert key.read_bytes() == first
    assert b"PRIVATE" not in (tmp_path / "identity.json").read_bytes()


async def test_a_wrong_code_is_refused_and_leaves_no_identity(cloud: CloudDouble, tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        await enrol(tmp_path, cloud.url, "WRONG", "a")
    assert load_identity(tmp_path) is None
    async with CloudLink(cloud.url) as link:
        with pytest.raises(ConfigError, match="not enrolled"):
            await Login(tmp_path, link).token()


async def test_a_damaged_identity_is_named(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        load_identity(tmp_path)
    assert caught.value.key == str(tmp_path / "identity.json")


FATES: list[tuple[Answer, type[SunmaoError]]] = [
    (Answer(429, headers="retry-after: 7\r\n"), Busy),
    (Answer(503, headers="retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n"), Busy),
    (Answer(403), Rejected),
    (Answer(200, b"hello"), Malformed),
    (Answer(204), Malformed),
]


@pytest.mark.parametrize(("answer", "fate"), FATES)
async def test_every_answer_has_its_fate(cloud: CloudDouble, answer: Answer, fate: type[SunmaoError]) -> None:
    cloud.faults.append(answer)
    async with CloudLink(cloud.url) as link:
        with pytest.raises(fate) as caught:
            await link.post(forward.BATCHES, ChallengeRequest("x"), ChallengeReply)
    assert cloud.url in caught.value.explain("zh")
    if isinstance(caught.value, Busy):
        assert caught.value.retry_after_s == (7.0 if answer.status == 429 else 0.0)


async def test_nobody_there_is_unreachable(cloud: CloudDouble) -> None:
    await cloud.stop()
    async with CloudLink(cloud.url) as link:
        with pytest.raises(Unreachable):
            await link.post(forward.BATCHES, ChallengeRequest("x"), ChallengeReply)
