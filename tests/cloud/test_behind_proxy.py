"""Two processes of the cloud behind the deployed proxy, a real Caddy: one is killed, senders trickle, pages go on."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import httpx
import msgspec
import psycopg
import pytest
from playwright.sync_api import Page, sync_playwright

from cloud.core.db import Database
from cloud.identity.schemas import SiteRequest, UserRequest
from cloud.identity.service import Identity
from deploy.demo.processes import Plant as Programs
from deploy.demo.processes import wait_until
from deploy.demo.screenshots import CHROMIUM, FLAGS, log_in
from protocols.reading import now_us
from protocols.text import Text
from protocols.uplink.codec import columns_of
from protocols.uplink.messages import Batch, PointRef
from tests.cloud.conftest import PASSWORD, SECRETS
from tests.doubles.agent import readings
from tests.doubles.plant import Plant
from tests.doubles.proxied import CADDY, CADDYFILE, Proxied, caddy_command

pytestmark = pytest.mark.skipif(
    CADDY is None, reason="CADDY IS MISSING: nothing behind the proxy is tested (apt install caddy)"
)

CHANGES = "/api/v1/changes"
JSON = "application/json"
AGENTS, EACH = 3, 20
EMAIL = "owner@example.com"


@pytest.fixture(scope="module")
def proxied(app_dsn: str) -> Iterator[Proxied]:
    with TemporaryDirectory(prefix="sunmao-test-") as folder, Programs(Path(folder)) as programs:
        behind = Proxied(programs, app_dsn, 2)
        (programs.folder / "cloud").mkdir()
        (programs.folder / "cloud" / "secrets.json").write_bytes(msgspec.json.encode(SECRETS))
        (programs.folder / "cloud" / "secrets.json").chmod(0o600)
        asyncio.run(_founded(app_dsn))
        behind.start()
        yield behind
        for name in list(programs.processes):
            programs.kill(name)


async def _founded(dsn: str) -> None:
    """Found a company with a site and an owner."""
    async with Database(dsn) as db:
        identity = Identity(db, SECRETS)
        scope = await identity.create_tenant("T")
        await identity.create_site(scope, SiteRequest(name="main"), "test")
        await identity.create_user(scope, UserRequest(email=EMAIL, password=PASSWORD, role="owner"), "test")


@pytest.fixture(scope="module")
def http(proxied: Proxied) -> Iterator[httpx.Client]:
    """The owner's, signed in."""
    with httpx.Client(base_url=proxied.url, verify=proxied.tls(), timeout=30) as client:
        client.post("/api/v1/sessions", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
        yield client


@pytest.fixture
def page(proxied: Proxied) -> Iterator[Page]:
    """A browser that is signed in and shows a page."""
    if not Path(CHROMIUM).exists():
        pytest.skip("CHROMIUM IS MISSING: no page has been tested (apt install chromium-headless-shell)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(base_url=proxied.url, ignore_https_errors=True).new_page()
        page.set_default_timeout(40_000)
        log_in(page, EMAIL, PASSWORD)
        page.wait_for_function("window.did_handshake")
        yield page
        browser.close()


class Follower:
    """Follows the stream of changes as a browser does: cut, it comes back with the last id."""

    def __init__(self, http: httpx.Client) -> None:
        self._http, self._last_id = http, ""
        self.opened = 0

    def until(self, wanted: set[float]) -> None:
        """Return once all of these values were seen."""
        missing = set(wanted)
        while missing:
            headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
            with suppress(httpx.TransportError), self._http.stream("GET", CHANGES, headers=headers) as answer:
                self.opened += answer.status_code == httpx.codes.OK
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        self._last_id = value
                    if name == "data":
                        missing -= {each["value"] for each in json.loads(value)["values"]}
                    if not missing:
                        break


def _enrolled(proxied: Proxied, http: httpx.Client, name: str) -> Plant:
    agent = Plant(httpx.Client(base_url=proxied.url, verify=proxied.tls(), timeout=30))
    site = http.get("/api/v1/sites").json()[0]["id"]
    agent.enrol(http.post("/api/v1/enrolment-codes", json={"site_id": site}).json()["code"], name)
    return agent


def _batch(value: float) -> Batch:
    return Batch(columns=columns_of(readings(PointRef("meter-1", f"p{value:g}", "", "C62"), [value], now_us()))[0])


def _deliver(agent: Plant, value: float) -> None:
    """Deliver a value of a point of its own, the same frame again until it is acknowledged, to any process."""
    batch = _batch(value)
    while True:
        agent.client.cookies.clear()
        seq = agent.seq
        try:
            return agent.deliver(batch)
        except httpx.TransportError:
            agent.seq = seq
        except AssertionError as error:
            if not re.search(r": 50[23]", str(error)):
                raise
            agent.seq = seq


def _go_on(agent: Plant, values: list[float], killed: Event) -> None:
    for value in values[: len(values) // 2]:
        _deliver(agent, value)
    assert killed.wait(60)
    for value in values[len(values) // 2 :]:
        _deliver(agent, value)


def test_one_of_two_is_killed_and_everybody_goes_on(
    proxied: Proxied, http: httpx.Client, page: Page, owner_dsn: str
) -> None:
    agents = [_enrolled(proxied, http, f"box-{number}") for number in range(AGENTS)]
    values = [[float(number * EACH + each) for each in range(EACH)] for number in range(AGENTS)]
    follower, killed = Follower(http), Event()
    page.evaluate("window.before = true")
    sticky = {each["name"]: each["value"] for each in page.context.cookies()}["sunmao_process"]
    dials = [url.removeprefix("http://").encode() for url in proxied.bare]
    home = [hmac.new(b"", dial, "sha256").hexdigest() for dial in dials].index(sticky)
    with ThreadPoolExecutor(AGENTS + 1) as threads:
        following = threads.submit(follower.until, {value for each in values for value in each})
        going_on = [threads.submit(_go_on, *each, killed) for each in zip(agents, values, strict=True)]
        wait_until(lambda: follower.opened, 20, Text("the stream", "变更流"))
        proxied.plant.kill(f"cloud-{home}")
        killed.set()
        page.wait_for_function("window.before === undefined && window.did_handshake")
        proxied.start_process(home)
        for each in (*going_on, following):
            each.result(60)
    for agent in agents:
        agent.client.close()
    with psycopg.connect(owner_dsn) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT series_id) FROM telemetry").fetchone()
    assert counted == (AGENTS * EACH, AGENTS * EACH)
    assert http.get("/api/v1/telemetry/stats").json()["ledger_readings"] == AGENTS * EACH


def test_what_is_sent_goes_to_who_is_left(proxied: Proxied, http: httpx.Client) -> None:
    agent = _enrolled(proxied, http, "box-left")
    proxied.plant.kill("cloud-0")
    try:
        _deliver(agent, 1000.0)
        time.sleep(3)  # by then the proxy has noticed
        for value in range(1001, 1031):
            agent.client.cookies.clear()
            agent.deliver(_batch(value))
    finally:
        proxied.start_process(0)
    agent.client.close()


def test_who_trickles_is_cut_off_and_who_listens_is_not(proxied: Proxied, http: httpx.Client) -> None:
    agent = _enrolled(proxied, http, "box")
    head = b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n"
    with closing(agent.client), http.stream("GET", CHANGES) as stream:
        begun = {
            proxied.http_port: head,
            proxied.https_port: head,
            -proxied.https_port: head + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        }
        with ThreadPoolExecutor(len(begun)) as threads:
            list(threads.map(partial(_trickled_until_cut, proxied), begun, begun.values()))
        _deliver(agent, 777.0)
        lines = stream.iter_lines()
        assert next((line for line in lines if '"value":777.0' in line), None), "the stream was cut, too"


def _trickled_until_cut(proxied: Proxied, port: int, begin: bytes) -> None:
    """Send `begin`, and a byte now and then until the other side hangs up."""
    with socket.create_connection(("127.0.0.1", abs(port)), timeout=0.1) as plain:
        tls = proxied.tls()
        with plain if port == proxied.http_port else tls.wrap_socket(plain, server_hostname="localhost") as line:
            line.sendall(begin)
            with suppress(ConnectionError, ssl.SSLError):
                while True:
                    try:
                        if not line.recv(4096):
                            return
                    except TimeoutError:
                        line.sendall(b"a")


def test_what_a_browser_and_a_stranger_are_told(proxied: Proxied, http: httpx.Client) -> None:
    sent = httpx.get(f"http://localhost:{proxied.http_port}/points?a=b")
    assert (sent.status_code, sent.headers["location"]) == (308, "https://localhost/points?a=b")
    answer = http.get("/login")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert http.get("/metrics").status_code == httpx.codes.NOT_FOUND
    with suppress(httpx.TransportError):  # cut off is as good as refused
        huge = http.post("/api/v1/sessions", content=(b"x" * 2**20 for _ in range(65)), headers={"Content-Type": JSON})
        assert huge.is_client_error
    longest = http.get("/api/v1/points", headers={"X-Long": "x" * 40_000})
    assert longest.status_code == httpx.codes.REQUEST_HEADER_FIELDS_TOO_LARGE


@pytest.mark.parametrize("more", [{}, {"SUNMAO_UPSTREAM": "cloud", "SUNMAO_UPSTREAM_IS": "name"}])
def test_the_file_is_valid_as_it_is(more: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        caddy_command("validate", CADDYFILE, [8000, 8001], tmp_path, more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout
