"""Puts the domains together into one application, and starts what runs beside the requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from starlette.datastructures import State

from cloud.alarms import routes as alarms
from cloud.alarms.evaluator import Doors
from cloud.alarms.service import Alarms
from cloud.alarms.tasks import keep_evaluated
from cloud.assessment import routes as assessment
from cloud.assessment.service import Assessments, latest_level
from cloud.assessment.service import Doors as Evident
from cloud.billing import routes as billing
from cloud.billing.service import Billing
from cloud.billing.tasks import keep_expiring, keep_hours_expiring
from cloud.compute import routes as compute
from cloud.compute.service import Compute, ComputeDoors
from cloud.compute.tasks import keep_opinions, keep_running, keep_uploads
from cloud.core import errors
from cloud.core.access import PUBLIC, Resolvers
from cloud.core.audit import RememberAddress
from cloud.core.body import BodyLimit
from cloud.core.db import Database
from cloud.core.gate import Doorkeeper, Gate
from cloud.core.idempotency import Idempotency, document
from cloud.core.limits import API_BURST, API_PERIOD_S, RateHeaders, RateLimit
from cloud.core.listen import Listener
from cloud.core.metrics import Metrics
from cloud.core.settings import Secrets
from cloud.dictionary import routes as dictionary
from cloud.dictionary.service import CompanyEntries
from cloud.energy import routes as energy
from cloud.energy.service import Energy
from cloud.energy.tasks import keep_metered, note_changes
from cloud.fleet import routes as fleet
from cloud.fleet.service import Fleet, store_events
from cloud.identity import routes as identity
from cloud.identity.oidc_settings import OidcSettings
from cloud.identity.service import Identity
from cloud.notify import routes as notify
from cloud.notify.service import Notify
from cloud.notify.settings import NotifySettings
from cloud.notify.tasks import keep_sending
from cloud.production import routes as production
from cloud.production.service import Production, keep_up_to_date, note_readings
from cloud.quality import routes as quality
from cloud.quality.service import Quality, store_inspections
from cloud.registry import routes as registry
from cloud.registry.service import Registry
from cloud.registry.tasks import keep_rolling_out
from cloud.reports import routes as reports
from cloud.reports.compose import Composer, Sources
from cloud.reports.service import Reports
from cloud.reports.tasks import keep_reporting
from cloud.semantics import routes as semantics
from cloud.semantics.service import Semantics
from cloud.sharing import routes as sharing
from cloud.sharing.reader import Doors as SharedDoors
from cloud.sharing.service import Sharing
from cloud.shelf import routes as shelf
from cloud.shelf.service import Doors as ShelfDoors
from cloud.shelf.service import Shelf
from cloud.spc import routes as spc
from cloud.spc.service import Spc
from cloud.suppliers import routes as suppliers
from cloud.suppliers.service import Suppliers
from cloud.suppliers.tasks import keep_checked
from cloud.telemetry import routes as telemetry
from cloud.telemetry.cold_store import ColdStore
from cloud.telemetry.ingest import Ingest
from cloud.telemetry.retained import Retained
from cloud.telemetry.retention import keep_enforced
from cloud.telemetry.service import Telemetry
from cloud.telemetry.tasks import keep_rolled_up
from cloud.traceability import routes as traceability
from cloud.traceability.service import Traceability
from cloud.training import routes as training
from cloud.training.service import Training
from cloud.training.tasks import keep_fitting
from cloud.uploads import routes as uploads
from cloud.uploads.service import Uploads
from cloud.web.mount import mount


class _Described(FastAPI):
    """Describes itself when somebody asks: that takes two seconds, which a start need not wait for."""

    def openapi(self) -> dict[str, Any]:
        before = self.openapi_schema
        schema = super().openapi()
        if schema is not before:
            document(schema)
        return schema


@dataclass(frozen=True)
class _Given:
    """What the operator sets, and what all domains of this process count into."""

    secrets: Secrets
    metrics: Metrics
    retained: Retained
    notify: NotifySettings
    oidc: OidcSettings | None


def _open_domains(state: State, db: Database, listener: Listener, given: _Given) -> Doors:
    """Make the domains' services, the lower ones first, and put them where routes and pages find them.

    Returns the doors that alarms are evaluated through.
    """
    state.db = db
    state.identity = Identity(db, given.secrets, given.oidc)
    state.company_entries = CompanyEntries(db)
    state.fleet = Fleet(db, given.secrets, listener)
    state.quality = Quality(db)
    state.telemetry = Telemetry(
        db, listener, Ingest(db, (store_inspections, store_events), given.metrics), given.retained
    )
    state.production = Production(db, state.telemetry)
    state.semantics = Semantics(state.company_entries, state.fleet, state.telemetry, state.production)
    state.notify = Notify(db, given.secrets, given.notify)
    state.energy = Energy(db, state.identity, state.fleet, state.production)
    state.spc = Spc(db, state.telemetry, state.quality)
    doors = Doors(state.fleet, state.telemetry, state.quality, state.production, state.notify, state.spc, state.energy)
    state.alarms = Alarms(db, listener, doors)
    state.reports = Reports(
        db,
        state.notify,
        Composer(Sources(state.identity, state.fleet, state.production, state.energy, state.alarms)),
    )
    state.training = Training(db, given.secrets, state.telemetry)
    state.registry = Registry(db, state.training)
    filled = ShelfDoors(state.fleet, state.telemetry, state.production, state.registry, state.alarms)
    state.shelf = Shelf(db, filled, state.training, state.notify)
    state.traceability = Traceability(db)
    state.sharing = Sharing(
        db,
        listener,
        SharedDoors(*doors[:2], state.production, state.traceability, partial(latest_level, db)),
        state.notify,
    )
    state.uploads = Uploads(db, state.identity, state.fleet, state.telemetry, state.sharing)
    state.suppliers = Suppliers(db, given.secrets, state.identity, state.sharing, state.notify)
    known = (state.identity, state.fleet, state.telemetry, state.production, state.energy, state.quality)
    state.assessments = Assessments(db, Evident(*known, state.sharing))
    state.billing = Billing(db, state.notify)
    state.compute = Compute(
        db,
        listener,
        given.secrets,
        state.billing,
        ComputeDoors(state.training, state.registry, state.telemetry, state.notify),
    )
    state.resolvers = Resolvers(state.identity.resolve, state.fleet.resolve, state.compute.desk.resolve)
    return doors


def create_app(
    dsn: str,
    secrets: Secrets,
    cold_store: str | None = None,
    notify_settings: NotifySettings | None = None,
    oidc: OidcSettings | None = None,
    *,
    replica: str | None = None,
) -> FastAPI:
    """Return the application on the migrated database at `dsn`, the app role's.

    `cold_store` is the URL under which readings are kept that have left the database; without it none leave. `notify_settings` is what the
    operator sets for sending, `oidc` for log-in with the account people have at work, `replica` the DSN of one that curves and exports may be
    read from. The domains' services are in `app.state` while it runs: identity, fleet, company_entries, telemetry, quality, notify, production, semantics, energy, alarms, reports, training, registry, spc, shelf, sharing, uploads, suppliers, assessments, traceability, billing, compute.
    """
    metrics = Metrics()
    retained = Retained(ColdStore(cold_store) if cold_store else None)
    given = _Given(secrets, metrics, retained, notify_settings or NotifySettings(), oidc)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            db = await stack.enter_async_context(Database(dsn, replica))
            listener = Listener(dsn)
            state = app.state
            doors = _open_domains(state, db, listener, given)
            upkeep = (
                listener.run(),
                keep_rolled_up(db, metrics, retained, (note_changes, note_readings)),
                keep_up_to_date(db, state.telemetry),
                keep_sending(db, state.notify),
                keep_metered(db, state.production),
                keep_evaluated(db, listener, doors),
                keep_reporting(db, state.reports),
                keep_fitting(db, state.training),
                keep_rolling_out(db, state.registry),
                keep_checked(db, state.suppliers),
                keep_expiring(db, state.billing),
                keep_hours_expiring(db, state.billing),
                keep_running(db, state.compute),
                keep_uploads(db, state.compute),
                keep_opinions(db, state.compute),
                *([keep_enforced(state.telemetry.retention)] if cold_store else []),
            )
            tasks = [asyncio.create_task(each) for each in upkeep]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    app = _Described(
        title="Sunmao",
        version="1",
        lifespan=running,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": errors.ProblemBody, "content": {errors.MEDIA_TYPE: {}}}},
    )
    app.state.api_rate = RateLimit(API_BURST, API_PERIOD_S)
    app.add_middleware(Idempotency, secret=secrets.lookup_key)
    app.add_middleware(RateHeaders)
    app.add_middleware(
        BodyLimit,
        caps={
            telemetry.DELIVERIES: telemetry.MAX_DELIVERY_BYTES,
            **training.UPLOADS,
            **registry.UPLOADS,
            **compute.UPLOADS,
            **uploads.UPLOADS,
        },
    )
    app.add_middleware(RememberAddress)
    app.state.gate = Gate(metrics)
    app.add_middleware(Doorkeeper, gate=app.state.gate, log_in=fleet.LOG_IN, deliver=telemetry.DELIVERIES)
    errors.install(app)
    for domain in (
        identity,
        fleet,
        dictionary,
        telemetry,
        quality,
        notify,
        production,
        semantics,
        energy,
        alarms,
        reports,
        training,
        registry,
        spc,
        shelf,
        sharing,
        uploads,
        suppliers,
        assessment,
        traceability,
        billing,
        compute,
    ):
        app.include_router(domain.router)

    @app.get("/healthz", openapi_extra=PUBLIC, tags=["operation"])
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", openapi_extra=PUBLIC, tags=["operation"])
    async def readyz() -> dict[str, str]:
        """The database answers."""
        await app.state.db.ping()
        return {"status": "ok"}

    @app.get("/metrics", openapi_extra=PUBLIC, tags=["operation"], response_class=Response)
    async def exposition() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    mount(app)
    return app
