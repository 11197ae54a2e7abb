"""From a defective serial number to the finished goods, through three companies, among very many events: 95th percentile in ms.

A maker makes 1,000 caps of each drum, a second company modules of caps, a leader cars of modules, so that the caps of a drum end
in about as many cars. The leader, whom both others show their events, asks over HTTP for what came of ever another drum. The
events are loaded by direct COPY into the store's tables, as capturing would have left them, and analysed; the grants are made
over the API. The limit is 2 s; the ratio is limit / ours, so more is better, as everywhere. `SUNMAO_BENCH_EVENTS` sets how
many events there are (1,000,000; 10,000,000 in `make bench-full`).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import psycopg

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import PASSWORD, Platform
from deploy.demo.processes import Plant
from tests.benchmarks.comparison import Comparison
from tests.cloud.sharing.pair import asked, new_credit_code

EVENTS = int(os.environ.get("SUNMAO_BENCH_EVENTS", "1000000"))
CAPS = EVENTS * 4 // 7 // 4000 * 4000
"""An event for each cap, for each two a module, for each four a car."""
OF_A_DRUM, ASKED, LIMIT_MS = 1000, 20, 2000.0
STRIDE = 7_368_787
"""A prime: which caps are put together has nothing to do with which were made together."""
BEGUN, STEP = datetime.now(UTC) - timedelta(days=4), timedelta(days=4) / (CAPS + 1)
"""The events of a company are spread over days that the grants show."""


class Made(NamedTuple):
    """An event: what was made of what."""

    id: str
    at: str
    used: list[str]
    made: str


def drum(number: int) -> str:
    return f"urn:epc:id:sgtin:6901234.000001.{number}"


def cap(number: int) -> str:
    return f"urn:epc:id:sgtin:6901234.000002.{number}"


def module(number: int) -> str:
    return f"urn:epc:id:sgtin:6905678.000003.{number}"


def caps() -> Iterator[Made]:
    for number in range(CAPS):
        yield Made(*_event(1, number), [drum(number // OF_A_DRUM)], cap(number))


def modules() -> Iterator[Made]:
    for number in range(CAPS // 2):
        used = [cap((2 * number + each) * STRIDE % CAPS) for each in range(2)]
        yield Made(*_event(2, number), used, module(number))


def cars() -> Iterator[Made]:
    for number in range(CAPS // 4):
        used = [module((2 * number + each) * STRIDE % (CAPS // 2)) for each in range(2)]
        yield Made(*_event(3, number), used, f"urn:epc:id:sgtin:6909999.000004.{number}")


def _event(kind: int, number: int) -> tuple[str, str]:
    """Return the id and the time of an event."""
    return f"urn:uuid:00000000-0000-4000-800{kind}-{number:012x}", (BEGUN + number * STEP).isoformat()


def _body(event: Made) -> str:
    used = '","'.join(event.used)
    return (
        f'{{"bizLocation":{{"id":"urn:epc:id:sgln:6901234.00001.0"}},"bizStep":"commissioning","disposition":"active",'
        f'"eventID":"{event.id}","eventTime":"{event.at}","eventTimeZoneOffset":"+08:00","inputEPCList":["{used}"],'
        f'"outputEPCList":["{event.made}"],"readPoint":{{"id":"urn:epc:id:sgln:6901234.00001.7"}},'
        f'"type":"TransformationEvent"}}'
    )


Lines = Callable[[str, Made], str]
TABLES: dict[str, Lines] = {
    "trace_event (tenant_id, id, kind, event_time, biz_step, body, captured_by)": lambda tenant, one: (
        f"{tenant}\t{one.id}\tTransformationEvent\t{one.at}\tcommissioning\t{_body(one)}\tbench\n"
    ),
    "trace_thing (tenant_id, thing, event_id)": lambda tenant, one: "".join(
        f"{tenant}\t{thing}\t{one.id}\n" for thing in (*one.used, one.made)
    ),
    "trace_link (tenant_id, used, made, event_id)": lambda tenant, one: "".join(
        f"{tenant}\t{used}\t{one.made}\t{one.id}\n" for used in one.used
    ),
}


def fill(dsn: str, companies: dict[UUID, Callable[[], Iterator[Made]]]) -> int:
    """Store the events of all companies; return how many there are."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        # What refers to what is right here; checking it row by row takes longer than all the rest.
        connection.execute("SET session_replication_role = replica")
        for tenant, events in companies.items():
            for table, lines in TABLES.items():
                with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    for one in events():
                        copy.write(lines(str(tenant), one))
        connection.execute("VACUUM (ANALYZE) trace_event, trace_thing, trace_link")
        (count,) = connection.execute("SELECT count(*) FROM trace_event").fetchone() or (0,)
    return int(count)


def found(platform: Platform, name: str) -> tuple[httpx.Client, str]:
    """Found a company with a manager; return their client and the company's credit code."""
    where, code, email = ("--data", platform.data), new_credit_code(), f"{name}@demo.example"
    platform.plant.run(
        "sunmao-cloud", "tenant", "create", "--name", name, "--site", name, "--credit-code", code, *where
    )
    user = ("user", "create", "--email", email, "--tenant", name, "--password-stdin", *where)
    platform.plant.run("sunmao-cloud", *user, answer=f"{PASSWORD}\n")
    client = httpx.Client(base_url=f"{platform.url}/api/v1", timeout=60)
    session = client.post("/sessions", json={"email": email, "password": PASSWORD}).raise_for_status()
    client.headers["Authorization"] = f"Bearer {session.json()['token']}"
    return client, code


def shown(leader: httpx.Client, supplier: httpx.Client, code: str) -> None:
    """Let the leader see the supplier's events."""
    request: dict[str, Any] = asked(code)
    request["terms"]["trace"] = "full"
    made = leader.post("/sharing/requests", json=request).raise_for_status().json()["id"]
    supplier.post(f"/sharing/requests/{made}/acceptance", json={}).raise_for_status()


def ask(leader: httpx.Client, number: int) -> float:
    """Ask what came of a drum; return the ms it took."""
    began = time.perf_counter()
    answer = leader.get("/sharing/trace", params={"thing": drum(number), "direction": "down"})
    took = (time.perf_counter() - began) * 1000
    trace = answer.raise_for_status().json()
    made = [thing for thing in trace["things"] if thing["thing"] in set(trace["ends"])]
    assert trace["complete"], "more than is told"
    assert all(thing["depth"] == 3 for thing in made), "an end that is no car"
    assert OF_A_DRUM / 4 <= len(made) <= OF_A_DRUM
    assert sum(thing["depth"] == 1 for thing in trace["things"]) == OF_A_DRUM
    return took


def measure() -> Comparison:
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        clients = {name: found(platform, name) for name in ("maker", "middle", "leader")}
        leader = clients["leader"][0]
        for name in ("maker", "middle"):
            shown(leader, *clients[name])
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            dsn = postgres.start()
            with psycopg.connect(dsn) as owner:
                tenants = dict(owner.execute("SELECT name, id FROM tenant").fetchall())
            count = fill(dsn, {tenants["maker"]: caps, tenants["middle"]: modules, tenants["leader"]: cars})
            drums = CAPS // OF_A_DRUM
            times = [ask(leader, number * drums // ASKED) for number in range(ASKED)]
            body = {"things": [drum(1)], "kind": "block", "reason": "brittle"}
            began = time.perf_counter()
            told = leader.post("/sharing/recalls", json=body).raise_for_status().json()
            recall = time.perf_counter() - began
        finally:
            postgres.stop()
    assert len(told["companies"]) == 2
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    said = (
        f"first {times[0]:.0f} ms, median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, a recall {recall:.2f} s"
    )
    print(f"{count:,} events of three companies: {said}", file=sys.stderr)
    what = f"the limit for a recall through three companies among {count / 1e6:.0f} M events"
    return Comparison("recall", what, "ms p95", round(p95, 1), LIMIT_MS, round(LIMIT_MS / p95, 3))
