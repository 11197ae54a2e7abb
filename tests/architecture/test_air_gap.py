"""Without any network the agent installs from a folder of wheels, starts, and asks nobody for anything."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.conftest import PACKAGES, ROOT

GUARD = """
import os, sys
LOCAL = ("127.", "::1", "localhost", "0.0.0.0", "::")
SEARCH = ("ldconfig", "gcc", "cc", "ld", "objdump")  # by which ctypes.util.find_library looks for a library
def told(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        what = str(arguments[0])
    elif event in ("socket.connect", "socket.sendto", "socket.bind"):
        where = arguments[1]
        what = str(where[0]) if isinstance(where, tuple) else "127.unix"
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        if os.path.basename(os.fsdecode(arguments[0])) in SEARCH:
            return
        if event == "os.exec" and os.fsdecode(arguments[0]) == sys.executable and "-m" in arguments[1][:3]:
            return  # a command becomes the agent, where this guard is as well
        what = f"program {arguments[0]} {arguments[1] if len(arguments) > 1 else ''}"
    else:
        return
    if not what.startswith(LOCAL) and what not in ("None", ""):
        with open(os.environ["AIR_GAP_LOG"], "a") as log:
            log.write(f"{event} {what}\\\\n".replace("\\\\n", "\\n"))
        raise OSError(f"air gap: {event} {what}")
sys.addaudithook(told)
"""
"""Put into the new environment: PEP 578 tells of every connection, look-up and program, whoever makes it."""


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own, made with nothing but a folder of wheels; returns its folder of programs."""
    environment = tmp_path_factory.mktemp("box") / "venv"
    uv = Path(sys.executable).with_name("uv")
    offline = {**os.environ, "UV_CACHE_DIR": str(tmp_path_factory.mktemp("empty-cache")), "UV_LINK_MODE": "copy"}
    subprocess.run(
        [uv, "venv", "--quiet", "--offline", "--python", sys.executable, environment], check=True, env=offline
    )
    subprocess.run(
        [
            *(uv, "pip", "install", "--quiet", "--offline", "--no-index", "--find-links", wheels),
            *("--python", environment / "bin" / "python", "sunmao-iiot[edge,ui]"),
        ],
        check=True,
        env=offline,
    )
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "air_gap_guard.py").write_text(GUARD, "utf-8")
    (packages / "air_gap.pth").write_text("import air_gap_guard\n", "utf-8")
    return environment / "bin"


class Box:
    """The installed programs in a folder of their own, and what they asked of the world outside."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._log = folder / "asked"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        self._environment = {**kept, "AIR_GAP_LOG": str(self._log), "LANG": "C.UTF-8"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `sunmao-edge`."""
        command = [self._programs / "sunmao-edge", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self._environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run `sunmao-edge` to its end; returns exit status and output."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        return process.returncode, out

    def python(self, code: str) -> int:
        """Run a line of Python there."""
        command = [self._programs / "python", "-c", code]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, check=False
        ).returncode

    def asked(self) -> list[str]:
        """Return what was asked outside of this box."""
        return self._log.read_text("utf-8").splitlines() if self._log.exists() else []


@pytest.fixture
def box(installed: Path, tmp_path: Path) -> Box:
    return Box(installed, tmp_path)


def test_it_installs_and_starts_without_a_network(box: Box) -> None:
    assert "browse" in box.run("--help")[1]
    assert box.run("init")[0] == 0
    code, out = box.run("check", "--json")
    assert code == 1  # neither the sample's device nor its cloud is there
    assert {finding["what"] for finding in json.loads(out) if finding["ok"]} >= {"cloud/name", "buffer"}
    assert box.run("library", "list", "--json")[0] == 0
    assert box.asked() == []


def test_the_agent_and_its_pages_ask_nobody_when_they_start(box: Box) -> None:
    box.run("init")
    pages = box.start("ui", "--port", "0", "--json")
    agent = box.start("run", "--json")
    try:
        assert pages.stdout is not None
        assert "url" in json.loads(pages.stdout.readline())
        until(lambda: (box.folder / "state" / "status.json").exists() or agent.poll() is not None)
        assert (agent.poll(), pages.poll()) == (None, None)
    finally:
        for process in (pages, agent):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert box.asked() == []


def test_the_guard_notices(box: Box) -> None:
    assert box.python("import socket; socket.create_connection(('192.0.2.1', 80), 0.1)") == 1
    assert box.python("import subprocess, sys; subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])") == 1
    assert [line.split()[0] for line in box.asked()] == ["socket.getaddrinfo", "subprocess.Popen"]


def until(condition, deadline_s: float = 40.0) -> None:
    """Wait for what another process does; fails after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def installers(root: Path) -> Iterator[str]:
    """Yield where shipped code reaches for an installer of packages."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                words = [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
                if {name.split(".")[0] for name in names} & {"pip", "ensurepip"} or {"pip", "ensurepip", "uv"} & set(
                    words
                ):
                    yield f"{path.relative_to(root)}:{node.lineno}"


def test_shipped_code_never_installs_packages(tmp_path: Path) -> None:
    assert list(installers(ROOT)) == []
    (tmp_path / "edge_agent").mkdir()
    (tmp_path / "edge_agent" / "bad.py").write_text("import pip\nrun(['-m', 'pip', 'install'])\n", "utf-8")
    assert list(installers(tmp_path)) == ["edge_agent/bad.py:1", "edge_agent/bad.py:2"]
