"""What providers offer: opened with terms, proven by a probe, known by how it has kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.billing.service import CHINA, Price, by_hour, units_of
from cloud.compute import store
from cloud.compute import task as tasks
from cloud.compute.green import green
from cloud.compute.metering import platform_key, public_text
from cloud.compute.schemas import GreenIndex, Offer, OfferChange, OfferMade, OfferTerms
from cloud.compute.store import offer_versions
from cloud.compute.worker_schemas import Hello, Welcome
from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Conflict, NotFound
from cloud.core.principal import Principal, TenantScope, WorkerPrincipal
from cloud.core.rows import Row
from cloud.core.settings import Secrets
from protocols.text import Text

ALIVE_S = 10.0
"""An offer whose worker has been silent for longer is not decided for."""
BEAT_S, LEASE_S = 2.0, 8.0
"""How often a worker is heard, and how long after that its job is nobody else's."""
_FAMILIES = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "TensorrtExecutionProvider"),
    "ascend": ("CANNExecutionProvider",),
    "rocm": ("ROCMExecutionProvider", "MIGraphXExecutionProvider"),
    "openvino": ("OpenVINOExecutionProvider",),
    "dml": ("DmlExecutionProvider",),
}
"""What of ONNX Runtime proves a family of chips."""
_BEFORE_H = 10.0
"""Hours without a break that an offer is taken to have run before it was known."""
_RUNNING = Text("A job runs there; close it when that has ended.", "该算力上有作业正在运行，请待其结束后再下架。")


class OfferDesk:
    """Offers of all providers, and their workers."""

    def __init__(self, db: Database, keys: Secrets) -> None:
        self._db, self._key = db, keys.lookup_key.encode()
        self._platform = public_text(platform_key(keys.signing_key))

    async def offers(self, scope: TenantScope, *, own: bool = False) -> list[Offer]:
        """Return the open offers of all providers, or all of one's own, closed ones too; by code."""
        async with self._db.tenant(scope) as connection:
            return [offer_of(row) for row in await store.select_offers(connection, ALIVE_S, own=own)]

    async def open(self, principal: Principal, terms: OfferTerms) -> OfferMade:
        """Offer computing power; the token is for `sunmao-cloud compute work` and is shown once."""
        identity, token = uuid7(), f"sw_{secrets.token_urlsafe(32)}"
        async with self._db.tenant(principal.scope) as connection:
            company = await store.select_company(connection)
            row = {
                "id": identity,
                "provider": company["name"],
                "code": f"{terms.region}-{terms.chip}-{secrets.token_hex(4)}",
                "terms": terms.model_dump(mode="json"),
                "opened_by": principal.actor,
                "token_hash": self._hash(token),
            }
            await store.insert_offer(connection, row)
            (made,) = await store.select_offers(connection, ALIVE_S, identity=identity)
            after = {"code": row["code"], "terms": row["terms"]}
            await audit.record(connection, principal.actor, "offer.open", str(identity), after=after)
        return OfferMade(offer=offer_of(made), token=token)

    async def change(self, principal: Principal, identity: UUID, body: OfferChange) -> Offer:
        """Let other terms of an offer hold from now on, or pause it; jobs keep theirs. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            before = await offer_versions.lock(connection, identity)
            if before is None:
                raise NotFound
            wanted = body.model_dump(mode="json", exclude_none=True)
            paused = wanted.pop("paused", before["paused"])
            terms = OfferTerms.model_validate(before["terms"] | wanted).model_dump(mode="json")
            other = terms != OfferTerms.model_validate(before["terms"]).model_dump(mode="json")
            if other:
                await offer_versions.replace(connection, identity, terms)
            if paused != before["paused"]:
                await offer_versions.pause(connection, identity, paused=paused)
            (row,) = await store.select_offers(connection, ALIVE_S, identity=identity)
            if other or paused != before["paused"]:
                old = {name: before["terms"].get(name) for name in wanted} | {"paused": before["paused"]}
                told = {"code": row["code"], "version": row["version"], "paused": paused, **wanted}
                await audit.record(connection, principal.actor, "offer.change", str(identity), before=old, after=told)
        return offer_of(row)

    async def close(self, principal: Principal, identity: UUID) -> None:
        """Take an offer back; its token ends at once. Raises NotFound, Conflict while a job runs there."""
        async with self._db.tenant(principal.scope) as connection:
            if await store.running_at(connection, identity):
                raise Conflict(_RUNNING)
            if not await store.close_offer(connection, identity):
                raise NotFound
            await audit.record(connection, principal.actor, "offer.close", str(identity))

    async def resolve(self, token: str) -> WorkerPrincipal | None:
        """Return who a worker's token belongs to; None if its offer is closed, or it is nobody's."""
        async with self._db.door() as connection:
            row = await store.find_worker(connection, self._hash(token))
        return WorkerPrincipal(TenantScope(row["tenant_id"]), row["offer_id"]) if row else None

    async def hello(self, worker: WorkerPrincipal, body: Hello) -> Welcome:
        """Take down a worker's key and what its probe has found; an offer with another chip than it names gets no job."""
        async with self._db.tenant(worker.scope) as connection:
            await store.welcome_worker(connection, worker.offer_id, body.model_dump())
            (row,) = await store.select_offers(connection, ALIVE_S, identity=worker.offer_id)
        return Welcome(
            code=row["code"],
            chip=row["terms"]["chip"],
            proven=proven(row),
            platform_key=self._platform,
            beat_s=BEAT_S,
            lease_s=LEASE_S,
        )

    def _hash(self, token: str) -> bytes:
        return hmac.digest(self._key, b"worker" + token.encode(), hashlib.sha256)


def proven(row: Row) -> bool:
    """Return whether a probe has shown that an offer computes by the chip it names."""
    return row["speed"] is not None and runs_on(row["terms"]["chip"], row["provider_name"] or "")


def runs_on(chip: str, provider: str) -> bool:
    """Return whether an execution provider of ONNX Runtime is one of the chip's family."""
    return provider in _FAMILIES.get(chip.partition("-")[0], ())


def failures_per_hour(row: Row) -> float:
    """Return how often an offer has broken, as if it had run for ten hours before without."""
    return float(row["breaks"] / (row["run_s"] / 3600 + _BEFORE_H))


def prices_of(terms: dict[str, Any]) -> tuple[Price, ...]:
    """Return the prices of an offer's terms."""
    return tuple(Price(each["from_hour"], each["yuan_per_hour"]) for each in terms["prices"])


def decided_by(row: Row, hours: Mapping[str, int]) -> tasks.Offer:
    """Return an offer as the decision takes it; `hours`: unit-milliseconds that are prepaid, by chip."""
    terms = row["terms"]
    prepaid_ms = hours.get(terms["chip"], 0) // units_of(terms["chip"], terms["cores"]) if takes_hours(terms) else 0
    return tasks.Offer(
        code=row["code"],
        provider=row["provider"],
        region=terms["region"],
        chip=terms["chip"].partition("-")[0],
        chip_origin=terms["chip_origin"],
        speed=row["speed"] or 1.0,
        prices=prices_of(terms),
        own=row["own"],
        alive=row["alive"],
        paused=row["paused"],
        proven=proven(row),
        walls=row["no_walls"] == "",
        network=bool(terms.get("network")),
        cores=terms["cores"],
        memory_gb=terms["memory_gb"],
        queue_s=_TURN_S if row["busy"] else 0.0,
        mbps=terms["mbps"],
        failures_per_hour=failures_per_hour(row),
        kw=terms["kw"],
        pue=terms["pue"],
        grid_kg_per_kwh=terms["grid_kg_per_kwh"],
        green_share=terms["green_share"],
        prepaid_s=prepaid_ms / 1000,
    )


def takes_hours(terms: Mapping[str, Any]) -> bool:
    """Return whether prepaid hours pay at an offer of these terms."""
    return bool(terms.get("takes_hours"))


_TURN_S = 600.0
"""How long one is taken to wait where another job runs."""


def offer_of(row: Row) -> Offer:
    """Return an offer as people see it."""
    terms = OfferTerms.model_validate(row["terms"])
    there_s = max((datetime.now(UTC) - row["opened_at"]).total_seconds(), 1.0)
    index = green(terms.pue, terms.grid_kg_per_kwh, terms.green_share, (row["run_s"] + row["lost_s"]) / there_s)
    hour = datetime.now(CHINA).hour
    return Offer(
        **{name: row[name] for name in Offer.model_fields if name in row and name != "terms"},
        terms=terms,
        proven=proven(row),
        price_now=by_hour(prices_of(row["terms"]))[hour],
        failures_per_hour=round(failures_per_hour(row), 4),
        green=GreenIndex(**index._asdict()),
    )
