"""Device templates of a company, beside those the library comes with. A box is given those its configuration names."""

from __future__ import annotations

from cloud.core import audit
from cloud.core.db import AsyncConnection
from cloud.core.principal import Principal
from cloud.fleet.store import templates as store
from protocols.errors import ConfigError
from protocols.uplink.configuration import tables_of


class Templates:
    """What other domains do with them, within a transaction of theirs."""

    @staticmethod
    async def all_within(connection: AsyncConnection) -> dict[str, tuple[int, str]]:
        """Return version and text of the tenant's templates, by id."""
        return {row["id"]: (row["version"], row["body"]) for row in await store.select(connection)}

    @staticmethod
    async def put_within(
        connection: AsyncConnection, principal: Principal, identity: str, version: int, body: str
    ) -> None:
        """Keep a template, in place of the one of its id."""
        row = {"id": identity, "version": version, "body": body, "changed_by": principal.email}
        await store.upsert(connection, row)
        await audit.record(connection, principal.actor, "device_template.keep", identity, version=version)

    @staticmethod
    async def remove_within(connection: AsyncConnection, principal: Principal, identity: str) -> None:
        """Forget a template. Boxes that have it keep it."""
        await store.delete(connection, identity)
        await audit.record(connection, principal.actor, "device_template.remove", identity)

    @staticmethod
    async def in_use_within(connection: AsyncConnection) -> set[str]:
        """Return the ids of templates that the newest configuration of any agent names."""
        texts = await store.select_newest_texts(connection)
        return {name for text in texts for name in named_in(text)}


async def own_templates(connection: AsyncConnection) -> dict[str, str]:
    """Return the templates of the tenant the transaction is in, by id."""
    return {row["id"]: row["body"] for row in await store.select(connection)}


def named_in(text: str) -> set[str]:
    """Return the ids of templates that a configuration names; none of one that is no TOML."""
    try:
        devices = tables_of(text).get("device", [])
    except ConfigError:
        return set()
    named = {device.get("template") for device in devices if isinstance(device, dict)}
    return {name for name in named if isinstance(name, str)}
