"""The configurations of the agents: versions that people want, versions found at the box, and what became of each.

A version is immutable and counted per agent. One is made from another, its base, which must be in force both when it is
written here and when the agent takes it; so nobody's change is overwritten unseen.
"""

from __future__ import annotations

from uuid import UUID

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound, Stale
from cloud.core.keyset import LATEST, Window
from cloud.core.principal import AgentPrincipal, TenantScope
from cloud.fleet.configuration_check import check
from cloud.fleet.schemas import (
    Configuration,
    ConfigurationDifference,
    ConfigurationRequest,
    ConfigurationText,
    ConfigurationVersion,
)
from cloud.fleet.store import agents as store
from cloud.fleet.templates import named_in, own_templates
from protocols.errors import ConfigError, Malformed
from protocols.text import Text
from protocols.uplink.configuration import (
    KEPT,
    MAX_CONFIGURATION_BYTES,
    difference,
    normal,
    secrets_in,
    tables_of,
    version_of,
)
from protocols.uplink.messages import (
    ConfigReport,
    ConfigurationKept,
    ConfigurationReport,
    DesiredConfiguration,
)

_OUTCOMES = ("", "probation", "applied", "failed", "rolled_back")
_MAX_REASON = 2000


class Configurations:
    """Versioned configurations of the agents of every tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def current(self, scope: TenantScope, agent_id: UUID) -> Configuration:
        """Return which version is in force and which is wanted; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return await _current(connection, agent_id)

    async def versions(self, scope: TenantScope, agent_id: UUID, window: Window = LATEST) -> list[ConfigurationVersion]:
        """Return the versions, newest first; raises NotFound for an agent the tenant does not have."""
        async with self._db.tenant(scope) as connection:
            await _agent(connection, agent_id)
            rows = await store.select_configurations(connection, agent_id, window)
            return [ConfigurationVersion(**row) for row in rows]

    async def version(self, scope: TenantScope, agent_id: UUID, version: int) -> ConfigurationText:
        """Return one version with its text; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return await _version(connection, agent_id, version)

    async def difference(self, scope: TenantScope, agent_id: UUID, before: int, after: int) -> ConfigurationDifference:
        """Return what version `after` has other than version `before`; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            old, new = await _version(connection, agent_id, before), await _version(connection, agent_id, after)
        return ConfigurationDifference(before=before, after=after, difference=difference(old.text, new.text))

    async def want(
        self, scope: TenantScope, agent_id: UUID, request: ConfigurationRequest, *, etag: str | None, actor: str
    ) -> ConfigurationVersion:
        """Keep a new version for the agent to fetch; returns it.

        Args:
            etag: of the `Configuration` the caller has seen; "*" for whatever it is, None if it was not said.

        Raises NotFound, Stale if that is no longer the case, Conflict while another version is under way, Invalid for a
        text that cannot be right.
        """
        text = normal(request.text)
        async with self._db.tenant(scope) as connection:
            current = await _current(connection, agent_id, lock=True)
            if etag is None:
                raise Stale(
                    Text(
                        "Say with If-Match which configuration you have seen.", "请用 If-Match 说明您所依据的配置版本。"
                    )
                )
            if etag not in ("*", current.etag):
                raise Stale(
                    Text("It has been changed meanwhile; look at it again.", "该配置已被他人修改，请重新查看后再提交。")
                )
            if current.in_force is None:
                raise Conflict(
                    Text("The gateway has not told its configuration yet.", "网关尚未上报其配置，请稍后再试。")
                )
            if current.wanted is not None and current.wanted.outcome == "probation":
                raise Conflict(
                    Text("Another version is on probation; wait for its outcome.", "另一版本正在试运行，请等待其结果。")
                )
            check(text, await own_templates(connection))
            if version_of(text) == current.in_force.hash:
                raise Invalid(Text("This is what is in force already.", "内容与当前生效的配置相同。"))
            row = await store.insert_configuration(
                connection,
                agent_id,
                origin="cloud",
                author=actor,
                note=request.note,
                base=current.in_force.version,
                version_hash=version_of(text),
                body=text,
            )
            await audit.record(
                connection, actor, "agent.configure", str(agent_id), version=row["version"], note=request.note
            )
        return ConfigurationVersion(**row)

    async def reported(self, agent: AgentPrincipal, report: ConfigurationReport) -> ConfigurationKept:
        """Keep what an agent has in force; raises Malformed for what no agent sends."""
        text = normal(report.text)
        try:
            secrets = [secret for _, secret in secrets_in(tables_of(text)) if secret != KEPT]
        except ConfigError as error:
            raise Malformed(Text("the configuration is not valid TOML", "配置不是有效的 TOML")) from error
        if secrets or len(text.encode("utf-8")) > MAX_CONFIGURATION_BYTES or "\0" in text:
            raise Malformed(Text("the configuration is too large or holds a secret", "配置过大或含有密码"))
        async with self._db.tenant(agent.scope) as connection:
            await _agent(connection, agent.agent_id, lock=True)
            known = await store.find_configuration(connection, agent.agent_id, version_of(text))
            if known is None:
                known = await store.insert_configuration(
                    connection,
                    agent.agent_id,
                    origin="box",
                    author=f"agent:{agent.name}",
                    note="",
                    base=None,
                    version_hash=version_of(text),
                    body=text,
                )
        return ConfigurationKept(int(known["version"]))

    async def desired(self, agent: AgentPrincipal) -> DesiredConfiguration:
        """Return the version the agent shall have; raises NotFound if there is none."""
        async with self._db.tenant(agent.scope) as connection:
            row = await store.desired_configuration(connection, agent.agent_id)
            if row is None:
                raise NotFound
            base = await _version(connection, agent.agent_id, row["base"])
            wanted = await _version(connection, agent.agent_id, row["version"])
            own, named = await own_templates(connection), named_in(wanted.text)
        given = {name: body for name, body in own.items() if name in named}
        return DesiredConfiguration(wanted.version, base.hash, wanted.text, wanted.author, wanted.note, given)


async def learn(connection: AsyncConnection, agent_id: UUID, report: ConfigReport | None) -> tuple[int, bool]:
    """Keep what a health report says of the configuration, in the caller's transaction.

    Returns the number of the version the agent shall have (0 for none) and whether its own is not known yet. Raises
    Malformed for what no agent says.
    """
    if report is None:
        return 0, False
    if (
        report.outcome not in _OUTCOMES
        or not 0 <= report.desired < 2**31
        or any(len(text) > _MAX_REASON or "\0" in text for text in (report.reason_en, report.reason_zh, report.version))
    ):
        raise Malformed(Text("the report of the configuration is not valid", "配置状态上报无效"))
    if report.outcome:
        await store.settle_configuration(
            connection,
            agent_id,
            report.desired,
            outcome=report.outcome,
            reason_en=report.reason_en,
            reason_zh=report.reason_zh,
        )
    wanted = await store.desired_configuration(connection, agent_id)
    known = await store.find_configuration(connection, agent_id, report.version)
    return (wanted["version"] if wanted else 0), bool(report.version) and known is None


async def _agent(connection: AsyncConnection, agent_id: UUID, *, lock: bool = False) -> str:
    """Return the version hash the agent last reported; raises NotFound."""
    found = await store.reported_version(connection, agent_id, lock=lock)
    if found is None:
        raise NotFound
    return found


async def _current(connection: AsyncConnection, agent_id: UUID, *, lock: bool = False) -> Configuration:
    reported = await _agent(connection, agent_id, lock=lock)
    in_force = await store.find_configuration(connection, agent_id, reported)
    wanted = await store.newest_wanted(connection, agent_id)
    return Configuration(
        in_force=ConfigurationVersion(**in_force) if in_force else None,
        wanted=ConfigurationVersion(**wanted) if wanted else None,
    )


async def _version(connection: AsyncConnection, agent_id: UUID, version: int) -> ConfigurationText:
    row = await store.select_configuration(connection, agent_id, version)
    if row is None:
        raise NotFound
    return ConfigurationText(**row)
