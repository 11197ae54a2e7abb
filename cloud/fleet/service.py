"""The door of the fleet domain.

fleet = Fleet(db, secrets)                                app.state.fleet in a running cloud
equipment = await fleet.equipment_list(scope)             -> list[Equipment], by name
found = await fleet.find_equipment(scope, typed, most)    -> list[Equipment], best first: by name, pinyin or place
places = await fleet.places(scope)                        -> list[Place]: how much stands in which line
one = await fleet.equipment(scope, equipment_id)          -> Equipment; raises NotFound
agents = await fleet.agents(scope)                        -> list[Agent]
code = await fleet.create_code(scope, CodeRequest(...), actor)  -> NewCode(code="K7QF-3XWD-9MPA", ...)
machine = await fleet.desks.add_machine(principal, MachineRequest(...))  -> its id: people enter its values
ids = await fleet.equipment_ids(connection, agent, names) -> {device name: equipment id}, inside a batch sink
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.codes import canonical, new_code
from cloud.core.db import AsyncConnection, Database, enter
from cloud.core.errors import Invalid, NotFound, Unauthenticated
from cloud.core.keyset import WHOLE, Window
from cloud.core.limits import RateLimit
from cloud.core.listen import Listener
from cloud.core.principal import AgentPrincipal, TenantScope
from cloud.core.search import Search
from cloud.core.settings import Secrets
from cloud.fleet.configurations import Configurations, learn
from cloud.fleet.desks import Desks
from cloud.fleet.diagnostics import Diagnostics
from cloud.fleet.schemas import (
    ANYWHERE,
    Agent,
    Code,
    CodeRequest,
    Equipment,
    EquipmentChange,
    Event,
    EventPage,
    NewCode,
    Place,
    Where,
)
from cloud.fleet.store import agents as store
from cloud.fleet.store import equipment as equipment_store
from cloud.fleet.templates import Templates
from protocols.dictionary.entries import equipment_classes
from protocols.errors import Malformed
from protocols.reading import LATEST_US
from protocols.text import Text
from protocols.uplink.messages import (
    Batch,
    ChallengeReply,
    DeviceReport,
    EnrolReply,
    EnrolRequest,
    Health,
    HealthReply,
    TokenReply,
    TokenRequest,
)

TOKEN_LIFE_S = 15 * 60
_ALGORITHM = "HS256"
_MAX_NAME = 120
_MAX_DEVICE_TEXT = 200
_MAX_EVENT_TEXT = 2000
_MAX_POINTS = 1_000_000
_REPORTED_STATES = ("up", "down", "waiting")
_EVENT_PAGE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_REFUSALS = {
    "used": Text("This code has been used.", "该注册码已被使用。"),
    "expired": Text("This code has expired.", "该注册码已过期。"),
    "unknown": Text("There is no such code; compare it character by character.", "注册码不存在，请逐字核对。"),
}
_ASK_FOR_ANOTHER = Text("Ask your manager for a new one.", "请向管理员索取新的注册码。")


_LINE_ELSEWHERE = Text(
    "line_id is no line of the site whose gateway reads this equipment.", "line_id 不是该设备网关所在站点的产线。"
)
_UNKNOWN_CLASS = Text(
    "class_override is no equipment class of the dictionary.", "class_override 不是数据字典中的设备类别。"
)


class Fleet:
    """Agents and equipment.

    Enrolment and agent log-in are limited to 30 tries per address, then one per 2 s: at 60 bits a code outlasts any
    guessing.
    """

    def __init__(self, db: Database, secrets: Secrets, listener: Listener | None = None) -> None:
        self._db = db
        self.configurations = Configurations(db)
        self.templates = Templates()
        """What the agents shall be configured to do, and what they are."""
        self.diagnostics = Diagnostics(db, listener or Listener(db.dsn))
        """What the agents are asked to look at; without a listener that runs, nobody is woken by an answer."""
        self.desks = Desks(db)
        """Where values come from that people enter."""
        self._lookup_key = secrets.lookup_key.encode()
        self._signing_key = OctKey.import_key(secrets.signing_key.encode())
        self._per_address = RateLimit(burst=30, period_s=2)

    async def create_code(self, scope: TenantScope, request: CodeRequest, actor: str) -> NewCode:
        """Make a one-time code for a site; raises NotFound if the tenant has no such site."""
        code, code_id = new_code(), uuid7()
        try:
            async with self._db.tenant(scope) as connection:
                row = await store.insert_code(
                    connection,
                    code_id,
                    site=request.site_id,
                    code_hash=self._hash(b"enrolment-code:", canonical(code).encode()),
                    minutes=request.minutes,
                    created_by=actor,
                )
                await audit.record(connection, actor, "code.create", str(code_id), site=str(request.site_id))
        except store.NoSuchSite as error:
            raise NotFound from error
        return NewCode(id=code_id, code=code, **row)

    async def codes(self, scope: TenantScope, window: Window) -> list[Code]:
        """Return the tenant's codes, newest first."""
        async with self._db.tenant(scope) as connection:
            return [Code(**row) for row in await store.select_codes(connection, window)]

    async def enrol(self, request: EnrolRequest, address: str) -> EnrolReply:
        """Let an agent in: use up its code and pin its key.

        Asking again with the same code and key gives the same answer. Raises Invalid, Unauthenticated or TooMany.
        """
        self._per_address.spend(address)
        name = request.name.strip()
        if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
            raise Invalid(
                Text(
                    f"The agent's name must have 1 to {_MAX_NAME} characters.",
                    f"网关名称应为 1 至 {_MAX_NAME} 个字符。",
                )
            )
        if not _signed(request.public_key, request.proof, b"sunmao-enrol:" + request.code.encode()):
            raise Unauthenticated(Text("The proof does not fit the public key.", "签名与公钥不符。"))
        code_hash = self._hash(b"enrolment-code:", canonical(request.code).encode())
        async with self._db.door() as connection:
            claim = await store.claim_code(connection, code_hash, request.public_key)
            if claim["outcome"] != "claimed":
                why = _REFUSALS[claim["outcome"]]
                raise Unauthenticated(Text(f"{why.en} {_ASK_FOR_ANOTHER.en}", f"{why.zh}{_ASK_FOR_ANOTHER.zh}"))
            await enter(connection, TenantScope(claim["tenant_id"]))
            enrolled = await store.upsert_agent(
                connection,
                uuid7(),
                site=claim["site_id"],
                name=name,
                public_key=request.public_key,
                version=request.agent_version[:_MAX_NAME],
            )
            await audit.record(connection, f"agent:{enrolled['id']}", "agent.enrol", name, address=address)
        return EnrolReply(str(enrolled["id"]), enrolled["tenant"], enrolled["site"])

    async def challenge(self, agent_id: str, address: str) -> ChallengeReply:
        """Return a nonce, good once and for 60 s. Unknown and revoked agents get one too; it opens nothing."""
        self._per_address.spend(address)
        nonce = randomness.token_bytes(32)
        async with self._db.look_up() as connection:
            await store.open_challenge(connection, _uuid(agent_id), self._hash(b"nonce:", nonce))
        return ChallengeReply(nonce)

    async def token(self, request: TokenRequest, address: str) -> TokenReply:
        """Return a 15-minute token for a signed nonce; raises Unauthenticated or TooMany."""
        self._per_address.spend(address)
        agent_id = _uuid(request.agent_id)
        async with self._db.look_up() as connection:
            found = await store.take_challenge(connection, agent_id, self._hash(b"nonce:", request.nonce))
        signed = b"sunmao-login:" + request.agent_id.encode() + request.nonce
        if found is None or not _signed(found["public_key"], request.signature, signed):
            raise Unauthenticated(
                Text(
                    "The agent is not known, or the signature does not fit; enrol it again.",
                    "网关未知或签名不符，请重新注册。",
                )
            )
        self._per_address.forgive(address)
        claims = {"sub": str(agent_id), "exp": int(time.time()) + TOKEN_LIFE_S}
        token = jwt.encode({"alg": _ALGORITHM}, claims, self._signing_key)
        return TokenReply(token, TOKEN_LIFE_S, time.time_ns() // 1000)

    async def resolve(self, token: str) -> AgentPrincipal | None:
        """Return the agent a token was made for; None if it is expired or forged, or the agent revoked since."""
        try:
            claims = jwt.decode(token, self._signing_key, algorithms=[_ALGORITHM]).claims
            jwt.JWTClaimsRegistry(exp={"essential": True}, sub={"essential": True}).validate(claims)
        except (JoseError, ValueError):
            return None
        agent_id = _uuid(str(claims["sub"]))
        async with self._db.look_up() as connection:
            found = await store.find_agent(connection, agent_id)
        if found is None:
            return None
        return AgentPrincipal(TenantScope(found["tenant_id"]), agent_id, found["name"], found["site_id"])

    async def report(self, agent: AgentPrincipal, health: Health) -> HealthReply:
        """Keep an agent's health report and what it says of its devices; raises Malformed for what nobody could read."""
        for device in health.devices:
            _check_device(device)
        own = {name: value for name, value in msgspec.to_builtins(health).items() if name != "devices"}
        async with self._db.tenant(agent.scope) as connection:
            await store.update_health(connection, agent.agent_id, health.agent_version, own)
            await store.upsert_devices(connection, agent.agent_id, health.devices)
            await store.retire_devices(connection, agent.agent_id, [device.name for device in health.devices])
            desired, wants = await learn(connection, agent.agent_id, health.config)
        return HealthReply(time.time_ns() // 1000, desired, wants)

    async def agents(self, scope: TenantScope, window: Window = WHOLE) -> list[Agent]:
        """Return the tenant's agents, by name."""
        async with self._db.tenant(scope) as connection:
            return [Agent(**row) for row in await store.select_agents(connection, window)]

    async def revoke(self, scope: TenantScope, agent_id: UUID, actor: str) -> None:
        """Shut an agent out from its next request on; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            name = await store.revoke_agent(connection, agent_id)
            if name is None:
                raise NotFound
            await audit.record(connection, actor, "agent.revoke", name, agent=str(agent_id))

    async def equipment_list(
        self,
        scope: TenantScope,
        window: Window = WHOLE,
        *,
        only: Collection[UUID] | None = None,
        where: Where = ANYWHERE,
    ) -> list[Equipment]:
        """Return the tenant's equipment by name: all, `only` some, or what stands `where` told."""
        async with self._db.tenant(scope) as connection:
            rows = await equipment_store.select_equipment(connection, only, window, where)
        return [Equipment(**row) for row in rows]

    async def find_equipment(self, scope: TenantScope, typed: str, most: int) -> list[Equipment]:
        """Return at most `most` pieces of equipment that every word of `typed` describes, best first."""
        async with self._db.tenant(scope) as connection:
            named = await equipment_store.select_names(connection)
            found = Search(
                (row["id"], (row["label"], row["name"], row["asset_number"], row["site"], row["line"])) for row in named
            ).find(typed, most)
            rows = await equipment_store.select_equipment(connection, found)
        known = {row["id"]: Equipment(**row) for row in rows}
        return [known[one] for one in found if one in known]

    async def places(self, scope: TenantScope) -> list[Place]:
        """Return where equipment stands, by site and line, and what stands in no line of its site last."""
        async with self._db.tenant(scope) as connection:
            return [Place(**row) for row in await equipment_store.select_places(connection)]

    async def equipment(self, scope: TenantScope, equipment_id: UUID) -> Equipment:
        """Return one piece of equipment; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            rows = await equipment_store.select_equipment(connection, [equipment_id])
        if not rows:
            raise NotFound
        return Equipment(**rows[0])

    async def describe(self, scope: TenantScope, equipment_id: UUID, change: EquipmentChange, actor: str) -> Equipment:
        """Place a piece of equipment in a line and say what it is; fields not set in `change` stay.

        Raises NotFound for unknown equipment, Invalid for a line that is not of its site and for an unknown class.
        """
        wanted = change.model_dump(exclude_unset=True)
        if wanted.get("class_override") and wanted["class_override"] not in equipment_classes():
            raise Invalid(_UNKNOWN_CLASS)
        async with self._db.tenant(scope) as connection:
            before = await equipment_store.lock_description(connection, equipment_id)
            if before is None:
                raise NotFound
            site = before.pop("site_id")
            after = before | wanted
            line = after["line_id"]
            if line not in (None, before["line_id"]) and await equipment_store.site_of_line(connection, line) != site:
                raise Invalid(_LINE_ELSEWHERE)
            await equipment_store.update_description(connection, equipment_id, after)
            changed = [name for name in after if after[name] != before[name]]
            await audit.record(
                *(connection, actor, "equipment.describe", str(equipment_id)),
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
        return await self.equipment(scope, equipment_id)

    async def events(self, scope: TenantScope, before: tuple[datetime, UUID] | None) -> EventPage:
        """Return the next 100 events older than `before`, newest first."""
        async with self._db.tenant(scope) as connection:
            items = [Event(**row) for row in await store.select_events(connection, before, _EVENT_PAGE)]
        last = items[-1] if len(items) == _EVENT_PAGE else None
        return EventPage(items=items, next_time=last.time if last else None, next_id=last.id if last else None)

    def _hash(self, purpose: bytes, secret: bytes) -> bytes:
        return hmac.digest(self._lookup_key, purpose + secret, hashlib.sha256)


async def equipment_of(connection: AsyncConnection, agent: AgentPrincipal, names: Collection[str]) -> dict[str, UUID]:
    """Return the equipment ids of an agent's devices, within the caller's transaction; new devices get one."""
    return await store.ensure_equipment(connection, agent.agent_id, names)


async def store_events(connection: AsyncConnection, agent: AgentPrincipal, batch: Batch) -> None:
    """Store the events of `batch`, in the transaction of the ingest; raises Malformed for one that cannot be."""
    rows = []
    for event in batch.events:
        texts = (event.device, event.kind, event.text_en, event.text_zh)
        try:
            row = (UUID(event.id), event.device, _EPOCH + timedelta(microseconds=event.time), *texts[1:])
        except (ValueError, OverflowError) as error:
            raise Malformed(Text(f"event '{event.id[:40]}' is not valid", f"事件“{event.id[:40]}”无效")) from error
        if any("\0" in text or len(text) > _MAX_EVENT_TEXT for text in texts):
            raise Malformed(Text(f"event {event.id}: text too long or with NUL", f"事件 {event.id}：文本过长或含 NUL"))
        rows.append(row)
    if rows:
        await store.insert_events(connection, agent.agent_id, rows)


def _check_device(device: DeviceReport) -> None:
    texts = (device.name, device.protocol, device.template, device.equipment_class, device.state)
    reasons = (device.reason_en, device.reason_zh)
    wrong = (
        "name" if not device.name
        else "state" if device.state not in _REPORTED_STATES
        else "since" if not 0 <= device.since <= LATEST_US
        else "points" if not 0 <= device.unmapped <= device.points <= _MAX_POINTS
        else "text" if any("\0" in text for text in (*texts, *reasons))
        or any(len(text) > _MAX_DEVICE_TEXT for text in texts) or any(len(text) > _MAX_EVENT_TEXT for text in reasons)
        else None
    )  # fmt: skip
    if wrong:
        name = device.name[:40]
        raise Malformed(Text(f"device '{name}': {wrong} is not valid", f"设备“{name}”：{wrong} 无效"))


def _signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _uuid(text: str) -> UUID:
    """Return `text` as a UUID; what is none becomes one that nothing has."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
