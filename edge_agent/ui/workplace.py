"""What the pages work on: one box's configuration, its drafts, and the work that goes on in the background."""

from __future__ import annotations

import socket
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_agent.check import Finding, check, steps
from edge_agent.config import Config, parse_config, read_config, version_of
from edge_agent.config_edit import put_device, put_values, remove_device, save_config
from edge_agent.identity import Identity, enrol, load_identity
from edge_agent.onboard.propose_memory import Memory, load_memory, save_memory
from edge_agent.ui.adopt import adopt
from edge_agent.ui.draft_device import device_table
from edge_agent.ui.drafts import Machine, load_drafts, save_drafts
from edge_agent.ui.jobs import Job
from edge_agent.ui.learn import learn_by_browsing, learn_by_watching, name_by_kind, point_list
from edge_agent.ui.search import look_for_machines, parse_wanted
from edge_agent.ui.words import Tone
from protocols.errors import ConfigError
from protocols.text import Language, Text

MEMORY_FILE = "confirmed.json"

_FRESH = """\
# Configuration of a Sunmao edge agent, kept by its pages; comments and order are yours to change.
# 榫卯边缘代理配置，由本机页面维护；注释与顺序可自行修改。

[agent]
name = {name}
state_dir = "state"            # identity key, buffer, status / 身份密钥、缓存与状态

[cloud]
url = "http://127.0.0.1:8000"  # set when the box is connected / 接入云端时填写
"""


class Flash(NamedTuple):
    """What the next page says first, how it is meant, and what to do."""

    text: Text
    tone: Tone
    mend: Text = Text("", "")


class Checking:
    """A check of everything: what it has found so far, and when it began."""

    def __init__(self, config: Config, path: Path) -> None:
        self.findings: list[Finding] = []
        self.begun = datetime.now().astimezone()
        self._config, self._path = config, path
        self.job = Job(self._work, Text("checking", "检查中"))

    async def _work(self, job: Job) -> None:
        job.begin(Text("checking", "检查中"), steps(self._config))
        async for finding in check(self._config, self._path):
            self.findings.append(finding)
            job.advance()


class Workplace:
    """One box.

    Args:
        config_path: its configuration; a fresh one is written where there is none.
        rate: most questions a second to an unknown machine.
    """

    def __init__(self, config_path: Path, rate: float) -> None:
        self.config_path = config_path
        self.rate = rate
        if not config_path.exists():
            save_config(config_path, _FRESH.format(name=_quoted(socket.gethostname())))
        self.state_dir = self.config().agent.state_dir
        self.drafts = load_drafts(self.state_dir)
        self.search: Job | None = None
        self.checking: Checking | None = None
        self.learning: dict[str, Job] = {}
        self.flash: Flash | None = None
        self.photographed: tuple[str, str] | ConfigError | None = None
        """Cloud address and code as last read from a photograph, or why there are none, until a page shows it."""

    @property
    def folder(self) -> Path:
        """Where the configuration lies; paths in it are relative to it."""
        return self.config_path.resolve().parent

    def config(self) -> Config:
        """Return the configuration as it stands in the file; raises ConfigError."""
        return parse_config(read_config(self.config_path), self.config_path)

    def identity(self) -> Identity | None:
        """Return where the box is enrolled, None if it is not."""
        return load_identity(self.state_dir)

    def memory(self) -> Memory:
        """Return what technicians confirmed on this box before."""
        return load_memory(self.state_dir / MEMORY_FILE)

    def keep(self) -> None:
        """Keep the drafts on disk."""
        save_drafts(self.drafts, self.state_dir)

    async def connect(self, url: str, code: str, name: str) -> Identity:
        """Enrol the box at the cloud under `url`, name it, and write both into the configuration.

        Raises ConfigError for an address that is none, Refused for a code that is wrong, Unreachable, Malformed.
        """
        text = put_values(read_config(self.config_path), "cloud", {"url": url.strip().rstrip("/")})
        text = put_values(text, "agent", {"name": name.strip()})
        config = parse_config(text, self.config_path)
        identity = await enrol(self.state_dir, config.cloud.url, code, config.agent.name, config.cloud.ca)
        save_config(self.config_path, text)
        return identity

    def adopt_configured(self) -> None:
        """Take what stands in the configuration, and is not drafted here, into the drafts; raises ConfigError."""
        text = read_config(self.config_path)
        parse_config(text, self.config_path)
        if adopt(self.drafts, text, version_of(text)):
            self.keep()

    def start_search(self, ranges: str, units: str) -> None:
        """Look for machines in `ranges` (see `parse_wanted`) and nowhere else; raises ConfigError."""
        wanted = parse_wanted(ranges, units)
        self.drafts.ranges, self.drafts.units = ranges.strip(), units.strip()
        self.keep()

        async def work(job: Job) -> None:
            async for machine in look_for_machines(wanted, self.folder, self.rate, job):
                self.drafts.put(machine)
                self.keep()

        self.search = Job(work, Text("looking for machines", "正在搜索设备"))

    def start_check(self) -> None:
        """Look whether all is in order, by the configuration as it stands; raises ConfigError."""
        self.checking = Checking(self.config(), self.config_path)

    def start_learning(self, machine: Machine, language: Language) -> Job:
        """Fetch the points of a machine the library does not know: by browsing it, or by watching its registers.

        One that had no name but its address is named in `language` after what it proves to be.
        """
        running = self.learning.get(machine.id)
        if running is not None and running.running:
            return running
        machine.refused = None

        async def work(job: Job) -> None:
            if machine.protocol == "opcua":
                await learn_by_browsing(machine, self.folder, self.memory(), job)
            else:
                await learn_by_watching(machine, self.memory(), job, self.rate)
                name_by_kind(machine, language, self.drafts)
            self.keep()

        job = Job(work, Text("asking the machine", "正在读取设备"))
        self.learning[machine.id] = job
        return job

    def save(self, machine: Machine) -> str:
        """Write `machine` into the configuration, remember what was confirmed, and return the file's new version.

        Raises ConfigError, and leaves the configuration as it is, where something in the draft cannot be.
        """
        text = put_device(read_config(self.config_path), device_table(machine))
        save_config(self.config_path, text)
        machine.saved = version_now(self.config_path)
        self._remember(machine)
        self.keep()
        return machine.saved

    def forget(self, machine: Machine) -> None:
        """Take `machine` out of the drafts and, if it was saved, out of the configuration; raises ConfigError."""
        if machine.saved and any(device.name == machine.name for device in self.config().devices):
            save_config(self.config_path, remove_device(read_config(self.config_path), machine.name))
        self.drafts.machines.remove(machine)
        self.keep()

    def rename(self, machine: Machine, name: str) -> None:
        """Call `machine` otherwise; in the configuration, too, if it is there. Raises ConfigError for a name in use."""
        name = name.strip()
        if not name or not self.drafts.name_is_free(name, machine):
            raise ConfigError(
                Text(f"the name '{name}' is empty or in use", f"名称“{name}”为空或已被使用"),
                Text("choose another name", "请换一个名称"),
            )
        if machine.saved:
            text = remove_device(read_config(self.config_path), machine.name)
            save_config(self.config_path, put_device(text, device_table(msgspec.structs.replace(machine, name=name))))
            machine.saved = version_now(self.config_path)
        machine.name = name
        self.keep()

    def _remember(self, machine: Machine) -> None:
        if machine.template:
            return  # the library knows it already
        memory = self.memory()
        answers = {point.name: point.code for point in machine.points if point.sure}
        answers |= {point.name: None for point in machine.points if point.confirmed and point.code is None}
        memory.confirm(point_list(machine, machine.points), answers)
        save_memory(memory, self.state_dir / MEMORY_FILE)


def version_now(path: Path) -> str:
    """Return the version of the configuration file as it is now; raises ConfigError."""
    return version_of(read_config(path))


def _quoted(name: str) -> str:
    return '"' + (name.replace("\\", "").replace('"', "").strip() or "sunmao") + '"'
