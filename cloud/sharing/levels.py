"""The only way to another company's level of maturity: over a live grant that shows it, and never without a receipt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import UUID

from cloud.core.audit import canonical
from cloud.core.db import Database
from cloud.core.errors import Conflict, NotFound
from cloud.core.principal import TenantScope
from cloud.sharing import store
from cloud.sharing.reader import Asker, Way
from cloud.sharing.schemas import ReadProof, SharedLevel
from cloud.sharing.terms import Terms
from protocols.text import Text

_MOVED = Text("The grant is being changed; ask again.", "授权正在变更，请重试。")


class Levels:
    """Levels of maturity that grants show."""

    def __init__(self, db: Database, level: Callable[[TenantScope], Awaitable[int | None]]) -> None:
        self._db = db
        self._level = level

    async def read(self, asker: Asker, grant: UUID, *, way: Way = "api") -> SharedLevel:
        """Return the level, receipted; raises NotFound where nothing live shows it, Conflict where that changes just now."""
        async with self._db.tenant(asker.scope) as connection:
            row = await store.select_grant(connection, grant)
        if row is None or row["side"] != "leader" or not row["live"] or not Terms.model_validate(row["terms"]).maturity:
            raise NotFound
        level = await self._level(TenantScope(row["supplier_id"]))
        digest = sha256(canonical(level).encode()).hexdigest()
        body = canonical({"maturity": "level", "values": int(level is not None), "digest": digest, "way": way})
        async with self._db.tenant(asker.scope) as connection:
            proof = await store.append_receipt(connection, grant, "read", asker.actor, body, version=row["version"])
        if proof is None:
            raise Conflict(_MOVED)
        return SharedLevel(
            grant_id=grant,
            version=row["version"],
            level=level,
            digest=digest,
            receipt=ReadProof(seq=proof["seq"], hash=proof["hash"]),
        )
