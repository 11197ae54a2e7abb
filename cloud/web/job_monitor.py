"""What a job uses, what is amiss with it and what its child writes, on the job's page while it runs and after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.compute.schemas import JobDetail, JobUse
from cloud.core.principal import Scope
from cloud.web.charts import Sample, line_chart
from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

_LOOK_S = 2.0
_USE, _CORES, _MEMORY, _ACCELERATOR = (
    Text("What it uses", "资源使用"),
    Text("Cores at work", "使用中的核数"),
    Text("Memory, MiB", "内存，MiB"),
    Text("Accelerator, %", "加速卡利用率，%"),
)
_LOG, _NOTHING = Text("Log", "日志"), Text("Nothing has been written yet.", "尚无日志。")
_SHOWN = 200


class JobMonitor:
    """Charts and log of a job; drawn anew while it runs."""

    def __init__(self, visit: Visit, detail: JobDetail) -> None:
        self._visit, self._job = visit, detail.job.id
        self._runs = detail.job.state in ("queued", "running")
        self._began = {each.number: each.started_at for each in detail.attempts}
        self._seen, self._lines, self._series = 0, list[str](), list[JobUse]()
        self._use = box("stack wide")
        with box("card stack wide"):
            Words(visit.say(_LOG), tag="h2")
            self._log = Words(visit.say(_NOTHING), "diff job-log", tag="pre")
        self._timer = ui.timer(_LOOK_S, self._look)

    async def show(self) -> None:
        """Show what there is now."""
        compute = self._visit.domains.compute
        if new := await compute.monitor.log(self._visit.scope, self._job, self._seen):
            self._seen = new[-1].id
            self._lines = [*self._lines, *(each.line for each in new)][-_SHOWN:]
            self._log.show("\n".join(self._lines))
        series = await compute.monitor.use(self._visit.scope, self._job)
        if series != self._series:
            self._series = series
            self._draw()

    async def _look(self) -> None:
        if not await self._visit.may_still(Scope.READ):
            return
        runs = self._runs
        if runs:
            detail = await self._visit.domains.compute.job(self._visit.scope, self._job)
            self._runs = detail.job.state in ("queued", "running")
            self._began = {each.number: each.started_at for each in detail.attempts}
        await self.show()
        if not runs:
            self._timer.cancel()

    def _draw(self) -> None:
        say = self._visit.say
        self._use.clear()
        if not self._series:
            return
        with self._use, box("card stack wide"):
            Words(say(_USE), tag="h2")
            self._chart(_CORES, lambda one: one.cores)
            if any(one.memory_mb for one in self._series):
                self._chart(_MEMORY, lambda one: float(one.memory_mb))
            if any(one.accelerator is not None for one in self._series):
                self._chart(_ACCELERATOR, lambda one: one.accelerator)

    def _chart(self, name: Text, value: Callable[[JobUse], float | None]) -> None:
        samples = [Sample(self._at(one), value(one)) for one in self._series]
        words = self._visit.say(name)
        Words(words, "muted small", tag="div")
        ends = samples[-1].time
        options = line_chart(samples, start=samples[0].time, end=ends, zone=self._visit.zone, name=words, unit="")
        options["yAxis"] |= {"scale": False, "min": 0}
        ui.echart(options).classes("chart low")

    def _at(self, use: JobUse) -> datetime:
        return self._began.get(use.attempt, datetime.now(UTC)) + timedelta(seconds=use.used_s)
