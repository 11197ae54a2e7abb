"""What needs somebody now, before everything that is well: machines and gateways in trouble, worst first, with the next step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import NamedTuple

from cloud.fleet.schemas import Agent
from cloud.web.elements import Words, box, icon
from cloud.web.gateway_health import Trouble, troubles
from cloud.web.plant import Equipment
from cloud.web.trouble import trouble_of
from cloud.web.visit import Visit
from protocols.text import Text

MOST = 6
_TITLE = Text("Needs attention", "需要关注")
_MORE = Text("and {count} more", "另有 {count} 项")
_ALL_WELL = Text("Nothing needs attention: every machine and gateway is well.", "一切正常，没有需要关注的设备或网关。")


class Concern(NamedTuple):
    """Whom a trouble is about, and where to see more."""

    name: str
    address: str
    trouble: Trouble


def concerns(plant: Iterable[Equipment], agents: Iterable[Agent], now: datetime) -> list[Concern]:
    """Return what needs somebody, worst first. A machine behind a silent gateway is the gateway's concern."""
    ours = version("sunmao-iiot")
    of_agents = [
        Concern(agent.name, f"/gateways#{agent.id}", trouble)
        for agent in agents
        for trouble in troubles(agent, now, ours)
        if trouble.tone in ("bad", "warn")
    ]
    of_machines = [
        Concern(each.known.label, f"/equipment/{each.known.id}", trouble)
        for each in plant
        if (trouble := trouble_of(each)) is not None and trouble.tone != "off"
    ]
    return sorted(of_machines + of_agents, key=lambda concern: concern.trouble.tone != "bad")


class Attention:
    """The list on a page. `refresh` writes it anew where anything has changed."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: Sequence[Concern] | None = None
        self._place = box("card attention")

    def refresh(self, found: Sequence[Concern]) -> None:
        """Show `found`."""
        if found == self._shown:
            return
        self._shown = found
        say = self._visit.say
        self._place.clear()
        with self._place:
            if not found:
                with box("line is-well"):
                    icon("good")
                    Words(say(_ALL_WELL))
                return
            Words(say(_TITLE), tag="h2")
            for concern in found[:MOST]:
                with box(f"concern {concern.trouble.tone}", "a", href=concern.address):
                    icon(concern.trouble.tone)
                    with box():
                        Words(concern.name, "who", tag="div")
                        Words(say(concern.trouble.what), tag="div")
                        Words(say(concern.trouble.step), "muted small", tag="div")
            if len(found) > MOST:
                Words(say(_MORE, count=len(found) - MOST), "muted small")
