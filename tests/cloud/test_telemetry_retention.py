"""Old readings leave the database for files, and nobody who asks can tell: nothing is lost, doubled or rolled up wrongly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.telemetry.cold_store import ColdStore
from cloud.telemetry.retained import Retained
from cloud.telemetry.retention import Retention
from cloud.telemetry.store import cold
from cloud.telemetry.tasks import roll_up_all
from protocols.errors import Unreachable
from protocols.reading import BAD
from tests.cloud.conftest import Company
from tests.doubles.agent import ENERGY, POWER, AgentDouble, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000  # Monday 2026-02-02, 02:40 UTC
START = datetime.fromtimestamp(START_US / 1e6, UTC)
NOW = START + timedelta(days=40)
STEP_US = 3600 * 10**6
TABLES = ("rollup_minute", "rollup_hour", "rollup_day")


@pytest.fixture
def retained(cold_store: str) -> Retained:
    return Retained(ColdStore(cold_store))


@pytest.fixture
def retention(db: Database, retained: Retained) -> Retention:
    return Retention(db, retained)


async def _filled(agent: AgentDouble, company: Company, db: Database, retained: Retained) -> dict[str, int]:
    """Three weeks of a reading an hour of two points, some bad."""
    rows = readings(POWER, [float(i) for i in range(500)], START_US, STEP_US)
    rows += readings(POWER, [None] * 5, START_US + 1000, STEP_US, quality=BAD)
    rows += readings(ENERGY, [float(i) for i in range(500)], START_US, STEP_US)
    await agent.deliver(frame(1, rows))
    await roll_up_all(db, Metrics(), retained=retained)
    rules = {"rules": [{"property": "", "keep_days": 20}, {"property": "energy_active_import", "keep_days": 3650}]}
    assert (await company.http.put("/api/v1/retention", json=rules)).json() == rules
    return {point["name"]: point["series_id"] for point in (await company.http.get("/api/v1/points")).json()}


async def _answers(company: Company, ids: dict[str, int]) -> list[Any]:
    """Ask for everything in every way; without what tells times apart."""
    span = {"start": START.isoformat(), "end": NOW.isoformat()}
    found: list[Any] = []
    for more in (
        {"resolution": "raw"},
        {"shape": "lttb", "max_points": 100},
        {"resolution": "1d"},
        {"max_points": 5000},
    ):
        answer = await company.http.get("/api/v1/history", params={"series_id": list(ids.values()), **span, **more})
        assert answer.status_code == 200, answer.text
        found.append({key: value for key, value in answer.json().items() if key != "sql_ms"})
    page: dict[str, Any] = {"next": None}
    after: dict[str, Any] = {}
    while page["next"] or not after:
        answer = await company.http.get(f"/api/v1/series/{ids['P']}/readings", params={**span, **after, "limit": 70})
        page = answer.json()
        found.append(page["items"])
        after = {"after": page["next"]}
    export = await company.http.get("/api/v1/export", params={"series_id": list(ids.values()), **span})
    stats = (await company.http.get("/api/v1/telemetry/stats")).json()
    assert stats["readings"] == stats["ledger_readings"]
    return [*found, export.text, stats["readings"], (await company.http.get("/api/v1/latest")).json()]


def _count(owner_dsn: str, series: int) -> int:
    with psycopg.connect(owner_dsn) as connection:
        row = connection.execute("SELECT count(*) FROM telemetry WHERE series_id = %s", [series]).fetchone()
    assert row is not None
    return int(row[0])


async def test_what_has_left_the_database_is_answered_for_as_before(
    company: Company, db: Database, retained: Retained, retention: Retention, owner_dsn: str, cold_store: str
) -> None:
    async with company.agent() as agent:
        ids = await _filled(agent, company, db, retained)
    before = await _answers(company, ids)
    moved = await retention.enforce(NOW)
    # The weeks that ended 20 days before are those of 2 February, of which 166 hours are left at 02:40, and 9 February.
    assert moved == 166 + 168 + 5
    assert (_count(owner_dsn, ids["P"]), _count(owner_dsn, ids["EPI"])) == (505 - moved, 500)
    assert await _answers(company, ids) == before
    assert await retention.enforce(NOW) == 0
    with psycopg.connect(owner_dsn) as connection:
        names = connection.execute("SELECT name FROM cold_file WHERE series_id = %s", [ids["P"]]).fetchall()
    assert len(names) == 2
    assert all(len(ColdStore(cold_store).read(name)) > 100 for (name,) in names)
    # The last reading stays, so that what is latest does not depend on files.
    await retention.enforce(NOW + timedelta(days=400))
    assert _count(owner_dsn, ids["P"]) == 1
    assert await _answers(company, ids) == before


async def test_killed_at_any_point_nothing_is_lost_or_doubled(
    company: Company, db: Database, retained: Retained, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with company.agent() as agent:
        ids = await _filled(agent, company, db, retained)
    before = await _answers(company, ids)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    async def killed_later(*_: object) -> None:
        raise Killed

    points: list[tuple[object, str, object]] = [
        (ColdStore, "read", killed),  # written, not verified
        (cold, "register", killed_later),  # verified, not registered
    ]
    for owner, name, instead in points:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, instead)
            with pytest.raises(Killed):
                await retention.enforce(NOW)
        assert await _answers(company, ids) == before
    with monkeypatch.context() as patch:
        read = ColdStore.read
        patch.setattr(ColdStore, "read", lambda *of: type(read(*of))(*(column[1:] for column in read(*of))))
        with pytest.raises(Unreachable, match="does not hold what was written"):
            await retention.enforce(NOW)
    assert await _answers(company, ids) == before
    assert await retention.enforce(NOW) > 0
    assert await _answers(company, ids) == before


async def test_late_readings_of_a_week_that_has_left_are_rolled_up_with_all_of_it(
    company: Company, db: Database, retained: Retained, retention: Retention, owner_dsn: str
) -> None:
    async with company.agent() as agent:
        ids = await _filled(agent, company, db, retained)
        await retention.enforce(NOW)
        await agent.deliver(frame(2, readings(POWER, [-1000.0], START_US + 7)))
    await roll_up_all(db, Metrics(), retained=retained)
    late = await _answers(company, ids)

    def rolled_up() -> list[Any]:
        with psycopg.connect(owner_dsn) as connection:
            return [
                connection.execute(
                    sql.SQL("SELECT * FROM {} WHERE series_id = %s ORDER BY bucket").format(sql.Identifier(table)),
                    [ids["P"]],
                ).fetchall()
                for table in TABLES
            ]

    kept = rolled_up()
    assert await retention.enforce(NOW) > 0
    assert await _answers(company, ids) == late
    with psycopg.connect(owner_dsn) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("DELETE FROM {} WHERE series_id = %s").format(sql.Identifier(table)), [ids["P"]])
        connection.execute(
            "UPDATE telemetry_change SET rolled_up = false WHERE tenant_id = %s", [company.scope.tenant_id]
        )
    await roll_up_all(db, Metrics(), retained=retained)
    assert rolled_up() == kept
    assert await _answers(company, ids) == late


async def test_room_that_is_empty_is_given_back_and_made_again(
    company: Company, db: Database, retained: Retained, retention: Retention, owner_dsn: str
) -> None:
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'telemetry'::regclass"
    await retention.enforce(NOW)  # what other companies of this module have due
    old_us = int(datetime(2003, 3, 3, tzinfo=UTC).timestamp()) * 10**6
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0, 2.0], old_us) + readings(POWER, [3.0], START_US)))
        (point,) = (await company.http.get("/api/v1/points")).json()
        await roll_up_all(db, Metrics(), retained=retained)  # what is still to be rolled up would bring its week back
        await company.http.put("/api/v1/retention", json={"rules": [{"property": "", "keep_days": 1}]})
        with psycopg.connect(owner_dsn) as connection:
            before = connection.execute(count).fetchone()
        assert await retention.enforce(NOW) == 2
        with psycopg.connect(owner_dsn) as connection:
            after = connection.execute(count).fetchone()
        assert before is not None
        assert after is not None
        assert after[0] < before[0]
        receipt = await agent.deliver(frame(2, readings(POWER, [4.0], old_us + 5)))
        assert receipt.stored == [2]
    await roll_up_all(db, Metrics(), retained=retained)
    params = {"start": "2000-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
    page = (await company.http.get(f"/api/v1/series/{point['series_id']}/readings", params=params)).json()
    assert [item["value"] for item in page["items"]] == [1.0, 4.0, 2.0, 3.0]


async def test_rules_name_entries_of_the_dictionary(company: Company) -> None:
    put = company.http.put
    assert (await put("/api/v1/retention", json={"rules": [{"property": "x", "keep_days": 1}]})).status_code == 422
    assert (await put("/api/v1/retention", json={"rules": [{"property": "", "keep_days": 0}]})).status_code == 422
    assert (await company.http.get("/api/v1/retention")).json() == {"rules": []}
