"""A plant whose evaluation a test drives by hand: real database, real ingest, no server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cloud.alarms.evaluator import Doors, Evaluator
from cloud.alarms.schemas import Alarm, Rule, RuleRequest
from cloud.alarms.service import Alarms, Filter
from cloud.core.db import Database
from cloud.core.listen import Listener
from cloud.core.metrics import Metrics
from cloud.core.principal import AgentPrincipal, Principal, TenantScope
from cloud.energy.service import Energy
from cloud.fleet.schemas import CodeRequest
from cloud.fleet.service import Fleet
from cloud.identity.schemas import SiteRequest, UserRequest
from cloud.identity.service import Identity
from cloud.notify.schemas import Channel, ChannelRequest, Delivery
from cloud.notify.service import Notify
from cloud.notify.settings import NotifySettings
from cloud.production.service import Production
from cloud.quality.service import Quality
from cloud.spc.service import Spc
from cloud.telemetry.ingest import Ingest
from cloud.telemetry.service import Telemetry
from protocols.reading import GOOD
from protocols.uplink.messages import Delivery as Batch
from protocols.uplink.messages import Health, PointRef
from tests.cloud.conftest import PASSWORD, SECRETS
from tests.doubles.agent import AgentDouble, frame, readings

OIL = PointRef("press-1", "OilTemperature", "oil_temperature", "CEL")
FAULT = PointRef("press-1", "Fault", "fault_active", "C62")


_PROCESS = UUID(int=7)


@dataclass
class Plant:
    """One company with one agent. `at` is what `run` calls now."""

    db: Database
    scope: TenantScope
    principal: Principal
    agent: AgentPrincipal
    doors: Doors
    alarms: Alarms
    at: datetime
    seq: int = 0
    evaluators: dict[UUID, Evaluator] = field(default_factory=dict)

    async def deliver(
        self,
        values: Sequence[float | None],
        *,
        ago_s: float = 0,
        step_s: float = 1,
        point: PointRef = OIL,
        quality: int = GOOD,
    ) -> None:
        """Store readings, the last one `ago_s` before now."""
        self.seq += 1
        last = int((self.at.timestamp() - ago_s) * 1e6)
        first = last - int(step_s * 1e6) * (len(values) - 1)
        rows = readings(point, values, first, int(step_s * 1e6), quality=quality)
        receipt = await self.doors.telemetry.deliver(self.agent, Batch(str(UUID(int=1)), [frame(self.seq, rows)]))
        assert receipt.stored == [self.seq]

    async def heard(self, **health: Any) -> None:
        """Have the agent report."""
        await self.doors.fleet.report(self.agent, Health("0.1.0", 1, 1, [], 0, 0, 0, 0, 0, 0, 0, 10**12, 0, **health))

    async def rule(self, condition: dict[str, Any], **more: Any) -> Rule:
        """Write down a rule; on the oil temperature unless told."""
        body = {"name": f"rule {uuid4().hex[:6]}", "selection": {"property": "oil_temperature"}, "condition": condition}
        return await self.alarms.rules.create(self.principal, RuleRequest.model_validate(body | more))

    def process(self, owner: UUID | None = None) -> Evaluator:
        """Return the evaluation as another process would begin it."""
        return Evaluator(self.db, self.scope, owner or uuid4(), self.doors)

    async def run(self, owner: UUID = _PROCESS, *, after_s: float = 0) -> None:
        """Evaluate, `after_s` later than before, in the one process that goes on unless told."""
        self.at += timedelta(seconds=after_s)
        evaluator = self.evaluators.setdefault(owner, self.process(owner))
        while await evaluator.run(self.at):
            pass

    async def open(self) -> list[Alarm]:
        return (await self.alarms.page(self.scope, Filter(is_open=True), limit=200)).items

    async def all(self) -> list[Alarm]:
        return (await self.alarms.page(self.scope, Filter(), limit=200)).items

    async def channel(self, name: str) -> Channel:
        """A channel that sends nowhere: what is told shows in the outbox."""
        request = ChannelRequest(kind="email", name=name, recipients=["a@example.com"], language="en")
        return await self.doors.notify.create(self.principal, request)

    async def told(self, channel: Channel | None = None) -> list[Delivery]:
        return list(reversed((await self.doors.notify.deliveries(self.scope, channel and channel.id)).items))


@pytest.fixture
async def plant(db: Database) -> Plant:
    return await make_plant(db)


async def make_plant(db: Database) -> Plant:
    """Found a company with a site, an owner and an agent that is heard."""
    identity, fleet = Identity(db, SECRETS), Fleet(db, SECRETS)
    scope = await identity.create_tenant(f"Company {uuid4()}")
    site = await identity.create_site(scope, SiteRequest(name="main", time_zone="Asia/Shanghai"), "test")
    email = f"{uuid4().hex}@example.com"
    await identity.create_user(scope, UserRequest(email=email, password=PASSWORD, role="owner"), "test")
    principal = await identity.resolve((await identity.log_in(email, PASSWORD, "127.0.0.1")).token)
    assert principal is not None
    double = AgentDouble("http://unused", "box-1")
    code = await fleet.create_code(scope, CodeRequest(site_id=site.id), "test")
    enrolled = await fleet.enrol(double.enrol_request(code.code), "127.0.0.1")
    await double.http.aclose()
    listener = Listener(db.dsn)
    telemetry = Telemetry(db, listener, Ingest(db, (), Metrics()))
    quality = Quality(db)
    notify = Notify(db, SECRETS, NotifySettings())
    production = Production(db, telemetry)
    energy = Energy(db, identity, fleet, production)
    doors = Doors(fleet, telemetry, quality, production, notify, Spc(db, telemetry, quality), energy)
    agent = AgentPrincipal(scope, UUID(enrolled.agent_id), "box-1", site.id)
    made = Plant(db, scope, principal, agent, doors, Alarms(db, listener, doors), datetime.now(UTC))
    await made.heard()
    return made
