"""What points mean that their agents say nothing of: said in the cloud, by an entry of the company's own."""

from __future__ import annotations

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal
from cloud.dictionary.service import OWN, entries_of, withdrawn
from cloud.telemetry.store import query as store
from protocols.text import Text

UNKNOWN_UNIT = "C62"
"""Of a point that says no unit; whoever says what it means knows it."""

_MAPPED = Text(
    "The gateway's configuration says what this point means; change it there.",
    "该点的含义由网关配置给出，请在网关修改。",
)
_NOT_OWN = Text(
    "'{code}' is no released entry of the company's own that may be used; the platform's entries are set at the gateway.",
    "“{code}”不是本企业可用的已发布条目；平台条目请在网关配置中设置。",
)
_OTHER_UNIT = Text(
    "The point is in {have}, the entry in {want}: values would be read wrongly. Set the unit at the gateway or choose"
    " another entry.",
    "该点单位为 {have}，条目单位为 {want}，数值会被误读。请在网关设置单位或选择其他条目。",
)


class Meanings:
    """Which of the company's own entries points have."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def set(self, principal: Principal, series_id: int, code: str) -> None:
        """Say what a point means, by a code of the company's own; "" takes it away. What is stored already counts, too.

        Raises NotFound for an unknown point, Conflict for one the gateway has mapped, and Invalid for an entry that is not
        to be had or is in another unit.
        """
        async with self._db.tenant(principal.scope) as connection:
            row = await store.lock_meaning(connection, series_id)
            if row is None:
                raise NotFound
            if row["property"]:
                raise Conflict(_MAPPED)
            if code:
                entry = (await entries_of(connection, [code])).get(code)
                kept = code == row["own_entry"]
                if entry is None or not code.startswith(OWN) or (not kept and code in await withdrawn(connection)):
                    raise Invalid(_filled(_NOT_OWN, code=code))
                if row["unit"] not in (entry.unit, UNKNOWN_UNIT):
                    raise Invalid(_filled(_OTHER_UNIT, have=row["unit"], want=entry.unit))
            await store.update_meaning(connection, series_id, code)
            await audit.record(
                *(connection, principal.actor, "point.meaning", str(series_id)), before=row["own_entry"], after=code
            )


def _filled(text: Text, **values: str) -> Text:
    return Text(text.en.format(**values), text.zh.format(**values))
