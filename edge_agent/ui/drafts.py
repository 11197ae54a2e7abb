"""What a technician has found and decided so far: machines, their points, what each one is. Kept on disk at each step.

A draft becomes a device of the configuration when it is saved (see `draft_device`); it stays, so that it can be looked
at and changed again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from edge_agent.atomic_file import write_file
from edge_agent.onboard.propose import SURE
from protocols.errors import ConfigError
from protocols.text import Text

FILE = "drafts.json"

Protocol = Literal["modbus", "opcua", "unknown"]


class DraftPoint(msgspec.Struct):
    """One point as it would be collected.

    Attributes:
        name: unique within the machine.
        fields: what the protocol's point model needs beside the keys here: its address, type, order, codes ...
        unit: UN/ECE Rec 20 code of what the machine delivers; None where nobody knows.
        code: of the dictionary entry it stands for, or None.
        confidence: that the entry is right, 0..1.
        reason: why, in words.
        nearest: other entries that come near.
        included: whether it is collected at all.
        confirmed: a person has looked at it.
        said: what the machine or its maker calls it, shown beside the name.
    """

    name: str
    fields: dict[str, Any]
    unit: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    code: str | None = None
    confidence: float = 0.0
    reason: Text = Text("", "")
    nearest: tuple[str, ...] = ()
    included: bool = True
    confirmed: bool = False
    said: str = ""

    @property
    def sure(self) -> bool:
        """True if it has an entry that a technician would accept unread, or has accepted."""
        return self.included and self.code is not None and (self.confirmed or self.confidence >= SURE)

    @property
    def doubtful(self) -> bool:
        """True if an entry is proposed that a person has to look at."""
        return self.included and self.code is not None and not self.sure


class Likeness(msgspec.Struct, frozen=True):
    """A template of the library and how well it fits, 0..1."""

    template: str
    name: Text
    score: float
    reasons: tuple[Text, ...] = ()
    bits: float = 0.0


class Machine(msgspec.Struct):
    """One machine found: where it is, what it says of itself, what it is taken for, and its points.

    Attributes:
        id: short and lasting, for the page's address.
        place: where it answers, as a person writes it.
        connection: keys of the protocol's connection model.
        identity: what it says of itself.
        details: of an OPC UA server: its endpoints and companion specifications.
        matches: templates that fit, best first.
        template: the one its points are from; "" for none.
        kind: equipment class, "" where nobody knows.
        note: what a person should know of how it answered.
        refused: why its points could not be had, the last time they were asked for.
        settings: what else its [[device]] table says, such as its period.
        saved: version of the configuration it was saved in; "" if it was not.
    """

    id: str
    place: str
    protocol: Protocol
    name: str
    connection: dict[str, Any] = {}
    identity: dict[str, str] = {}
    details: dict[str, Any] = {}
    matches: tuple[Likeness, ...] = ()
    template: str = ""
    kind: str = ""
    points: list[DraftPoint] = []
    note: Text | None = None
    refused: Text | None = None
    settings: dict[str, Any] = msgspec.field(default_factory=lambda: {"period_s": 1.0})
    saved: str = ""

    @property
    def known(self) -> Likeness | None:
        """The template it is surely of, None if there is none."""
        best = self.matches[0] if self.matches else None
        return best if best is not None and best.score >= KNOWN else None

    @property
    def twins(self) -> list[Likeness]:
        """Other templates that fit exactly as well as the best: sister models with the same registers."""
        best = self.known
        return [
            match
            for match in self.matches[1:]
            if best is not None and (match.score, match.bits) == (best.score, best.bits)
        ]


KNOWN = 0.5
"""From this score on a template's points are laid out; below it the machine counts as unknown."""


class Drafts(msgspec.Struct):
    """All of it. `ranges` and `units` are what was searched last, as typed."""

    machines: list[Machine] = []
    ranges: str = ""
    units: str = "1"

    def machine(self, wanted: str) -> Machine | None:
        """Return the machine of this id, None if there is none."""
        return next((machine for machine in self.machines if machine.id == wanted), None)

    def put(self, found: Machine) -> Machine:
        """Take over a machine just found; one known from before keeps its points and what was decided of them."""
        for machine in self.machines:
            if machine.place == found.place:
                machine.identity, machine.details, machine.note = found.identity, found.details, found.note
                if not machine.points:
                    machine.protocol, machine.connection = found.protocol, found.connection
                    machine.matches, machine.kind = found.matches, found.kind
                return machine
        return self.add(found)

    def add(self, machine: Machine) -> Machine:
        """Take a machine into the list, under an id and a name of its own."""
        machine.id = self._new_id()
        machine.name = self.free_name(machine.name)
        self.machines.append(machine)
        return machine

    def next_to_do(self, after: Machine) -> Machine | None:
        """Return the machine to turn to once `after` is saved: the next one not yet saved, in the order of the list."""
        place = self.machines.index(after)
        waiting = [*self.machines[place + 1 :], *self.machines[:place]]
        return next((machine for machine in waiting if not machine.saved and machine.protocol != "unknown"), None)

    def name_is_free(self, name: str, of: Machine) -> bool:
        """Return whether no other machine bears `name`."""
        return all(machine is of or machine.name != name for machine in self.machines)

    def _new_id(self) -> str:
        used = {machine.id for machine in self.machines}
        return next(number for number in map(str, range(1, len(used) + 2)) if number not in used)

    def free_name(self, name: str) -> str:
        """Return `name`, with a number behind it if another machine bears it."""
        used = {machine.name for machine in self.machines}
        if name not in used:
            return name
        return next(new for new in (f"{name} {n}" for n in range(2, len(used) + 3)) if new not in used)


def load_drafts(state_dir: Path) -> Drafts:
    """Return what was kept in `state_dir`; nothing if there is no file. Raises ConfigError for a spoilt one."""
    path = state_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Drafts)
    except FileNotFoundError:
        return Drafts()
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(
            Text(f"cannot be read: {error}", f"无法读取：{error}"),
            Text("remove the file; the search is then done again", "请删除该文件，然后重新搜索"),
            key=str(path),
        ) from error


def save_drafts(drafts: Drafts, state_dir: Path) -> None:
    """Keep `drafts`, so that a reload of the page or of the box loses nothing. Raises ConfigError if it cannot."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        write_file(state_dir / FILE, msgspec.json.encode(drafts), mode=0o600)
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be written: {error.strerror}", f"无法写入：{error.strerror}"),
            Text("make the folder writable for this user", "请为当前用户开放该文件夹的写权限"),
            key=str(state_dir / FILE),
        ) from error
