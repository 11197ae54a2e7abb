"""Every page, as every reader may see it: both languages, a desk's and a phone's screen, a real browser.

What each page must not do is checked here once for all of them: complain on the console, ask another host, run over the
side of a phone, show a word of the other language. How long they took to paint is left in `.pages/`, and with SUNMAO_PICTURES=1
in the environment pictures of all of them, to be looked at; with SUNMAO_PICTURES=guides those of the guides are taken anew.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as Late

from cloud.web.mount import PAGES
from cloud.web.places import PLACES
from tests.cloud.compute.test_kinds import Pump
from tests.cloud.sharing.pair import asked, new_credit_code
from tests.cloud.sharing.test_chain_trace import made
from tests.cloud.traceability.test_traceability import document
from tests.cloud.training.pictures import part, png
from tests.doubles.factory import Factory
from tests.journeys.conftest import PASSWORD, SCREENS, Company, run
from tests.journeys.test_translation import check, lines, other_language

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]

THINGS = ("urn:epc:class:lgtin:6901234.000001.7", "urn:epc:id:sgtin:6901234.000002.1")
OUT = Path(__file__).parents[2] / ".pages"
PICTURES = os.environ.get("SUNMAO_PICTURES", "")
GUIDES = Path(__file__).parents[2] / "docs" / "images" if PICTURES == "guides" else None
"""Where the pictures of `docs/guides` go, if they are wanted."""
IN_GUIDES = {"oee", "programme", "share", "provider", "market"}


def a_picture_set(company: Company) -> str:
    address = "/api/v1/training/sets"
    sets = company.client.get(address).json() or [company.client.post(address, json={"name": "bottle-cap"}).json()]
    return str(sets[0]["id"])


def a_machine_set(company: Company, factory: Factory) -> str:
    """Return the id of a machine's set that has two versions of its health model, the later one judged by a fault, too."""
    ask = company.client.request
    sets = ask("GET", "/api/v1/training/sets").json()
    if made := [each["id"] for each in sets if each["sensors"]]:
        return str(made[0])
    machine = factory.equipment["注塑机-03"]
    points = ask("GET", "/api/v1/points", params={"equipment_id": machine}).json()
    numbers = [point for point in points if point["name"] in {"MeltT", "MldT"}]
    body = {
        "name": "press-3",
        "equipment_id": machine,
        "sensors": {point["name"]: point["series_id"] for point in numbers},
        "period_s": 60,
    }
    made = ask("POST", "/api/v1/training/machines", json=body).raise_for_status().json()
    place, end = f"/api/v1/training/sets/{made['id']}", datetime.now(UTC) - timedelta(hours=2)
    good = {"start": (end - timedelta(days=2)).isoformat(), "end": end.isoformat(), "half_life": 3}
    fault = {"fault_start": end.isoformat(), "fault_end": (end + timedelta(hours=1)).isoformat()}
    for stretch in (good, good | fault):
        ask("POST", f"{place}/machine-fits", json=stretch).raise_for_status()
        ends = time.monotonic() + 60
        while (fit := ask("GET", f"{place}/fits").json()[0])["state"] in {
            "waiting",
            "running",
        } and time.monotonic() < ends:
            time.sleep(0.2)
        assert fit["state"] == "done", fit
    return str(made["id"])


def a_job(company: Company) -> str:
    """Return a job of the company's at an offer of its own whose worker has greeted and is silent since."""
    ask = company.client.request
    if jobs := ask("GET", "/api/v1/compute/jobs").json():
        return str(jobs[0]["id"])
    money = {"credit_code": company.credit_code, "amount": 100, "reference": "slip"}
    ask("POST", "/api/v1/billing/deposits", json=money).raise_for_status()
    pool = {"programme": "beijing", "amount": 1000, "closes_at": "2030-01-01T00:00:00Z"}
    ask("POST", "/api/v1/billing/pools", json=pool).raise_for_status()
    applied = {"programme": "beijing", "fee": 100, "purpose": "-", "contact": company.email}
    ask("POST", "/api/v1/billing/vouchers", json=applied).raise_for_status()
    terms = {"region": "CN-JS", "prices": [{"from_hour": 0, "yuan_per_hour": 2}], "takes_hours": True}
    offer = ask("POST", "/api/v1/compute/offers", json=terms).raise_for_status().json()
    hello = {"public_key": "A" * 43 + "=", "provider": "CPUExecutionProvider", "speed": 1, "no_walls": ""}
    worker = {"Authorization": f"Bearer {offer['token']}"}
    ask("POST", "/api/v1/compute/worker/hello", json=hello, headers=worker).raise_for_status()
    opinions = {"offer": offer["offer"]["code"], "budget": 3}
    ask("POST", "/api/v1/compute/servings", json=opinions).raise_for_status()
    set_id = a_picture_set(company)
    for number in range(28):
        query = {"set_id": set_id, "part": part(number)}
        picture = ask("POST", "/api/v1/training/pictures", params=query, content=png(number))
        picture.raise_for_status()
    job = {
        "kind": "fit",
        "set_id": set_id,
        "budget": 10,
        "deadline": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    return str(ask("POST", "/api/v1/compute/jobs", json=job).raise_for_status().json()["id"])


def hours_bought_ahead(company: Company) -> None:
    """Let the company, which runs the market, publish rates and buy hours of two chips."""
    ask = company.client.request
    money = {"credit_code": company.credit_code, "amount": 500, "reference": "slip 0"}
    ask("POST", "/api/v1/billing/deposits", json=money).raise_for_status()
    for chip, price in (("cpu", 2), ("ascend-910b", 12.5)):
        ask("PUT", "/api/v1/billing/bank/rates", json={"chip": chip, "yuan_per_hour": price}).raise_for_status()
        ask("POST", "/api/v1/billing/bank/deposits", json={"chip": chip, "amount": 100}).raise_for_status()


def a_health_model(company: Company, folder: Path) -> None:
    """Let the company have a health model, so that stored readings can be judged by it."""
    pump = Pump(folder)
    key = {"public_key": pump.trust, "name": "pump"}
    company.client.post("/api/v1/models/keys", json=key).raise_for_status()
    content = {"content": pump.zip(), "headers": {"Content-Type": "application/zip"}}
    company.client.post("/api/v1/models", **content).raise_for_status()


def an_alarm(company: Company, factory: Factory) -> str:
    """Return the id of an alarm of the company; its rule is made on first use."""
    every = {"kind": "reject_rate", "percent": 0, "window_minutes": 1440, "least_parts": 1}
    rule = {"name": factory.names[0], "selection": {}, "condition": every}
    company.client.post("/api/v1/alarms/rules", json=rule)  # 409 once it is there
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        if found := company.client.get("/api/v1/alarms").json()["items"]:
            return str(found[0]["id"])
        time.sleep(0.2)
    raise TimeoutError("no alarm was raised")


@pytest.fixture(scope="module", autouse=True)
def shared(
    works: Company, theirs: Company, factory: Factory, cloud_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Let the company run the market, show another one something, which has been read and recalled, and be asked for more."""
    run(cloud_data, "compute", "operator", "works")
    hours_bought_ahead(works)
    a_health_model(works, tmp_path_factory.mktemp("health") / "pump")
    an_own_entry(works)
    body = asked(works.credit_code, {"entry": "active_power_total", "granularity": "hour"}, purpose=factory.names[0])
    body["terms"]["trace"] = "products"
    for _ in range(2):
        theirs.client.post("/api/v1/sharing/requests", json=body).raise_for_status()
    request = works.client.get("/api/v1/sharing/requests").json()[0]["id"]
    grant = works.client.post(f"/api/v1/sharing/requests/{request}/acceptance", json={}).raise_for_status().json()["id"]
    query = {"entry": "active_power_total"}
    theirs.client.get(f"/api/v1/sharing/grants/{grant}/values", params=query).raise_for_status()
    (lot, part) = THINGS
    for company, used, out in ((works, [lot], [part]), (theirs, [part], ["urn:epc:id:sgtin:6901234.000009.1"])):
        company.client.post("/api/v1/trace/capture", json=document(made(used, out))).raise_for_status()
    recall = {"things": [lot], "kind": "block", "reason": factory.names[0]}
    theirs.client.post("/api/v1/sharing/recalls", json=recall).raise_for_status()
    works.client.post("/api/v1/sharing/recalls", json=recall).raise_for_status()


def a_programme(company: Company) -> str:
    """Return the id of a programme of the company with invited suppliers; it is made on first use."""
    address = "/api/v1/programmes"
    if not (found := company.client.get(address).json()):
        body = {"name": "2027", "purpose": "PPAP", "terms": {"items": [{"entry": "kpi:oee", "granularity": "shift"}]}}
        company.client.post(address, json=body | {"deadline": "2027-01-01"}).raise_for_status()
        found = company.client.get(address).json()
        rows = "".join(f"{new_credit_code()},{name}\n" for name in ("Kunshan", "Taicang", "Wuxi"))
        file = f"credit_code,name\n{rows}"
        company.client.post(f"{address}/{found[0]['id']}/suppliers", content=file).raise_for_status()
    return str(found[0]["id"])


def an_own_entry(company: Company) -> None:
    """Let a colleague have proposed an entry of the company's own; made on first use."""
    address, who = "/api/v1/dictionary/company-entries", {"email": "proposer@example.com", "password": PASSWORD}
    if company.client.get(address).json():
        return
    company.client.post("/api/v1/users", json=who | {"role": "engineer"}).raise_for_status()
    with httpx.Client(base_url=company.url, timeout=30) as colleague:
        colleague.post("/api/v1/sessions", json=who).raise_for_status()
        text = {"name_zh": "拉杆伸长量", "name_en": "Tie-bar elongation", "definition_zh": "锁模时拉杆的伸长"}
        entry = text | {"definition_en": "How much longer tie bars are", "code": "own:elongation", "unit": "MMT"}
        colleague.post(address, json=entry).raise_for_status()


Details = dict[str, Callable[[Company, Factory], str]]
DETAILS: Details = {
    "site": lambda _, factory: f"/sites/{factory.sites['苏州工厂']}",
    "line": lambda _, factory: f"/lines/{factory.lines['注塑线']}",
    "equipment": lambda _, factory: f"/equipment/{factory.equipment['注塑机-03']}",
    "equipment-unreachable": lambda _, factory: f"/equipment/{factory.equipment['冷水机-01']}",
    "describe": lambda _, factory: f"/plant/equipment/{factory.equipment['注塑机-03']}",
    "person": lambda company, _: f"/people/{company.client.get('/api/v1/users').json()[0]['id']}",
    "energy-week": lambda _, factory: f"/energy?span=week&site={factory.sites['苏州工厂']}",
    "energy-renewal": lambda _, factory: f"/energy/renewal?site={factory.sites['苏州工厂']}",
    "energy-settings": lambda _, factory: f"/energy/settings?site={factory.sites['苏州工厂']}",
    "trends-curves": lambda company, factory: trend_of(
        company, factory, ("active_power_total", "melt_temperature"), "&compare=day"
    ),
    "trends-states": lambda company, factory: trend_of(company, factory, ("machine_state", "part_count_good"), ""),
    "inspections-rejected": lambda _, __: "/inspections?verdict=reject",
    "inspection": lambda _, factory: f"/inspections/{factory.inspections[-1].id}",
    "configuration": lambda company, _: (
        f"/gateways/{company.client.get('/api/v1/agents').json()[0]['id']}/configuration"
    ),
    "alarm": lambda company, factory: f"/alarms/{an_alarm(company, factory)}",
    "alarms-history": lambda _, __: "/alarms?view=history",
    "stops-narrowed": lambda _, factory: (
        f"/oee/stops?node_id={factory.sites['苏州工厂']}&period=30&reason=none&loss=setup&least=5#list"
    ),
    "alarm-statistics": lambda _, __: "/alarms?view=statistics",
    "alarm-rule": lambda _, __: "/alarm-rules/new",
    "share": lambda company, _: f"/shares/{company.client.get('/api/v1/sharing/grants').json()[0]['id']}",
    "trace-chain": lambda _, __: f"/trace?thing={THINGS[0]}",
    "programme": lambda company, _: f"/programmes/{a_programme(company)}",
    "compute-job": lambda company, _: f"/compute/jobs/{a_job(company)}",
    "market": lambda _, __: "/wallet/market",
    "training-set": lambda company, _: f"/training/{a_picture_set(company)}",
    "training-machine": lambda company, factory: f"/training/{a_machine_set(company, factory)}",
    "diagnostics": lambda company, _: f"/gateways/{company.client.get('/api/v1/agents').json()[0]['id']}/diagnostics",
}
"""Pages that are reached from others. A page with a part in its path is not walked unless it stands here."""


def trend_of(company: Company, factory: Factory, codes: tuple[str, ...], more: str) -> str:
    asked = {"equipment_id": factory.equipment["注塑机-03"]}
    points = company.client.get("/api/v1/points", params=asked).json()
    return f"/trends?s={'.'.join(str(point['series_id']) for point in points if point['property'] in codes)}&last=24h{more}"


SETTLED = """() => document.querySelector('h1, [data-board]') && !document.querySelector('[aria-busy=true]')
    && [...document.querySelectorAll('.chart')].every(chart => chart.querySelector('canvas, svg, .empty'))"""
FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
OVERFLOW = """() => {
    const over = document.documentElement.scrollWidth - window.innerWidth;
    if (over <= 0) return [];
    return [...document.querySelectorAll('body *')].filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
        .slice(0, 5).map(element => element.tagName + '.' + element.className + ' ' + Math.round(element.getBoundingClientRect().right));
}"""


def pages(company: Company, factory: Factory) -> dict[str, str]:
    named = {place.path.strip("/").replace("/", "-") or "overview": place.path for place in PLACES}
    return named | {name: address(company, factory) for name, address in DETAILS.items()}


def test_every_page_with_a_part_in_its_path_is_walked(works: Company, factory: Factory) -> None:
    walked = [path.partition("?")[0] for path in pages(works, factory).values()]
    patterns = {path: re.compile(re.sub(r"{\w+}", "[^/]+", path) + "$") for path in PAGES}
    assert [path for path, pattern in patterns.items() if not any(map(pattern.match, walked))] == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page(open_browser, works: Company, factory: Factory, language: str) -> None:
    page = open_browser(language, company=works)
    foreign = other_language(language)
    painted: dict[str, float | None] = {}
    faults: list[str] = []
    for name, address in pages(works, factory).items():
        page.set_viewport_size(SCREENS["desktop"])
        answer = page.goto(address)
        assert answer is not None
        if answer.status != 200:
            faults.append(f"{name}: status {answer.status}")
            continue
        page.wait_for_function(SETTLED)
        painted[name] = page.evaluate(FIRST_PAINT)
        expect(page.locator("html")).to_have_attribute("lang", {"zh": "zh-CN", "en": "en-US"}[language])
        for screen in ("desktop", "phone"):
            page.set_viewport_size(SCREENS[screen])
            try:  # a chart takes its new width a moment later
                page.wait_for_function(f"() => ({OVERFLOW})().length === 0", timeout=2000)
            except Late:
                faults += [f"{name} on a {screen} runs over: {element}" for element in page.evaluate(OVERFLOW)]
            picture(page, f"{name}-{language}-{screen}")
        try:
            check([without(line, factory.names) for line in lines(page)], foreign, language)
        except AssertionError as error:
            faults.append(f"{name}: {error}")
    OUT.mkdir(exist_ok=True)
    (OUT / f"first-paint-{language}.json").write_text(json.dumps(painted, indent=1))
    assert not faults, "\n".join(faults)


def picture(page: Page, name: str) -> None:
    if GUIDES:
        place, language, screen = name.rsplit("-", 2)
        if place in IN_GUIDES and screen == "desktop":
            page.locator(".page .card").first.wait_for()
            page.wait_for_timeout(500)  # what a page shows once it is connected comes a moment later
            page.screenshot(path=GUIDES / f"guide-{place}-{language}.png", animations="disabled")
    if PICTURES != "1":
        return
    OUT.mkdir(exist_ok=True)
    page.screenshot(path=OUT / f"{name}.png", full_page=True, animations="disabled")


def without(line: str, names: list[str]) -> str:
    """Return `line` without the proper names in it: those are as the factory's people write them."""
    for name in names:
        line = line.replace(name, "")
    return line.strip()
