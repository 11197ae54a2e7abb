"""A real cloud in a process of its own, two companies, a plant that delivers to one of them, and a real browser."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright
from typer.testing import CliRunner

from cloud.cli import app
from deploy.demo.screenshots import CHROMIUM, FLAGS, log_in
from protocols.uplink.messages import Inspection
from tests.cloud.conftest import quick_folder
from tests.cloud.sharing.pair import new_credit_code
from tests.doubles.factory import LINES, Factory, deliver_factory
from tests.doubles.plant import Plant

CLOUD = Path(sys.executable).with_name("sunmao-cloud")
PASSWORD = "joined-without-a-nail"
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
SCREENS = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@dataclass
class Company:
    """One tenant of the cloud: who logs in, and the code that lets its next gateway in."""

    email: str
    url: str
    client: httpx.Client
    credit_code: str = ""

    def code(self) -> str:
        site = self.client.get("/api/v1/sites").json()[0]["id"]
        return str(self.client.post("/api/v1/enrolment-codes", json={"site_id": site}).json()["code"])


@dataclass
class Delivered:
    """What the plant has delivered before the tests begin."""

    plant: Plant
    inspections: list[Inspection]

    @property
    def defect(self) -> Inspection:
        return next(each for each in reversed(self.inspections) if each.verdict == "reject")


def run(data: Path, *words: str, stdin: str = "") -> None:
    """Run a command of the cloud; in a thread, as Playwright keeps an event loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(CliRunner().invoke, app, [*words, "--data", str(data)], input=stdin).result(timeout=60)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="session")
def cloud_data() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sunmao-test-", dir=quick_folder()) as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="session")
def cloud(cloud_data: Path) -> Iterator[str]:
    """The address of a running `sunmao-cloud serve`."""
    errors = cloud_data.parent / "stderr"
    with errors.open("w") as log:
        server = subprocess.Popen(
            [CLOUD, "serve", "--data", str(cloud_data), "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            url = next((said["url"] for line in lines if "url" in (said := json.loads(line))), None)
            assert url, errors.read_text()
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=20)
            server.stdout.close()
    assert "Traceback" not in errors.read_text(), errors.read_text()


@pytest.fixture(scope="session")
def found(cloud: str, cloud_data: Path) -> Iterator[Callable[..., Company]]:
    """Found a company with one site and one owner."""
    clients: list[httpx.Client] = []

    def make(name: str, site: str = "") -> Company:
        email = f"{name}@example.com"
        site, code = site or f"{name} plant", new_credit_code()
        place = ("--site", site, "--time-zone", "Asia/Shanghai")
        run(cloud_data, "tenant", "create", "--name", name, "--credit-code", code, *place)
        run(cloud_data, "user", "create", "--email", email, "--tenant", name, "--password-stdin", stdin=PASSWORD + "\n")
        client = httpx.Client(base_url=cloud, timeout=30)
        clients.append(client)
        client.post("/api/v1/sessions", json={"email": email, "password": PASSWORD}).raise_for_status()
        return Company(email, cloud, client, code)

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def ours(found: Callable[..., Company]) -> Company:
    return found("harbour")


@pytest.fixture(scope="session")
def theirs(found: Callable[..., Company]) -> Company:
    return found("stranger")


@pytest.fixture(scope="session")
def delivered(cloud: str, ours: Company) -> Iterator[Delivered]:
    """An enrolled plant with an hour of past values and a dozen inspected parts, two of them scratched."""
    with httpx.Client(base_url=cloud, timeout=30) as client:
        plant = Plant(client)
        plant.enrol(ours.code())
        plant.report_health()
        plant.deliver_past(1.0, step_s=10)
        yield Delivered(plant, plant.deliver_inspections(12, defects=(4, 10)))


@pytest.fixture(scope="session")
def works(found: Callable[..., Company]) -> Company:
    """The company whose factory `factory` is."""
    return found("works", next(iter(LINES)))


@pytest.fixture(scope="session")
def factory(cloud: str, works: Company) -> Iterator[Factory]:
    """Two sites, three lines and thirteen machines with fourteen days behind them, in a cloud; see `tests.doubles.factory`."""
    with httpx.Client(base_url=cloud, timeout=60) as agents:
        yield deliver_factory(works.client, agents)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop running in this thread while it is open; tests of other rooms bring their own.
    if not Path(CHROMIUM).exists():
        pytest.skip("CHROMIUM IS MISSING: no page has been tested (apt install chromium-headless-shell)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a browser must not do: complain on its console, fail to load something, or ask another host."""

    host: str
    faults: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on(
            "response", lambda answer: answer.status >= 500 and self.faults.append(f"{answer.status}: {answer.url}")
        )
        page.on("request", lambda request: self._request(request.url))

    def _console(self, kind: str, text: str) -> None:
        # A browser reports an answer's own status on the console; what is not there, or no picture, is asked on purpose.
        if kind in {"error", "warning"} and not re.search("status of (404|422)", text):
            self.faults.append(f"console {kind}: {text}")

    def _request(self, url: str) -> None:
        if not re.match(rf"(http://{re.escape(self.host)}/|data:|blob:)", url):
            self.faults.append(f"foreign request: {url}")


Open = Callable[..., Page]


def _persist(page: Page) -> None:
    """Go where a page is told to go again, once, if it was just then loading itself anew: the browser gives one of the two up."""
    go = page.goto

    def goto(url: str, **options: Any) -> Any:
        try:
            return go(url, **options)
        except Error as error:
            if "ERR_ABORTED" not in str(error):
                raise
            return go(url, **options)

    page.goto = goto


@pytest.fixture
def open_browser(browser: Browser, cloud: str) -> Iterator[Open]:
    """Open a fresh browser profile; at the end nothing may have gone wrong in any of them."""
    watch = Watch(cloud.removeprefix("http://"))
    contexts = []

    def make(language: str = "en", screen: str = "desktop", *, company: Company | None = None) -> Page:
        context = browser.new_context(base_url=cloud, locale=LOCALES[language], viewport=SCREENS[screen])
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        watch.over(page)
        _persist(page)
        if company:
            log_in(page, company.email, PASSWORD)
            page.locator(".page h1").wait_for()
            page.wait_for_function("window.did_handshake")  # a page may load itself anew until then
        return page

    yield make
    for context in contexts:
        context.close()
    assert watch.faults == []
