"""The commands where something is wrong: one line that says what and how to mend it, the right exit status, no traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
import typer.core
import typer.main

from edge_agent.cli import app
from edge_agent.config import load_config

COMMAND = Path(sys.executable).with_name("sunmao-edge")
DEVICE = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "meter"
template = "demo-energy-meter"
[device.connection]
host = "127.0.0.1"
port = 1
"""


class Found(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Edge = Callable[..., Found]


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Edge:
    """Runs one command in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, language: str = "en") -> Found:
        with pytest.raises(SystemExit) as ended:
            app([*arguments, "--lang", language])
        assert isinstance(ended.value.code, int)
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Found(ended.value.code, out, err)

    return run


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(DEVICE)
    return tmp_path


def test_init_writes_a_valid_sample_once(edge: Edge, tmp_path: Path) -> None:
    assert edge("init").returncode == 0
    assert load_config(tmp_path / "agent.toml").devices
    (tmp_path / "agent.toml").write_text("mine")
    again = edge("init", language="zh")
    assert (again.returncode, "已存在" in again.stderr) == (2, True)
    assert (tmp_path / "agent.toml").read_text() == "mine"


WRONG = [
    (("status", "-c", "none.toml"), 2, "sunmao-edge init", "sunmao-edge init"),
    (("read", "metre"), 2, "there are: meter", "现有：meter"),
    (("read", "meter", "nothing"), 2, "voltage_l1_n", "voltage_l1_n"),
    (("read", "meter"), 3, "127.0.0.1", "127.0.0.1"),
    (("enrol", "K7QF"), 3, "does not answer", "无应答"),
    (("enrol", "K7QF", "--cloud", "nowhere"), 2, "https://", "https://"),
    (("buffer", "stats"), 2, "no buffer yet", "尚无缓存"),
    (("buffer", "verify"), 2, "no buffer yet", "尚无缓存"),
    (("simulate", "demo-energy-metre"), 2, "demo-energy-meter", "demo-energy-meter"),
    (("init", "none/agent.toml"), 2, "none/agent.toml", "none/agent.toml"),
]


@pytest.mark.parametrize(("arguments", "code", "en", "zh"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_one_line_says_it(
    edge: Edge, configured: Path, arguments: tuple[str, ...], code: int, en: str, zh: str
) -> None:
    for language, telling in (("en", en), ("zh", zh)):
        found = edge(*arguments, language=language)
        assert found.returncode == code
        assert telling in found.stderr
        assert found.stderr.count("\n") == 1


def test_wrong_use_is_2(edge: Edge, tmp_path: Path) -> None:
    assert edge("read").returncode == 2
    assert edge("no-such-command").returncode == 2


def test_check_lists_everything_and_fails(edge: Edge, configured: Path) -> None:
    found = edge("check", "--json", language="zh")
    findings = {finding["what"]: finding for finding in json.loads(found.stdout)}
    assert found.returncode == 1
    ill = {name for name, finding in findings.items() if finding["severity"] == "wrong"}
    assert ill == {"meter", "cloud/port"}
    assert {"cloud/name", "buffer", "security/files", "security/user"} <= findings.keys() - ill
    assert all(finding["mend"] for finding in findings.values() if finding["severity"] != "ok")
    table = edge("check", language="zh").stdout
    assert "meter" in table
    assert "下一步" in table


def test_check_tries_the_model_and_goes_on_after_a_damaged_buffer(edge: Edge, configured: Path) -> None:
    station = """
[[inspection]]
device = "camera-1"
folder = "pictures"
bundle = "none"
trust = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
"""
    (configured / "agent.toml").write_text(DEVICE + station)
    (configured / "state").mkdir()
    (configured / "state" / "buffer.db").write_bytes(b"nonsense" * 1000)
    findings = {finding["what"]: finding for finding in json.loads(edge("check", "--json").stdout)}
    ill = {name for name, finding in findings.items() if not finding["ok"]}
    assert ill == {"meter", "camera-1", "cloud/port", "buffer"}
    assert "none" in findings["camera-1"]["found"]
    assert all(findings[name]["mend"] for name in ill)


def test_a_damaged_buffer_is_no_traceback(edge: Edge, configured: Path) -> None:
    (configured / "state").mkdir()
    (configured / "state" / "buffer.db").write_bytes(b"nonsense" * 1000)
    assert edge("buffer", "stats").returncode == 1
    assert edge("buffer", "verify").returncode == 1


@pytest.mark.parametrize(
    ("config", "state", "tells"), [("none.toml", False, "sunmao-edge init"), ("agent.toml", True, "agent.state_dir")]
)
def test_an_agent_that_cannot_start_says_why_in_one_line(
    configured: Path, config: str, state: bool, tells: str
) -> None:
    if state:
        (configured / "state").write_text("a file")
    ran = [COMMAND, "run", "-c", config, "--lang", "zh"]
    found = subprocess.run(ran, cwd=configured, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout, found.stderr.count("\n"), tells in found.stderr) == (2, "", 1, True)


def test_the_running_agent_loads_nothing_that_parses_commands_or_draws_tables(tmp_path: Path) -> None:
    code = """
import contextlib, sys
from pathlib import Path
from edge_agent import service
with contextlib.suppress(SystemExit):
    service.serve(Path("none.toml"), "en", "json")
import protocols.modbus.driver, protocols.mqtt.driver, protocols.opcua.driver
print(sorted({"edge_agent.agent", "httpx", "rich", "typer", "click", "pygments"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "['edge_agent.agent']\n"


def test_interrupting_a_command_is_no_traceback(configured: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (configured / "agent.toml").write_text(DEVICE.replace("port = 1\n", f"port = {port}\ntimeout_s = 60.0\n"))
        command = subprocess.Popen(
            ["env", "--default-signal=INT", COMMAND, "read", "meter"],  # a background job may be told to ignore it
            cwd=configured,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        connection, _ = silent.accept()
        with command, connection:
            command.send_signal(signal.SIGINT)
            _, err = command.communicate(timeout=20)
    assert command.returncode == 130
    assert "Traceback" not in err


def test_every_command_speaks_json_and_both_languages() -> None:
    groups = [typer.main.get_command(app)]
    while groups:
        for name, command in groups.pop().commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                groups.append(command)
            else:
                assert {"--json", "--lang"} <= {text for option in command.params for text in option.opts}, name
