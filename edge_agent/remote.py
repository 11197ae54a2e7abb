"""Follows the configuration the cloud wants at this box: checks it, puts it into force on probation, keeps or undoes it.

    fetched -> checked wholly -> previous.toml -> remote.json "probation" -> agent.toml -> confirmed "applied"
                     |                                                           |
                  "failed"                        "undoing" -> previous file -> "rolled_back"

Every arrow is one durable, atomic replacement of a file, so that an end of the agent at any moment leaves the old file
or the new one, and `start_with` goes on from there. [agent] and [cloud] stay as they are on the box.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.atomic_file import write_file
from edge_agent.box_decides import check_from_afar
from edge_agent.cloud_link import CloudLink
from edge_agent.config import Config, DeviceConfig, load_agent, load_config, parse_config, read_config, version_of
from edge_agent.config_edit import save_config, with_secrets, without_secrets
from edge_agent.events import Announce
from edge_agent.identity import Login
from edge_agent.parts import Parts
from edge_agent.reconfigure import Reconfigurer
from protocols.errors import ConfigError, SunmaoError
from protocols.library.sharing import add_new
from protocols.text import Text
from protocols.uplink import configuration
from protocols.uplink.messages import (
    ConfigReport,
    ConfigurationKept,
    ConfigurationReport,
    DesiredConfiguration,
    DesiredRequest,
    HealthReply,
)

REPORTED = "/api/v1/uplink/configuration"
DESIRED = "/api/v1/uplink/configuration/desired"
STATE_FILE = "remote.json"
PREVIOUS_FILE = "previous.toml"
MOST_STARTS = 3
"""A probation during which the agent is started so often is over: the configuration is taken to end it."""
REACH_S = 30.0
"""How long after the probation the cloud may take to be heard once more."""

_log = logging.getLogger("sunmao.edge")


class Trial(msgspec.Struct, frozen=True):
    """The last configuration of the cloud that was tried, and what became of it.

    Attributes:
        desired: the cloud's number of it, 0 for none yet.
        outcome: "", "probation", "undoing", "applied", "failed" or "rolled_back".
        reason_en, reason_zh: why it failed or is undone.
        shared: version of its shared part, as the cloud names it.
        target, previous: versions of the whole file with it and before it.
        watched: devices that were up before and may suffer from it.
        starts: how often the agent was started during its probation.
    """

    desired: int = 0
    outcome: str = ""
    reason_en: str = ""
    reason_zh: str = ""
    shared: str = ""
    target: str = ""
    previous: str = ""
    watched: tuple[str, ...] = ()
    starts: int = 0

    def ended(self, outcome: str, reason: Text | None = None) -> Trial:
        """Return it with this outcome."""
        said = reason or Text("", "")
        return msgspec.structs.replace(self, outcome=outcome, reason_en=said.en, reason_zh=said.zh)


def start_with(path: Path) -> tuple[Config, str]:
    """Return the configuration to start with and the version of its shared part (see `shared_version`).

    A change from the cloud that an end of the agent interrupted is settled. Only for whoever holds the state directory.
    Raises ConfigError as `load_config`.
    """
    config = _config_at_start(path)
    return config, shared_version(path, config.version)


def shared_version(path: Path, version: str) -> str:
    """Return the version of what the cloud may hold of `version` of the file.

    It is "" where the cloud cannot change that, and where the file is another by now.
    """
    try:
        text = read_config(path)
        return configuration.version_of(_shared(text)) if version_of(text) == version else ""
    except ConfigError as error:
        _log.warning("the cloud cannot change this configuration: %s", error.explain("en"))
        return ""


def _config_at_start(path: Path) -> Config:
    state_dir = load_agent(path).state_dir
    trial = _load(state_dir)
    if trial.outcome not in ("probation", "undoing"):
        return load_config(path)
    version = version_of(read_config(path))
    if version == trial.target and trial.outcome == "probation":
        trial = msgspec.structs.replace(trial, starts=trial.starts + 1)
        _keep(state_dir, trial)
        if trial.starts < MOST_STARTS:
            try:
                return load_config(path)
            except ConfigError as error:
                reason = Text(error.explain("en"), error.explain("zh"))
        else:
            reason = Text(
                f"the agent ended {trial.starts} times during the probation",
                f"代理在试运行期间停止了 {trial.starts} 次",
            )
        _undo(path, state_dir, trial, reason)
    elif version == trial.target:
        _undo(path, state_dir, trial, Text(trial.reason_en, trial.reason_zh))
    elif version == trial.previous and trial.outcome == "probation":
        _keep(state_dir, Trial())  # it never came into force; the cloud will offer it again
    elif version == trial.previous:
        _keep(state_dir, trial.ended("rolled_back", Text(trial.reason_en, trial.reason_zh)))
    else:
        _keep(state_dir, trial.ended("failed", _CHANGED_AT_THE_BOX))
    return load_config(path)


class Remote:
    """Does what the cloud wants with the configuration, until cancelled.

    Args:
        path: the configuration file.
        config, shared: as they were at the start (see `start_with`).
        parts, reconfigurer: what runs, and what puts the file into force.
        link, login: as for the forwarder.
        announce: told what was decided.
        hurry: asks for a health report soon.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        shared: str,
        *,
        parts: Parts,
        reconfigurer: Reconfigurer,
        link: CloudLink,
        login: Login,
        announce: Announce,
        hurry: Callable[[], None],
    ) -> None:
        self._path = path
        self._state_dir = config.agent.state_dir
        self._probation_s = config.agent.probation_s
        self._parts = parts
        self._reconfigurer = reconfigurer
        self._link = link
        self._login = login
        self._announce = announce
        self._hurry = hurry
        self._trial = _load(self._state_dir)
        self._answers = 0
        self._answered = asyncio.Event()
        self._reply: HealthReply | None = None
        self._shared_of = (config.version, shared)

    async def report(self) -> ConfigReport:
        """Return what is in force and what became of the last version wanted."""
        shared = await asyncio.to_thread(self._shared_version)  # seconds, where there are 10,000 points
        trial = self._trial
        outcome = "probation" if trial.outcome == "undoing" else trial.outcome
        return ConfigReport(shared, trial.desired, outcome, trial.reason_en, trial.reason_zh)

    def heard(self, reply: HealthReply) -> None:
        """Take the cloud's answer to a health report that was made after the last one was taken."""
        self._answers += 1
        self._reply = reply
        self._answered.set()

    async def run(self) -> None:
        """Follow the cloud until cancelled. What cannot be fetched now is fetched after the next health report."""
        if self._trial.outcome == "probation":
            await self._probation()
        while True:
            await self._answered.wait()
            self._answered.clear()
            reply = self._reply
            try:
                if reply is not None and reply.wants_configuration:
                    await self._tell()
                if reply is not None and reply.desired not in (0, self._trial.desired):
                    await self._try()
            except SunmaoError as error:
                _log.info("%s", error.explain("en"))

    async def _tell(self) -> None:
        """Send the shared part of the file in force, without its secrets."""
        text = await asyncio.to_thread(read_config, self._path)
        if version_of(text) == self._reconfigurer.state.version:
            report = ConfigurationReport(await asyncio.to_thread(_shared, text))
            await self._link.post(REPORTED, report, ConfigurationKept, await self._login.token())

    async def _try(self) -> None:
        desired = await self._link.post(DESIRED, DesiredRequest(), DesiredConfiguration, await self._login.token())
        trial = Trial(desired.version, shared=configuration.version_of(desired.text))
        try:
            text = await asyncio.to_thread(read_config, self._path)
            whole, config = await asyncio.to_thread(self._checked, text, desired)
        except ConfigError as error:
            self._settle(trial.ended("failed", Text(error.explain("en"), error.explain("zh"))))
            return
        by = f"{desired.author}: {desired.note}" if desired.note else desired.author
        self._announce(
            "",
            "config_received",
            Text(
                f"version {desired.version} of the cloud is put on probation ({by})",
                f"云端配置第 {desired.version} 版开始试运行({by})",
            ),
        )
        trial = msgspec.structs.replace(
            trial.ended("probation"),
            previous=version_of(text),
            target=version_of(whole),
            watched=self._at_stake(config),
        )
        try:
            await asyncio.to_thread(self._replace, text, whole, trial)
        except (ConfigError, OSError) as error:
            said = error if isinstance(error, ConfigError) else ConfigError(Text(str(error), str(error)))
            self._settle(trial.ended("failed", Text(said.explain("en"), said.explain("zh"))))
            return
        self._trial = trial
        await self._reconfigurer.follow()
        await self._probation()

    def _checked(self, text: str, desired: DesiredConfiguration) -> tuple[str, Config]:
        """Return the file and the configuration that `desired` makes of the file `text`; raises ConfigError."""
        local, shared = configuration.split(text)
        now = self._shared_version()
        if self._reconfigurer.state.version != version_of(text) or desired.base != now:
            raise ConfigError(
                Text(
                    f"it was made from version {desired.base}, but {now} is in force at the box",
                    f"它基于版本 {desired.base} 编写，而本机当前生效的是 {now}",
                ),
                Text("look at the present one and change that", "请查看当前配置后再修改"),
            )
        for name, template in desired.templates.items():
            add_new(template, name)
        whole = configuration.join(local, with_secrets(desired.text, shared))
        config = parse_config(whole, self._path)
        check_from_afar(config, self._reconfigurer.config)
        _log.info("%s", configuration.difference(without_secrets(shared), desired.text))
        return whole, config

    def _replace(self, text: str, whole: str, trial: Trial) -> None:
        """Put the file `whole` in place of `text`, able to undo it from here on."""
        write_file(self._state_dir / PREVIOUS_FILE, text.encode("utf-8"), mode=0o600)
        _keep(self._state_dir, trial)
        save_config(self._path, whole, over=trial.previous)

    def _at_stake(self, config: Config) -> tuple[str, ...]:
        """Return the devices that are up now and that `config` changes, or that share a line with one it touches."""
        changes = self._parts.compared(config)
        touched = {*changes.added, *changes.changed}
        lines = {_line(device) for device in config.devices if device.name in touched}
        near = {device.name for device in config.devices if _line(device) in lines}
        up = {report.name for report in self._parts.reports() if report.state == "up"}
        names = [*(device.name for device in config.devices), *(each.device for each in config.judging)]
        return tuple(name for name in names if name in up and name in touched | near)

    async def _probation(self) -> None:
        """Watch the configuration on probation, then keep it or undo it."""
        trial, state = self._trial, self._reconfigurer.state
        self._hurry()
        reason: Text | None = None
        if (state.version, state.state) != (trial.target, "applied"):
            reason = Text(state.reason_en, state.reason_zh) if state.state == "failed" else _CHANGED_AT_THE_BOX
        else:
            failures = self._parts.failures()
            await asyncio.sleep(self._probation_s)
            reason = self._suffering(failures) or await self._unheard()
        if version_of(await asyncio.to_thread(read_config, self._path)) != trial.target:
            self._settle(trial.ended("failed", _CHANGED_AT_THE_BOX))
        elif reason is None:
            self._settle(trial.ended("applied"))
        else:
            await asyncio.to_thread(_undo, self._path, self._state_dir, trial, reason)
            await self._reconfigurer.follow()
            self._settle(trial.ended("rolled_back", reason))

    def _suffering(self, before: dict[str, int]) -> Text | None:
        for report in self._parts.reports():
            if report.name in self._trial.watched and report.state != "up":
                why = Text(report.reason_en, report.reason_zh)
                return Text(
                    f"{report.name} answered before and does not now: {why.en}",
                    f"{report.name} 此前正常，现已无应答：{why.zh}",
                )
        for name, count in self._parts.failures().items():
            if count > before.get(name, 0):
                return Text(f"{name} keeps failing", f"{name} 反复出错")
        return None

    async def _unheard(self) -> Text | None:
        before = self._answers
        self._hurry()
        try:
            async with asyncio.timeout(REACH_S):
                while self._answers == before:
                    await self._answered.wait()
                    self._answered.clear()
        except TimeoutError:
            return Text("the cloud is no longer reached", "已无法连通云端")
        self._answered.set()  # what the cloud wants is looked at afterwards
        return None

    def _settle(self, trial: Trial) -> None:
        """Keep and tell the outcome."""
        _keep(self._state_dir, trial)
        self._trial = trial
        number, why = trial.desired, Text(trial.reason_en, trial.reason_zh)
        self._announce(
            "",
            f"config_{trial.outcome}",
            {
                "applied": Text(f"version {number} of the cloud stays in force", f"云端配置第 {number} 版已确认生效"),
                "failed": Text(
                    f"version {number} of the cloud was not used: {why.en}", f"云端配置第 {number} 版未启用：{why.zh}"
                ),
                "rolled_back": Text(
                    f"version {number} of the cloud was undone: {why.en}", f"云端配置第 {number} 版已回退：{why.zh}"
                ),
            }[trial.outcome],
        )
        self._hurry()

    def _shared_version(self) -> str:
        """Return the cloud's name of what is in force; what it sent keeps its name however the box writes it."""
        version = self._reconfigurer.state.version
        trial = self._trial
        if version == trial.target and trial.shared:
            return trial.shared
        if version != self._shared_of[0]:
            self._shared_of = (version, shared_version(self._path, version))
        return self._shared_of[1]


_CHANGED_AT_THE_BOX = Text("it was changed at the box meanwhile, which stays", "期间本机已修改配置，以本机为准")


def _shared(text: str) -> str:
    """Return what the cloud may hold of the file `text`."""
    return without_secrets(configuration.split(text)[1])


def _line(device: DeviceConfig) -> tuple[str, str]:
    """Return what a device is reached over: others on the same serial port, gateway or server may feel its change."""
    connection = device.connection.model_dump()
    return device.protocol, str(
        next((connection[key] for key in ("serial", "host", "endpoint") if connection.get(key)), device.name)
    )


def _undo(path: Path, state_dir: Path, trial: Trial, reason: Text) -> None:
    """Put the previous file back and say why; may be repeated after an interruption."""
    _log.warning("version %d of the cloud is undone: %s", trial.desired, reason.en)
    _keep(state_dir, trial.ended("undoing", reason))
    previous = read_config(state_dir / PREVIOUS_FILE)
    write_file(path.resolve(), previous.encode("utf-8"), mode=path.stat().st_mode & 0o777)
    _keep(state_dir, trial.ended("rolled_back", reason))


def _load(state_dir: Path) -> Trial:
    path = state_dir / STATE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Trial)
    except FileNotFoundError:
        return Trial()
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(
            Text(f"cannot be read: {error}", f"无法读取：{error}"),
            Text("remove it; the file of the configuration stays as it is", "请删除该文件；配置文件保持不变"),
            key=str(path),
        ) from error


def _keep(state_dir: Path, trial: Trial) -> None:
    write_file(state_dir / STATE_FILE, msgspec.json.encode(trial))
