"""Puts a changed configuration into force while the agent runs, by difference: who is not concerned notices nothing.

A configuration that is wrong changes nothing: it is announced once and the old one goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.config import Config, parse_config, read_config, version_of
from edge_agent.health import ConfigState
from edge_agent.parts import Changes, Parts
from protocols.errors import ConfigError
from protocols.reading import now_us
from protocols.text import Text

LOOK_EVERY_S = 1.0
SETTLED_S = 0.2
"""A file that is still being written has other content after so long."""


class Reconfigurer:
    """Keeps the running parts as the configuration file says.

    Args:
        path: the file.
        config: what was read from it at the start; its [agent] and [cloud] stay in force until the agent is restarted.
        parts: what runs.
        buffer: whose limits follow, and which announces.
    """

    def __init__(self, path: Path, config: Config, parts: Parts, buffer: Buffer) -> None:
        self._path = path
        self._started_with = config
        self._parts = parts
        self._buffer = buffer
        self._seen = config.version
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.config = config
        """The configuration in force."""
        self.state = ConfigState(config.version, "applied", since=now_us())

    def look_now(self) -> None:
        """Have the file read again at once, even if its own content has not changed: a template's may have."""
        self._asked.set()

    async def watch(self) -> None:
        """Follow the file until cancelled."""
        read: tuple[int, int, int] | None = None
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_EVERY_S)
            anew = self._asked.is_set()
            self._asked.clear()
            found = _untouched(self._path)
            if anew or found is None or found != read:
                await self.follow(anew)
                read = found

    async def follow(self, anew: bool = False) -> None:
        """Put the file into force if its content is new, or whatever it is with `anew`."""
        async with self._one_at_a_time:
            try:
                text = await self._settled_text(anew)
            except ConfigError as error:
                self._failed(error, "")
                return
            version = version_of(text)
            if version == self._seen and not anew:
                return
            try:
                config = await asyncio.to_thread(parse_config, text, self._path)
                changes = await self._put_in_force(config)
            except ConfigError as error:
                self._failed(error, version)
                return
            if config.version != self.state.version or self.state.state == "failed" or any(changes):
                self._applied(config, changes)
            self._seen = version

    async def _settled_text(self, anew: bool) -> str:
        text = await asyncio.to_thread(read_config, self._path)
        while anew or version_of(text) != self._seen:
            await asyncio.sleep(SETTLED_S)
            before, text = text, await asyncio.to_thread(read_config, self._path)
            if text == before:
                break
        return text

    async def _put_in_force(self, config: Config) -> Changes:
        changes = await self._parts.become(config)
        if config.buffer != self.config.buffer:
            await self._buffer.configure(config.buffer)
        self.config = config
        return changes

    def _applied(self, config: Config, changes: Changes) -> None:
        done, waiting = changes.sentence(), self._waiting(config)
        self.state = ConfigState(config.version, "applied", waiting.en, waiting.zh, now_us())
        self._buffer.announce(
            "",
            "config_applied",
            Text(
                f"configuration {config.version} is in force: {done.en}{'; ' + waiting.en if waiting.en else ''}",
                f"配置 {config.version} 已生效：{done.zh}{'；' + waiting.zh if waiting.zh else ''}",
            ),
        )

    def _waiting(self, config: Config) -> Text:
        """Say which changes take effect only when the agent is started again."""
        before = self._started_with
        keys = [
            f"agent.{key}" for key in ("name", "state_dir") if getattr(config.agent, key) != getattr(before.agent, key)
        ]
        keys += [f"cloud.{key}" for key in ("url", "ca") if getattr(config.cloud, key) != getattr(before.cloud, key)]
        if not keys:
            return Text("", "")
        listed = ", ".join(keys)
        return Text(f"restart the agent for the change of {listed}", f"{listed} 的变更需重启代理后生效")

    def _failed(self, error: ConfigError, version: str) -> None:
        reason = Text(error.explain("en"), error.explain("zh"))
        if (self.state.state, self.state.reason_en, self._seen) == ("failed", reason.en, version):
            return
        self._seen = version
        self.state = ConfigState(self.config.version, "failed", reason.en, reason.zh, now_us())
        self._buffer.announce(
            "",
            "config_failed",
            Text(
                f"the new configuration is not used, the old one goes on: {reason.en}",
                f"新配置未启用，继续沿用原配置：{reason.zh}",
            ),
        )


def _untouched(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when the file does; None where it cannot be seen or was written a moment ago.

    Two writes within one tick of the file system's clock look like one, so a fresh file is read once more.
    """
    try:
        seen = path.stat()
    except OSError:
        return None
    settled = abs(now_us() * 1000 - seen.st_mtime_ns) > 2e9 * LOOK_EVERY_S
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns) if settled else None
