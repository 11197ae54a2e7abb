"""Roll-outs: a model goes from judging beside over a few stations to all, each stage on the evidence of the one before.

What a station shall run is written down as an order; boxes fetch it, and what they say and inspect is the evidence. The rule
by which a stage ends is in `judgement`; here it is applied, by the clock (`tasks`) or by a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.quality.service import ModelRecord as Judged
from cloud.quality.service import last_parts, model_record
from cloud.registry import store
from cloud.registry.judgement import Decision, decide, share
from cloud.registry.schemas import Evidence, Plan, Rollout, RolloutRequest, RolloutStation, Stage
from protocols.text import Text
from protocols.uplink.models import ModelRecord

BY_ITSELF = "rollout"
"""The actor of what follows from the plan."""
BASE_PARTS = 1000
"""So many of each station's last parts before a roll-out say what its model rejected."""
_SHOWN = 50
_ORDER: tuple[Stage, ...] = get_args(Stage)[:4]

_WATCHED = ("health", "seasonal")
"""Tasks of which boxes count themselves what was said; of inspections the parts are stored."""
_ROLLED_OUT = ("inspect", *_WATCHED)
_OTHER_TASK = Text(
    "The model and a station do not go together: models of pictures go to inspection stations, those of machine health to"
    " watches over machines, seasonal ones to forecasts, and others are not rolled out.",
    "模型与工位不匹配：图片模型下发到检测工位，设备健康模型下发到设备监测，季节模型下发到预测，其他模型不支持下发。",
)
_BUSY = Text(
    "A station takes part in a roll-out that has not ended; promote it or take it back first.",
    "有工位正在参与尚未结束的下发；请先推进或撤回。",
)
_ENDED = Text("This roll-out has ended.", "该下发已结束。")


class Rollouts:
    """The roll-outs of a tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, scope: TenantScope) -> list[Rollout]:
        """Return the latest 50, newest first."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_rollouts(connection, limit=_SHOWN)
            return [await _shown(connection, row) for row in rows]

    async def one(self, scope: TenantScope, identity: UUID) -> Rollout:
        """Return one; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return await _shown(connection, await _row(connection, identity))

    async def begin(self, principal: Principal, request: RolloutRequest) -> Rollout:
        """Begin a roll-out; raises NotFound, Invalid for a station that cannot take part, Conflict for one that does."""
        async with self._db.tenant(principal.scope) as connection:
            versions = await store.select_versions(connection, identity=request.version_id)
            if not versions:
                raise NotFound
            version = versions[0]
            if version["task"] not in _ROLLED_OUT:
                raise Invalid(_OTHER_TASK)
            known = {row["equipment_id"]: row for row in await store.select_stations(connection, request.stations)}
            for station in request.stations:
                if station not in known or not known[station]["running"]:
                    raise Invalid(_silent(station))
                if known[station]["task"] != version["task"]:
                    raise Invalid(_OTHER_TASK)
            if version["task"] in _WATCHED:
                before = _total(known.values())
                parts, rejects = before.judged, before.rejects
            else:
                parts, rejects = await last_parts(connection, request.stations, BASE_PARTS)
            stage: Stage = "shadow" if request.plan.shadow else "canary" if request.canary else "full"
            identity = uuid7()
            row = {
                "id": identity,
                "version_id": request.version_id,
                "stage": stage,
                "plan": request.plan.model_dump(),
                "base_parts": parts,
                "base_rejects": rejects,
                "begun_by": principal.actor,
            }
            stations = [
                {
                    "rollout_id": identity,
                    "equipment_id": station,
                    "canary": station in request.canary,
                    "before": known[station]["running"],
                }
                for station in request.stations
            ]
            try:
                await store.insert_rollout(connection, row, stations)
            except store.Taken as error:
                raise Conflict(_BUSY) from error
            found = await _row(connection, identity)
            await _order(connection, found, stage)
            name = f"{version['name']} {version['version']}"
            await audit.record(connection, principal.actor, "rollout.begin", name, rollout=str(identity), stage=stage)
            return await _shown(connection, found)

    async def promote(self, principal: Principal, identity: UUID) -> Rollout:
        """Go on to the next stage whatever the evidence; raises Conflict after the end."""
        async with self._db.tenant(principal.scope) as connection:
            row = await _running(connection, identity)
            await _move(connection, row, await _following(connection, row), Text("", ""), principal.actor)
            return await _shown(connection, await _row(connection, identity))

    async def take_back(self, principal: Principal, identity: UUID) -> Rollout:
        """Let every station run what it ran before; raises Conflict after the end."""
        why = Text(f"taken back by {principal.actor}", f"由 {principal.actor} 撤回")
        async with self._db.tenant(principal.scope) as connection:
            await _move(connection, await _running(connection, identity), "returned", why, principal.actor)
            return await _shown(connection, await _row(connection, identity))

    async def look(self, scope: TenantScope) -> None:
        """Let every roll-out of the tenant that runs go on, wait or be taken back by its evidence."""
        async with self._db.tenant(scope) as connection:
            for row in await store.select_rollouts(connection, running=True, lock="skip"):
                stations = await store.select_rollout_stations(connection, row["id"])
                following = await _following(connection, row)
                decision = _decision(row, stations, await _evidence(connection, row, stations), following)
                if decision.act != "wait":
                    await _move(
                        connection,
                        row,
                        "returned" if decision.act == "return" else following,
                        decision.why,
                        BY_ITSELF,
                    )


def _decision(row: Row, stations: Sequence[Row], evidence: Evidence, following: Stage) -> Decision:
    for station in stations:
        settled = station["dealt_with"] >= station["number"]
        if settled and station["outcome"] in ("failed", "returned"):
            return Decision("return", Text(station["reason_en"], station["reason_zh"]))
    return decide(evidence, Plan(**row["plan"]), last=following == "done")


async def _evidence(connection: AsyncConnection, row: Row, stations: Sequence[Row]) -> Evidence:
    watched = [each for each in stations if each["canary"] or row["stage"] != "canary"]
    if row["task"] in _WATCHED:
        record = _said(_total(each for each in watched if each["dealt_with"] >= each["number"]))
    else:
        equipment = [each["equipment_id"] for each in watched]
        record = await model_record(connection, equipment, row["name"], row["version"], row["stage_since"])
    minutes = (datetime.now(UTC) - row["stage_since"]).total_seconds() / 60
    if row["stage"] == "shadow":
        rejects = share(record.shadow_rejects, record.shadow_parts)
        before, p95_us = share(record.other_rejects, record.shadow_parts), record.shadow_p95_us
    else:
        rejects = share(record.rejects, record.parts)
        before, p95_us = share(row["base_rejects"], row["base_parts"]), record.p95_us
    return Evidence(
        rejects=rejects,
        before=before,
        differing=record.differing if row["stage"] == "shadow" else None,
        latency_ms=None if p95_us is None else p95_us / 1000,
        minutes=minutes,
    )


def _total(stations: Iterable[Row]) -> ModelRecord:
    """Return what the models of several watches said, as of one; of times the longest."""
    records = [msgspec.convert(each["record"], ModelRecord) for each in stations]
    return ModelRecord(
        *(
            (max if name.endswith("_us") else sum)(getattr(each, name) for each in records or [ModelRecord()])
            for name in ModelRecord.__struct_fields__
        )
    )


def _said(record: ModelRecord) -> Judged:
    """Return a watch's record as what is known of an inspection model."""
    return Judged(
        parts=record.judged,
        rejects=record.rejects,
        p95_us=record.p95_us if record.judged else None,
        shadow_parts=record.beside,
        shadow_rejects=record.beside_rejects,
        other_rejects=record.beside_decided,
        differing=record.differing,
        shadow_p95_us=record.beside_p95_us if record.beside else None,
    )


async def _following(connection: AsyncConnection, row: Row) -> Stage:
    """Return the stage after the present one; canary is left out where no station is one, or all are."""
    following = _ORDER[_ORDER.index(row["stage"]) + 1]
    if following == "canary":
        canaries = {each["canary"] for each in await store.select_rollout_stations(connection, row["id"])}
        if canaries != {True, False}:
            return "full"
    return following


async def _move(connection: AsyncConnection, row: Row, stage: Stage, why: Text, actor: str) -> None:
    await store.set_stage(connection, row["id"], stage, why.en, why.zh)
    if stage != "done":
        await _order(connection, row, stage)
    act = "rollout.return" if stage == "returned" else "rollout.promote"
    name = f"{row['name']} {row['version']}"
    await audit.record(connection, actor, act, name, rollout=str(row["id"]), stage=stage, reason=why.en)


async def _order(connection: AsyncConnection, row: Row, stage: Stage) -> None:
    """Write down what each station shall run in this stage."""
    budget_us = (row["plan"]["latency_ms"] or 0) * 1000
    for station in await store.select_rollout_stations(connection, row["id"]):
        decides = stage == "full" or (stage == "canary" and station["canary"])
        beside = stage == "shadow" or (stage == "canary" and row["plan"]["shadow"] and not station["canary"])
        await store.order(
            connection,
            station["equipment_id"],
            run=row["digest"] if decides else station["before"] if stage == "returned" else "",
            shadow=row["digest"] if beside else "",
            latency_us=budget_us if decides else 0,
        )


async def _row(connection: AsyncConnection, identity: UUID, lock: store.Lock = "") -> Row:
    rows = await store.select_rollouts(connection, identity=identity, lock=lock)
    if not rows:
        raise NotFound
    return rows[0]


async def _running(connection: AsyncConnection, identity: UUID) -> Row:
    """Return a roll-out as it is once nobody else changes it; raises NotFound, Conflict if it has ended."""
    row = await _row(connection, identity, "wait")
    if row["ended_at"] is not None:
        raise Conflict(_ENDED)
    return row


async def _shown(connection: AsyncConnection, row: Row) -> Rollout:
    stations = await store.select_rollout_stations(connection, row["id"])
    evidence, wait = None, Text("", "")
    if row["ended_at"] is None:
        evidence = await _evidence(connection, row, stations)
        wait = _decision(row, stations, evidence, await _following(connection, row)).why
    return Rollout(
        **{name: row[name] for name in Rollout.model_fields if name in row and name != "stations"},
        stations=[
            RolloutStation(
                equipment_id=each["equipment_id"],
                canary=each["canary"],
                running=each["running"] == row["digest"],
                outcome=each["outcome"] if each["dealt_with"] >= each["number"] else "",
                reason_en=each["reason_en"],
                reason_zh=each["reason_zh"],
            )
            for each in stations
        ],
        evidence=evidence,
        next_en=wait.en,
        next_zh=wait.zh,
    )


def _silent(station: UUID) -> Text:
    return Text(
        f"The station {station} has not said what model it runs: it is no inspection station and no watch, or its box is offline or too old.",
        f"工位 {station} 尚未报告所用模型：它既不是检测工位也不是设备监测，或其网关离线或版本过旧。",
    )
