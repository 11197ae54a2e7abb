"""Starts, kills and ends the programs of a small plant: separate processes, each with a log, ended by their own id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from protocols.errors import SunmaoError
from protocols.text import Text

BIN = Path(sys.executable).parent
T = TypeVar("T")


class StepFailed(SunmaoError):
    """A program the plant needs did not do its part; its last line says why."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], T], deadline_s: float, what: Text, check: Callable[[], None] | None = None) -> T:
    """Return the first truthy answer of `condition`.

    Raises StepFailed naming `what` after `deadline_s` seconds, or whatever `check` raises meanwhile.
    """
    end = time.monotonic() + deadline_s
    while not (answer := condition()):
        if check:
            check()
        if time.monotonic() > end:
            raise StepFailed(
                Text(f"waited {deadline_s:g} s in vain for {what.en}", f"等待 {deadline_s:g} 秒仍未见{what.zh}")
            )
        time.sleep(0.05)
    return answer


class Plant:
    """The processes of one plant and the folder that holds their logs. Use as a context: at its end all are ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Plant:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(list(self.processes)):
            self.stop(name)

    def start(self, name: str, *command: str | Path) -> int:
        """Start `command` under `name`, its output appended to the log of that name; return its process id."""
        with self.log(name).open("ab") as log:
            # A session of its own: Ctrl-C reaches the plant's owner alone, who then ends its programs in order.
            process = subprocess.Popen(
                [BIN / command[0], *command[1:]],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.processes[name] = process
        return process.pid

    def run(self, *command: str | Path, answer: str = "") -> Any:
        """Run `command`, with `answer` on its standard input, and return the JSON it prints.

        Raises StepFailed with its last line if it fails.
        """
        result = subprocess.run(
            [BIN / command[0], *command[1:], "--json"],
            cwd=self.folder, input=answer, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if result.returncode:
            raise StepFailed(_last_words(result), key=" ".join(map(str, command[:3])))
        return json.loads(result.stdout)

    def kill(self, name: str) -> None:
        """End `name` as a power cut would: SIGKILL, no time for anything."""
        os.kill(self.processes[name].pid, signal.SIGKILL)
        self.processes.pop(name).wait()

    def stop(self, name: str, patience_s: float = 15) -> None:
        """Ask `name` to end and wait; kill it if it has not within `patience_s`."""
        process = self.processes.pop(name)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def check(self) -> None:
        """Raise StepFailed if any program has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                said = self.last_line(name)
                raise StepFailed(
                    Text(f"ended with code {process.returncode}: {said}", f"已退出，代码 {process.returncode}：{said}"),
                    key=name,
                )

    def log(self, name: str) -> Path:
        """Return the log file of `name`."""
        return self.folder / "logs" / f"{name}.log"

    def last_line(self, name: str) -> str:
        """Return the last line `name` has written."""
        lines: Sequence[str] = self.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _last_words(result: subprocess.CompletedProcess[str]) -> Text:
    """Return what a program that failed said last, in both languages where it did so as JSON."""
    said = (result.stderr.strip() or result.stdout.strip()).splitlines() or [f"exit code {result.returncode}"]
    try:
        error = json.loads(said[-1])
        return Text(error["en"], error["zh"]) if "en" in error else Text(error["error"], error["error"])
    except (ValueError, TypeError, KeyError):
        return Text(said[-1], said[-1])


def answers(port: int) -> bool:
    """Return whether anybody listens on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
