"""Jobs as lines, page by page, narrowed by state, kind, the other side and time; the address is what is looked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from cloud.compute.schemas import Job, JobKind, JobState
from cloud.compute.service import JobFilter
from cloud.web.compute_words import KINDS, STATES, progress_of, small_yuan
from cloud.web.elements import MarkView, Words, box
from cloud.web.filter_form import FROM, TO, Field, Filters
from cloud.web.language import moment
from cloud.web.visit import Visit
from protocols.text import Text

PAGE_SIZE = 12
ANCHOR = "jobs"
"""Where on its page the list is."""

_STATE, _KIND = Text("State", "状态"), Text("Kind", "类型")
_PROVIDER, _CUSTOMER = Text("Provider", "算力提供方"), Text("Customer", "客户")


async def show_jobs(visit: Visit, path: str, none_yet: Text, *, own: bool) -> None:
    """Add the form and a page of the company's jobs, or with `own` False of those at its offers; the page is at `path`."""
    compute = visit.domains.compute
    partners = sorted((await compute.partners(visit.scope, own=own)).values())
    states: tuple[JobState, ...] = get_args(JobState)
    kinds: tuple[JobKind, ...] = get_args(JobKind)
    fields = (
        Field("state", _STATE, names={one: visit.say(STATES[one].text) for one in states}),
        Field("kind", _KIND, names={one: visit.say(KINDS[one]) for one in kinds}),
        Field("partner", _PROVIDER if own else _CUSTOMER, names={name: name for name in partners}),
        FROM,
        TO,
    )
    filters = Filters(visit, path, fields, anchor=ANCHOR)
    wanted = JobFilter(
        filters.one_of("state", states),
        filters.one_of("kind", kinds),
        filters.text("partner"),
        filters.day("from"),
        filters.day("to", later=1),
    )
    jobs = await compute.jobs(visit.scope, _id(filters.before), own=own, wanted=wanted, limit=PAGE_SIZE + 1)
    if jobs or filters.asked:
        filters.show()
    if not jobs:
        filters.show_none(none_yet)
    for job in jobs[:PAGE_SIZE]:
        _job_line(visit, job)
    filters.show_turns(jobs[PAGE_SIZE - 1].id if len(jobs) > PAGE_SIZE else None)


def _job_line(visit: Visit, job: Job) -> None:
    with box("line spread lot job", "a", href=f"/compute/jobs/{job.id}"):
        with box():
            Words(f"{visit.say(KINDS[job.kind])}: {job.name}", "strong", tag="div")
            at = moment(job.submitted_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
            told = [at, job.code, progress_of(job, visit.language) if job.state == "running" else ""]
            Words(" · ".join(filter(None, told)), "muted small", tag="div")
        with box("line"):
            Words(small_yuan(job.cost - job.subsidy - job.prepaid if job.own else job.cost), "num")
            MarkView(STATES[job.state], visit.language)


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
