"""The door of the assessment domain.

proposals = await assessments.evidence(scope, machines)     -> list[Evidence]: what the platform knows towards the answers
made = await assessments.assess(principal, answers)         -> Assessment: scores, level, what the next level lacks; kept
history = await assessments.all(scope)                      -> list[Assessment], newest first
file = await assessments.report(scope, assessment_id, "zh") -> ReportFile, a PDF
level = await latest_level(db, scope)                       -> int | None: what the last assessment came to
edition = edition_2024()                                    what is asked
"""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from cloud.assessment import store
from cloud.assessment.document import DIMENSIONS, document_of, lacks, level_name, step_name
from cloud.assessment.edition import Question, Scene, edition_2024
from cloud.assessment.evidence import Doors, evidence
from cloud.assessment.schemas import Answers, Assessment, Evidence, Lacking, NextStep
from cloud.assessment.scoring import road_map, score
from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.reports.schemas import ReportFile
from cloud.reports.service import printed
from protocols.text import Language

__all__ = [
    "DIMENSIONS",
    "Assessments",
    "Doors",
    "Question",
    "Scene",
    "edition_2024",
    "lacks",
    "latest_level",
    "level_name",
    "step_name",
]


class Assessments:
    """Maturity assessments of a tenant."""

    def __init__(self, db: Database, doors: Doors) -> None:
        self._db = db
        self._doors = doors

    async def evidence(self, scope: TenantScope, machines: int | None = None) -> list[Evidence]:
        """Return what is known towards the answers; shares of machines where the company says how many it has."""
        return await evidence(self._doors, scope, machines)

    async def all(self, scope: TenantScope) -> list[Assessment]:
        """Return the last 100 assessments, newest first."""
        async with self._db.tenant(scope) as connection:
            return [_assessment(row) for row in await store.select(connection)]

    async def assess(self, principal: Principal, answers: Answers) -> Assessment:
        """Score answers and keep them, with the evidence there is now."""
        edition = edition_2024()
        known = await self.evidence(principal.scope, answers.machines)
        found = score(edition, answers)
        row: Row = {
            "id": uuid7(),
            "edition": edition.edition,
            "answers": answers.model_dump(mode="json"),
            "evidence": [one.model_dump(mode="json") for one in known],
            "points": found.base,
            "level": found.level,
            "assessed_by": principal.actor,
        }
        async with self._db.tenant(principal.scope) as connection:
            stored = await store.insert(connection, row)
            await audit.record(
                *(connection, principal.actor, "assessment.make", str(row["id"])), points=found.base, level=found.level
            )
        return _assessment(stored)

    async def report(self, scope: TenantScope, identity: UUID, language: Language) -> ReportFile:
        """Return an assessment as a PDF; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select(connection, identity)
        if not rows:
            raise NotFound
        company = await self._doors.identity.company_name(scope)
        sites = await self._doors.identity.sites(scope)
        zone = ZoneInfo(sites[0].time_zone) if sites else ZoneInfo("Asia/Shanghai")
        return printed(document_of(edition_2024(), _assessment(rows[0]), company, zone), "pdf", language)


async def latest_level(db: Database, scope: TenantScope) -> int | None:
    """Return the level of the tenant's last assessment; None if it has made none."""
    async with db.tenant(scope) as connection:
        rows = await store.select(connection)
    return int(rows[0]["level"]) if rows else None


def _assessment(row: Row) -> Assessment:
    edition, answers = edition_2024(), Answers.model_validate(row["answers"])
    found = score(edition, answers)
    return Assessment(
        **row | {"answers": answers},
        by_question=dict(found.points),
        lacking=Lacking(**found.missing._asdict()) if found.missing else None,
        steps=[NextStep(**step._asdict()) for step in road_map(edition, answers, found)],
    )
