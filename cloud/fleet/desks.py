"""Desks: where the values of a site come from that people enter by hand. A desk is an agent whose key nobody has."""

from __future__ import annotations

from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import AgentPrincipal, Principal, TenantScope
from cloud.fleet.schemas import MachineRequest
from cloud.fleet.store import desks as store
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

_UNKNOWN_CLASS = Text(
    "equipment_class is no equipment class of the dictionary.", "equipment_class 不是数据字典中的设备类别。"
)
_TAKEN = Text("There is a machine of this name at the site.", "该站点已有同名设备。")


class Desks:
    """The desks of a tenant's sites."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of_site(self, scope: TenantScope, site: UUID) -> AgentPrincipal:
        """Return the desk of a site for what the person of `scope` enters there, once it is known what they reach.

        Raises NotFound if the tenant has no such site.
        """
        whole = TenantScope(scope.tenant_id)
        async with self._db.tenant(whole) as connection:
            if not await store.reaches_site(connection, site):
                raise NotFound
            # The private half is thrown away, so that nobody ever delivers as it over the uplink.
            key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
            desk = await store.ensure_desk(connection, site, key)
        return AgentPrincipal(whole, desk, store.NAME, site)

    async def add_machine(self, principal: Principal, request: MachineRequest) -> UUID:
        """Name a machine whose values are entered by hand and return its id.

        Raises NotFound for a site that is not to be reached, Invalid for an unknown class, Conflict for a name that is taken.
        """
        if request.equipment_class not in equipment_classes():
            raise Invalid(_UNKNOWN_CLASS)
        async with self._db.tenant(principal.scope) as connection:
            if not await store.reaches_site(connection, request.site_id):
                raise NotFound
        desk = await self.of_site(principal.scope, request.site_id)
        try:
            async with self._db.tenant(desk.scope) as connection:
                machine = await store.insert_machine(connection, desk.agent_id, request.name, request.equipment_class)
                await audit.record(
                    *(connection, principal.actor, "equipment.create", str(machine)),
                    site=str(request.site_id),
                    name=request.name,
                    equipment_class=request.equipment_class,
                )
        except store.Taken as error:
            raise Conflict(_TAKEN) from error
        return machine
