"""The demo's figures, each measured where it arises: the agent's durable counters, the cloud's tables, the camera's truth."""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.table import Table

from deploy.demo.platform import Platform
from deploy.demo.processes import wait_until
from protocols.reading import now_us
from protocols.text import Language, Text

MIN_FOUND = 0.9
MAX_P95_MS = 2000.0

_TITLES: dict[str, Text] = {
    "points_collected": Text("readings the agent made durable", "代理已落盘的读数"),
    "points_stored": Text("readings in the cloud's tables", "云端数据表中的读数"),
    "lost": Text("lost", "丢失"),
    "duplicated": Text("duplicated", "重复"),
    "unmapped_points": Text("points without a dictionary entry", "未映射到数据字典的点位"),
    "properties": Text("dictionary entries in use", "用到的数据字典条目"),
    "inspections": Text("inspected parts in the cloud", "云端的检验记录"),
    "defects_planted": Text("defects the camera planted", "相机植入的缺陷件"),
    "defects_found": Text("of these rejected or sent to review", "其中判为不合格或待复核"),
    "false_alarms": Text("good parts not passed", "被误判的合格件"),
    "sample_to_queryable_ms": Text("from source time to visible, ms", "从采样到可查询，毫秒"),
    "started_in_s": Text("ready to look at after, s", "启动到可查看，秒"),
    "agent_rss_mb": Text("memory of the agent, MB", "代理内存，MB"),
    "cloud_rss_mb": Text("memory of the cloud with its database, MB", "云端及数据库内存，MB"),
}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `.demo/summary.json` holds; `_TITLES` says what each figure is."""

    points_collected: int
    points_stored: int
    lost: int
    duplicated: int
    unmapped_points: int
    properties: int
    inspections: int
    defects_planted: int
    defects_found: int
    false_alarms: int
    sample_to_queryable_ms: dict[str, float]
    started_in_s: float
    agent_rss_mb: float
    cloud_rss_mb: float

    def shortcomings(self) -> list[Text]:
        """Return what does not hold, one sentence each; empty if everything does."""
        checks = [
            (self.points_collected > 0, Text("nothing was collected", "没有采集到任何数据")),
            (self.lost == 0, Text(f"{self.lost} readings were lost", f"丢失 {self.lost} 条读数")),
            (self.duplicated == 0, Text(f"{self.duplicated} readings are doubled", f"重复 {self.duplicated} 条读数")),
            (
                self.unmapped_points == 0,
                Text(f"{self.unmapped_points} points are unmapped", f"{self.unmapped_points} 个点位未映射"),
            ),
            (
                self.defects_planted > 0 and self.defects_found >= MIN_FOUND * self.defects_planted,
                Text(
                    f"{self.defects_found} of {self.defects_planted} defects were found, fewer than {MIN_FOUND:.0%}",
                    f"{self.defects_planted} 个缺陷件只检出 {self.defects_found} 个，低于 {MIN_FOUND:.0%}",
                ),
            ),
            (
                self.sample_to_queryable_ms["p95"] < MAX_P95_MS,
                Text(
                    f"95 % were visible after {self.sample_to_queryable_ms['p95']:.0f} ms, later than {MAX_P95_MS:.0f} ms",
                    f"95% 的读数在 {self.sample_to_queryable_ms['p95']:.0f} 毫秒后才可见，超过 {MAX_P95_MS:.0f} 毫秒",
                ),
            ),
        ]
        return [sentence for holds, sentence in checks if not holds]

    def table(self, language: Language) -> Table:
        """Return the figures for people."""
        table = Table(box=None, show_header=False)
        table.add_column()
        table.add_column(justify="right", style="bold")
        for name, value in msgspec.structs.asdict(self).items():
            shown = " / ".join(f"{k} {v:.0f}" for k, v in value.items()) if isinstance(value, dict) else f"{value:,}"
            table.add_row(_TITLES[name].to(language), shown)
        return table


class LiveWatch(threading.Thread):
    """Follows the cloud's live stream as any client may, and notes how old each reading is when it becomes visible."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(daemon=True)
        self._platform = platform
        self._newest: dict[int, int] = {}
        self._ended = False
        self.delays_ms: list[float] = []

    def run(self) -> None:
        """Follow until `end`, over restarts of the cloud."""
        while not self._ended:
            try:
                with self._platform.client.stream("GET", "/changes", timeout=httpx.Timeout(5, read=10)) as stream:
                    stream.raise_for_status()
                    self._follow(stream.iter_lines(), now_us())
            except httpx.TransportError:
                time.sleep(0.2)

    def end(self) -> None:
        """Stop following with the next event."""
        self._ended = True

    def _follow(self, lines: Iterable[str], since: int) -> None:
        for line in lines:
            if self._ended:
                return
            if line.startswith("data:"):
                visible = now_us()
                for latest in json.loads(line[5:])["values"]:
                    arose = round(datetime.fromisoformat(latest["time"]).timestamp() * 1e6)
                    if arose > max(since, self._newest.get(latest["series_id"], 0)):
                        self._newest[latest["series_id"]] = arose
                        self.delays_ms.append((visible - arose) / 1000)

    def quantiles(self) -> dict[str, float]:
        """Return the 0.5 and 0.95 quantiles in milliseconds; infinite if next to nothing was seen."""
        if len(self.delays_ms) < 2:
            return {"p50": math.inf, "p95": math.inf}
        cuts = statistics.quantiles(self.delays_ms, n=20)
        return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1)}


def close_counts(
    platform: Platform, truth: Path, watch: LiveWatch, *, started_in_s: float, memory_mb: dict[str, float]
) -> Summary:
    """Wait until the agent has handed over everything and return the figures.

    Lost is what the agent counted as durable, or the camera photographed, and the cloud does not hold. Duplicated is
    what the cloud holds more than once: readings of one series and time, inspections of one part, and readings beyond
    those of the frames in its ledger.
    """
    parts = {line["part"]: line["defect"] for line in map(json.loads, truth.read_text().splitlines())}
    wait_until(
        lambda: len(inspections(platform)) >= len(parts),
        60,
        Text(f"{len(parts)} inspections", f"{len(parts)} 条检验记录"),
        platform.plant.check,
    )
    counters, stored = platform.drain()
    watch.end()
    verdicts = inspections(platform)
    inspected = {item["part"]: item["verdict"] for item in verdicts}
    defects = {part for part, defect in parts.items() if defect}
    distinct = stored["readings"] - stored["duplicates"]
    return Summary(
        points_collected=counters["collected"],
        points_stored=stored["readings"],
        lost=counters["collected"] - distinct + len(parts.keys() - inspected.keys()),
        duplicated=stored["duplicates"]
        + max(stored["readings"] - stored["ledger_readings"], 0)
        + len(verdicts)
        - len(inspected),
        unmapped_points=stored["unmapped_points"],
        properties=stored["properties"],
        inspections=len(verdicts),
        defects_planted=len(defects),
        defects_found=sum(inspected.get(part) in ("review", "reject") for part in defects),
        false_alarms=sum(verdict != "pass" and part not in defects for part, verdict in inspected.items()),
        sample_to_queryable_ms=watch.quantiles(),
        started_in_s=started_in_s,
        agent_rss_mb=memory_mb["agent"],
        cloud_rss_mb=memory_mb["cloud"],
    )


def inspections(platform: Platform) -> list[dict[str, Any]]:
    """Return all inspections the cloud holds."""
    page = platform.get("/inspections", limit=200)
    items: list[dict[str, Any]] = page["items"]
    while page["next"]:
        page = platform.get("/inspections", limit=200, before=page["next"])
        items += page["items"]
    return items
