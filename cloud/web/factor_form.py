"""The factors of a site: what a unit of each carrier stands for, with its source, and the form for one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.energy.schemas import FactorRequest
from cloud.identity.schemas import Site
from cloud.web.elements import Words, box
from cloud.web.energy_words import CARRIERS
from cloud.web.tariff_form import show_fault
from cloud.web.tariff_text import NotUnderstood, read_dates, read_number
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Factors for CO₂ and standard coal", "二氧化碳与标准煤因子")
_HOW = Text(
    "The site's own go before those that come with the product; of these, the latest that is valid counts.",
    "站点自行录入的因子优先于内置因子；同类因子以生效日期最近者为准。",
)
_HEAD = (
    Text("Carrier", "能源种类"), Text("Factor", "因子"), Text("Valid from", "生效日期"), Text("Source", "来源"),
)  # fmt: skip
_OWN, _NEW = Text("own", "自行录入"), Text("Enter a factor", "录入因子")
_CARRIER, _KIND, _VALUE = Text("Carrier", "能源种类"), Text("Stands for", "折算为"), Text("Per unit of the carrier", "每单位能源的数值")  # fmt: skip
_KINDS = {"co2": Text("kg of CO₂", "二氧化碳 kg"), "coal": Text("kg of standard coal", "标准煤 kg")}
_VALID, _SOURCE = Text("Valid from", "生效日期"), Text("Source", "来源")
_SAVE, _DELETE = Text("Save", "保存"), Text("Remove", "删除")
_LACKING = Text("Value, day and source are needed.", "请填写数值、生效日期与来源。")


class FactorForm:
    """The card of a site's factors."""

    def __init__(self, visit: Visit, site: Site, *, may: bool) -> None:
        self._visit, self._site, self._may = visit, site, may
        with box("card stack", id="factors"):
            Words(visit.say(_TITLE), tag="h2")
            Words(visit.say(_HOW), "muted", tag="p")
            self._place = box("stack")

    async def show(self) -> None:
        """Show the factors, and the form to those who may."""
        visit = self._visit
        factors = await visit.domains.energy.registry.factors(visit.scope, self._site.id)
        self._place.clear()
        with self._place:
            with box("wide-table"), box("ledger words", "table"):
                with box("", "thead"), box("", "tr"):
                    for name in _HEAD:
                        Words(visit.say(name), tag="th")
                    box("", "th")
                with box("", "tbody"):
                    for factor in factors:
                        with box("", "tr"):
                            Words(visit.say(CARRIERS[factor.carrier]), "nowrap", tag="td")
                            Words(f"{factor.value:.4g} {factor.unit}", "value", tag="td")
                            Words(str(factor.valid_from), "value", tag="td")
                            Words(visit.say(Text(factor.source_en or factor.source, factor.source)), "muted", tag="td")
                            with box("nowrap", "td"):
                                if factor.id:
                                    self._show_own(factor.id)
            if self._may:
                with ui.expansion(visit.say(_NEW)).classes("editor"), box("stack"):
                    self._show_form()

    def _show_own(self, factor_id: UUID) -> None:
        Words(self._visit.say(_OWN), "token")
        if self._may:
            with box("act", "button", type="button").on("click", lambda: self._delete(factor_id)):
                Words(self._visit.say(_DELETE))

    def _show_form(self) -> None:
        visit = self._visit
        offered = {code: visit.say(words) for code, words in CARRIERS.items() if code != "reactive"}
        kinds = {code: visit.say(words) for code, words in _KINDS.items()}
        first = datetime.now(UTC).date().replace(month=1, day=1).isoformat()
        with box("fields"):
            fields: dict[str, Any] = {
                "carrier": ui.select(offered, value="electricity", label=visit.say(_CARRIER)).props("outlined dense"),
                "kind": ui.select(kinds, value="co2", label=visit.say(_KIND)).props("outlined dense"),
                "value": ui.input(visit.say(_VALUE)).props("outlined dense"),
                "valid_from": ui.input(visit.say(_VALID), value=first).props("outlined dense"),
                "source": ui.input(visit.say(_SOURCE)).props("outlined dense"),
            }
        notice = box("stack")
        with box("line"), box("button", "button", type="button").on("click", lambda: self._save(fields, notice)):
            Words(visit.say(_SAVE))

    async def _save(self, fields: Mapping[str, Any], notice: ui.element) -> None:
        visit = self._visit
        if not await visit.may_still(Scope.ENGINEER):
            return
        try:
            request = FactorRequest.model_validate(
                {
                    "site_id": self._site.id,
                    "carrier": fields["carrier"].value,
                    "kind": fields["kind"].value,
                    "value": read_number(fields["value"].value, visit.say(_VALUE)),
                    "valid_from": next(iter(read_dates(str(fields["valid_from"].value))), None),
                    "source": str(fields["source"].value or "").strip(),
                }
            )
            await visit.domains.energy.registry.create_factor(visit.acting(Scope.ENGINEER), request)
        except NotUnderstood as fault:
            show_fault(notice, fault.text.to(visit.language))
        except ValidationError:
            show_fault(notice, visit.say(_LACKING))
        except Problem as problem:
            show_fault(notice, problem.detail.to(visit.language))
        else:
            await self.show()

    async def _delete(self, factor_id: UUID) -> None:
        visit = self._visit
        if await visit.may_still(Scope.ENGINEER):
            await visit.domains.energy.registry.delete_factor(visit.acting(Scope.ENGINEER), factor_id)
            await self.show()
