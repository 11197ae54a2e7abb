"""A small plant that meters energy, and the two steps that bring what it delivers into accounts."""

from __future__ import annotations

from typing import Any

import psycopg

from cloud.core.db import Database
from cloud.core.listen import Listener
from cloud.core.metrics import Metrics
from cloud.energy.tasks import meter_all, note_changes
from cloud.production.service import Production, note_readings
from cloud.production.tasks import bring_up_to_date
from cloud.telemetry.ingest import Ingest
from cloud.telemetry.service import Telemetry
from cloud.telemetry.tasks import roll_up_all
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Company

MAIN = PointRef("main-meter", "EPI", "energy_active_import", "KWH")
REACTIVE = PointRef("main-meter", "EQI", "energy_reactive_import", "K3")
PRESS = PointRef("press-1", "E", "energy_active_import", "KWH")
PRESS_POWER = PointRef("press-1", "P", "active_power_total", "KWT")
PRESS_STATE = PointRef("press-1", "state", "machine_state", "C62")
PRESS_GOOD = PointRef("press-1", "good", "part_count_good", "C62")
PRESS_TOTAL = PointRef("press-1", "total", "part_count_total", "C62")
OVEN = PointRef("oven-1", "P", "active_power_total", "KWT")
GAS = PointRef("oven-1", "gas", "flow_total_volume", "MTQ")


async def settle(db: Database, owner_dsn: str) -> None:
    """Roll up and meter all that has been delivered; the cloud beside does the same, and one waits for the other."""
    telemetry = Telemetry(db, Listener(db.dsn), Ingest(db, (), Metrics()))
    waiting = "SELECT (SELECT count(*) FROM production_change) + (SELECT count(*) FROM energy_dirty)"
    while True:
        await roll_up_all(db, Metrics(), followers=(note_changes, note_readings))
        await bring_up_to_date(db, telemetry)
        await meter_all(db, Production(db, telemetry))
        with psycopg.connect(owner_dsn) as connection:
            if connection.execute(waiting).fetchone() == (0,):
                return


async def classify(company: Company, owner_dsn: str) -> None:
    """Make the main meter one: the equipment class is what an agent's health report would tell."""
    with psycopg.connect(owner_dsn) as connection:
        connection.execute(
            "UPDATE equipment SET equipment_class = 'energy_meter' WHERE tenant_id = %s AND name = 'main-meter'",
            [company.scope.tenant_id],
        )


def days_of(owner_dsn: str, company: Company) -> list[Any]:
    with psycopg.connect(owner_dsn) as connection:
        return connection.execute(
            "SELECT m.name, d.day, d.energy, d.covered_s FROM energy_day d JOIN energy_meter m ON m.id = d.meter_id"
            " WHERE d.tenant_id = %s ORDER BY m.name, m.carrier, d.day",
            [company.scope.tenant_id],
        ).fetchall()
