"""The versions that came of a set: what the newest needs at the box, each with its figures, its roll-out and its download."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.training.schemas import Version
from cloud.web.elements import Words, box
from cloud.web.forms import attempt, button
from cloud.web.version_card import show_version
from cloud.web.visit import Visit
from protocols.text import Text

_VERSIONS = Text("Versions", "版本")
_DOWNLOAD = Text("Download the model", "下载模型")
_ROLL_OUT = Text("Roll out", "下发")
_TAKE = Text("Take it to the box", "部署到网关")


class VersionList:
    """Draws versions; `note` says how the first one comes to a box, `configuration` what to write there."""

    def __init__(self, visit: Visit, note: Text, configuration: Callable[[Version], str]) -> None:
        self._visit, self._note, self._configuration = visit, note, configuration
        self._place = box("stack wide")
        self._answers: dict[UUID, ui.element] = {}

    def show(self, versions: list[Version]) -> None:
        """Draw them, newest first."""
        say = self._visit.say
        self._place.clear()
        if not versions:
            return
        with self._place:
            with box("card stack wide"):
                Words(say(_TAKE), tag="h2")
                Words(say(self._note), "muted", tag="p")
                Words(self._configuration(versions[0]), "command", tag="div")
            Words(say(_VERSIONS), tag="h2")
            self._answers = {}
            for each in versions:
                with box("card stack wide version"):
                    show_version(self._visit, each)
                    with box("line"):
                        if self._visit.may(Scope.ENGINEER):
                            button(say(_ROLL_OUT), partial(self._release, each.id))
                        with box("button quiet", "a", href=f"/api/v1/training/versions/{each.id}/bundle"):
                            Words(say(_DOWNLOAD))
                    self._answers[each.id] = box("stack")

    async def _release(self, version_id: UUID) -> None:
        """Put a version among the released models, and go where it is rolled out."""

        async def act(principal: Principal) -> None:
            released = await self._visit.domains.registry.release(principal, version_id)
            ui.navigate.to(f"/models?version={released.id}")

        await attempt(self._visit, self._answers[version_id], Scope.ENGINEER, act)
