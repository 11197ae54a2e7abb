"""What people say about a site's energy: where meters stand, what a kilowatt-hour costs, what it stands for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from urllib.parse import urlencode

from cloud.core.principal import Scope
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box
from cloud.web.factor_form import FactorForm
from cloud.web.layout import frame, page_head
from cloud.web.meter_form import MeterForm
from cloud.web.tariff_form import TariffForm
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Meters, tariff, factors", "计量、电价与因子")

_ENERGY = Text("Energy", "能源")
_NO_SITE = Text("There is no site yet. A manager makes the first one under Plant.", "尚无站点，请管理者先创建站点。")
_READ_ONLY = Text("Only an engineer of this site can change this.", "只有该站点的工程师及以上角色可以修改。")


async def build(visit: Visit) -> None:
    """Build the page."""
    sites = await visit.domains.identity.sites(visit.scope)
    site = next((one for one in sites if str(one.id) == visit.request.query_params.get("site")), None)
    site = site or next(iter(sites), None)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), back=("/energy", visit.say(_ENERGY)))
        if site is None:
            Words(visit.say(_NO_SITE), "card muted", tag="p")
            return
        if len(sites) > 1:
            with box("choices", "nav"):
                for one in sites:
                    with box("here" if one.id == site.id else "", "a", href=f"?{urlencode({'site': one.id})}"):
                        Words(one.name)
        may = await visit.may_at(Scope.ENGINEER, site.id)
        if not may:
            Words(visit.say(_READ_ONLY), "muted", tag="p")
        for form in (
            MeterForm(visit, site, may=may),
            TariffForm(visit, site, may=may),
            FactorForm(visit, site, may=may),
        ):
            await form.show()

    async def stay(_: Collection[Latest], __: datetime) -> None:
        """Nothing on this page moves by itself; a session that ends closes it."""

    live.follow(visit, stay)
