"""A leader's pages of its suppliers, all of whom grant: 95th percentile in ms of the slowest of them.

Two hundred companies show five entries and their level of maturity, have been checked and have thirty days of scores. One of them,
the plant of the `overview` benchmark, comes to it over the API; the rest is loaded as granting and checking would have left it.
Asked for are the wall, the funnel and the scorecards, and the check of that plant over its grant. The limit is 1 s each; the ratio is
limit / ours, so more is better, as everywhere. `SUNMAO_BENCH_SUPPLIERS` sets how many there are.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.overview import MACHINES, ROLLED_UP_WITHIN_S, fill, p95, wait_for_roll_ups
from tests.benchmarks.paint import AROUND_THE_CLOCK
from tests.benchmarks.recall import found
from tests.cloud.sharing.pair import new_credit_code

SUPPLIERS = int(os.environ.get("SUNMAO_BENCH_SUPPLIERS", "200"))
DAYS, WARM_UP, ASKED, LIMIT_MS = 30, 3, 40, 1000.0
ITEMS = [
    {"entry": "kpi:oee", "granularity": "shift"},
    {"entry": "kpi:availability", "granularity": "shift"},
    {"entry": "kpi:quality_rate", "granularity": "shift"},
    {"entry": "energy_active_import", "granularity": "hour"},
    {"entry": "part_count_good", "granularity": "hour"},
]
TERMS = {"items": ITEMS, "maturity": True, "compare": "named", "history_days": 30, "days": 365}

_TENANTS = """
    INSERT INTO tenant (id, name, credit_code)
    SELECT gen_random_uuid(), s.name, s.credit_code FROM programme_supplier s WHERE s.id <> %s
"""
_GRANTS = """
    WITH granted AS (
        INSERT INTO share_grant (id, leader_id, supplier_id, leader, supplier, purpose, terms, since, until)
        SELECT gen_random_uuid(), g.leader_id, t.id, g.leader, t.name, g.purpose, g.terms, g.since, g.until
        FROM share_grant g, programme_supplier s JOIN tenant t USING (credit_code) WHERE s.id <> %s RETURNING id, supplier_id)
    UPDATE share_request r SET answer = 'accepted', answered_by = 'bench', answered_at = now(), grant_id = g.id
    FROM granted g JOIN tenant t ON t.id = g.supplier_id WHERE r.credit_code = t.credit_code
"""
_CHECKED = """
    UPDATE programme_supplier s SET checked_at = now(), maturity = 2, conformance = one.conformance
    FROM programme_supplier one WHERE one.id = %s
"""
_SCORES = """
    INSERT INTO supplier_score (tenant_id, supplier_id, day, entry, mean, completeness, named)
    SELECT s.tenant_id, s.id, current_date - day, entry, 0.5 + random() / 4, 1, true
    FROM programme_supplier s, generate_series(0, %s) day, unnest(%s::text[]) entry ON CONFLICT DO NOTHING
"""


def invited(leader: httpx.Client, code: str) -> str:
    """Make a programme that invites all; return its id."""
    deadline = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    body = {"name": "2026", "purpose": "delivery risk", "terms": TERMS, "deadline": deadline}
    programme = str(leader.post("/programmes", json=body).raise_for_status().json()["id"])
    codes = [code, *(new_credit_code() for _ in range(SUPPLIERS - 1))]
    lines = "".join(f"{each},Supplier {number:03}\n" for number, each in enumerate(codes))
    report = leader.post(f"/programmes/{programme}/suppliers", content=f"credit_code,name\n{lines}")
    assert len(report.raise_for_status().json()["invited"]) == SUPPLIERS
    return programme


def granting(dsn: str, one: str) -> None:
    """Let all others grant as the supplier `one` has, and give all the past of one that is checked every day."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.transaction():
            for statement in (_TENANTS, _GRANTS):
                connection.execute(statement, [one])
            connection.execute(_CHECKED, [one])
            connection.execute(_SCORES, [DAYS - 1, [item["entry"] for item in ITEMS]])
        connection.execute("VACUUM (ANALYZE) programme_supplier, supplier_score, share_grant, share_request, tenant")


def wait_for_shifts(leader: httpx.Client, check: str) -> None:
    """Check until every machine shows a shift that is over, and its energy and parts."""
    deadline = time.monotonic() + ROLLED_UP_WITHIN_S
    while True:
        items = leader.post(check).raise_for_status().json()["items"]
        shown = {one["entry"]: one["machines"] for one in items}
        if all(shown[entry] == MACHINES for entry in shown if entry != "kpi:oee"):
            return
        assert time.monotonic() < deadline, shown
        time.sleep(1)


def timed(leader: httpx.Client, method: str, path: str) -> list[float]:
    """Return how long the same request took each time, in ms, warm."""
    taken = []
    for turn in range(-WARM_UP, ASKED):
        began = time.perf_counter()
        answer = leader.request(method, path)
        elapsed = (time.perf_counter() - began) * 1000
        answer.raise_for_status()
        if turn >= 0:
            taken.append(elapsed)
    return taken


def measure() -> Comparison:
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        leader, _ = found(platform, "leader")
        platform.client, code = found(platform, "supplier")
        site = platform.get("/sites")[0]["id"]
        calendar = {"site_id": site, "valid_from": "2020-01-01", "shifts": [AROUND_THE_CLOCK]}
        platform.client.put("/production/calendars", json=calendar).raise_for_status()
        fill(platform)
        wait_for_roll_ups(platform)
        programme = invited(leader, code)
        (request,) = platform.get("/sharing/requests")
        platform.client.post(f"/sharing/requests/{request['id']}/acceptance", json={}).raise_for_status()
        listed = f"/programmes/{programme}/suppliers"
        one = next(each["id"] for each in leader.get(listed).json() if each["credit_code"] == code)
        check = f"/suppliers/{one}/check"
        wait_for_shifts(leader, check)
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            granting(postgres.start(), one)
            wall = leader.get(f"/programmes/{programme}/wall").json()
            assert sum(row["quality"]["state"] == "shown" for row in wall) == SUPPLIERS
            times = {
                "wall": timed(leader, "GET", f"/programmes/{programme}/wall"),
                "funnel": timed(leader, "GET", listed),
                "scorecards": timed(leader, "GET", f"/programmes/{programme}/scorecards"),
                f"check of {MACHINES} machines": timed(leader, "POST", check),
            }
        finally:
            postgres.stop()
    for name, each in times.items():
        print(f"{name}: median {statistics.median(each):.0f} ms, p95 {p95(each):.0f} ms", file=sys.stderr)
    slowest = max(map(p95, times.values()))
    what = f"the limit for a page about {SUPPLIERS} suppliers that grant"
    return Comparison("wall", what, "ms p95", round(slowest, 1), LIMIT_MS, round(LIMIT_MS / slowest, 3))
