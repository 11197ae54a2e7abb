"""A site of its own: machines with networks of their own, and a Ray cluster on them, started as people start it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from deploy.demo.processes import BIN

HEAD, OTHER, PORT = "10.83.0.1", "10.83.0.2", "6379"


class Machine:
    """A network namespace: what runs in it reaches itself and the machine it is linked with."""

    def __init__(self) -> None:
        script = "ip link set lo up && echo up && exec sleep infinity"
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout
        if self._holder.stdout.readline() != "up\n":
            self.close()
            pytest.skip("no network namespace can be made here")

    @property
    def pid(self) -> int:
        """Return a process of it."""
        return self._holder.pid

    def inside(self, *words: str | Path) -> list[str]:
        """Return the command that runs `words` in it."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *map(str, words)]

    def run(self, *words: str) -> None:
        """Run a command in it."""
        subprocess.run(self.inside(*words), check=True, capture_output=True)

    def link(self, other: Machine) -> None:
        """Link it with another one; HEAD is here, OTHER there."""
        self.run("ip", "link", "add", "site", "type", "veth", "peer", "name", "site", "netns", str(other.pid))
        for machine, address in ((self, HEAD), (other, OTHER)):
            machine.run("ip", "address", "add", f"{address}/24", "dev", "site")
            machine.run("ip", "link", "set", "site", "up")

    def cut(self) -> None:
        """Cut the link."""
        self.run("ip", "link", "set", "site", "down")

    def mend(self) -> None:
        """Have the link again."""
        self.run("ip", "link", "set", "site", "up")

    def close(self) -> None:
        """Let it go."""
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout:
            self._holder.stdout.close()


class Node:
    """A node of the cluster on a machine."""

    def __init__(self, machine: Machine, address: str, folder: Path, *more: str) -> None:
        self.machine = machine
        command = [BIN / "sunmao-cloud", "compute", "node", "--address", address, "--ray-token", folder / "ray-token"]
        self._log = (folder / f"{address}.log").open("w+")
        self._process = subprocess.Popen(
            machine.inside(*command, *more),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"RAY_TMPDIR": str(folder)},
        )

    def started(self) -> None:
        """Wait until it is one of the cluster."""
        while "Ray runtime started" not in Path(self._log.name).read_text():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
                raise AssertionError(Path(self._log.name).read_text())

    @property
    def at_work(self) -> bool:
        """Whether a task runs on it."""
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "models.task_child" in child.cmdline():
                    return True
        return False

    def kill(self) -> None:
        """Kill all of it at once, as when its power is cut."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            everything = [process, *process.children(recursive=True)]
            for each in everything:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(everything, timeout=10)

    def close(self) -> None:
        """Kill it and clear away."""
        self.kill()
        self._process.wait()
        self._log.close()


class Site:
    """A Ray cluster of two nodes, each on a machine of its own."""

    def __init__(self, folder: Path, head: Node, there: Machine) -> None:
        self.folder, self.head, self._there, self._lost = folder, head, there, False
        self.other = self._joining()

    def _joining(self) -> Node:
        return Node(self._there, OTHER, self.folder, "--join", f"{HEAD}:{PORT}")

    def lose(self, how: str) -> None:
        """Lose the other node: "killed", or "cut off" from the head."""
        self._lost = True
        if how == "killed":
            self.other.kill()
        else:
            self._there.cut()

    def restore(self) -> None:
        """Have two nodes again if one was lost."""
        if self._lost:
            self.other.close()
            self._there.mend()
            self.other, self._lost = self._joining(), False
            self.other.started()

    def close(self) -> None:
        """Kill the other node."""
        self.other.close()

    def command(self, *words: str | Path) -> list[str]:
        """Return the command that runs `sunmao-cloud compute` with `words` on the head's machine, by the cluster."""
        cluster = ["--ray", f"{HEAD}:{PORT}", "--ray-token", self.folder / "ray-token"]
        return self.head.machine.inside(BIN / "sunmao-cloud", "compute", *words, *cluster)


@contextmanager
def site() -> Iterator[Site]:
    """Two machines, linked, and a node on each; skips where that cannot be made."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("machines with networks of their own need root, unshare and ip")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="site-")))  # Ray's sockets want a short path
        (folder / "ray-token").write_text(secrets.token_hex(32))
        here, there = stack.enter_context(closing(Machine())), stack.enter_context(closing(Machine()))
        here.link(there)
        head = stack.enter_context(closing(Node(here, HEAD, folder, "--port", PORT)))
        head.started()
        found = stack.enter_context(closing(Site(folder, head, there)))
        found.other.started()
        yield found
