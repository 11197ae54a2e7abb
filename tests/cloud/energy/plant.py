"""A small plant that meters energy, and the two steps that bring what it delivers into accounts."""

from __future__ import annotations

from typing import Any

import psycopg

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.energy.tasks import meter_all, note_changes
from cloud.telemetry.tasks import roll_up_all
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Company

MAIN = PointRef("main-meter", "EPI", "energy_active_import", "KWH")
REACTIVE = PointRef("main-meter", "EQI", "energy_reactive_import", "K3")
PRESS = PointRef("press-1", "E", "energy_active_import", "KWH")
PRESS_POWER = PointRef("press-1", "P", "active_power_total", "KWT")
PRESS_STATE = PointRef("press-1", "state", "machine_state", "C62")
PRESS_GOOD = PointRef("press-1", "good", "part_count_good", "C62")
OVEN = PointRef("oven-1", "P", "active_power_total", "KWT")
GAS = PointRef("oven-1", "gas", "flow_total_volume", "MTQ")


async def settle(db: Database) -> None:
    """Roll up and meter all that has been delivered."""
    await roll_up_all(db, Metrics(), followers=(note_changes,))
    await meter_all(db)


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
