"""Wrong input and hostile surroundings, through the real commands: one clear line, the right exit status, no traceback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.processes import BIN, free_port
from tests.faults.conftest import NOTHING_LOST, Joint

pytestmark = pytest.mark.faults


def line_of(joint: Joint, status: int, *command: str) -> str:
    """Run `sunmao-edge` with the test's configuration; return the only line it prints to standard error."""
    folder = joint.platform.plant.folder
    result = subprocess.run(
        [BIN / "sunmao-edge", *command, "--config", joint.platform.config, "--lang", "en"],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == status, result.stdout + result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@contextlib.contextmanager
def device_that_sends_one_register(port: int) -> Iterator[None]:
    """Answer every Modbus TCP request with a well-formed frame of a single register, whatever was asked."""
    listening = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                while request := client.recv(260):
                    client.sendall(request[:4] + b"\x00\x05" + request[6:8] + b"\x02\x12\x34")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def test_an_unreachable_device(joint: Joint) -> None:
    """nobody answers at the device's address"""
    port = free_port()
    joint.configure(address=f"127.0.0.1:{port}")
    line = line_of(joint, 3, "read", f"meter-{joint.name}")
    assert f"127.0.0.1:{port}" in line
    assert "check power, cable, host and port" in line


def test_a_wrong_register_count(joint: Joint) -> None:
    """the device answers with fewer registers than were asked for"""
    port = free_port()
    joint.configure(address=f"127.0.0.1:{port}")
    with device_that_sends_one_register(port):
        line = line_of(joint, 3, "read", f"meter-{joint.name}")
    assert f"127.0.0.1:{port}" in line
    assert "2 bytes of data" in line
    assert "16 were asked for" in line


def test_a_mistyped_key(joint: Joint) -> None:
    """a key of the configuration is mistyped"""
    path = joint.platform.plant.folder / joint.platform.config
    path.write_text(path.read_text().replace("port =", "prot ="))
    line = line_of(joint, 2, "run")
    assert "device[1].connection.prot" in line
    assert "port" in line.partition("prot")[2]


def test_an_expired_code(joint: Joint) -> None:
    """the one-time code has expired"""
    code = joint.platform.code()
    postgres = EmbeddedPostgres(joint.platform.plant.folder / joint.platform.data / "postgres")
    with psycopg.connect(postgres.start()) as connection:
        connection.execute("UPDATE enrolment_code SET expires_at = now() - interval '1 minute' WHERE used_at IS NULL")
    postgres.stop()
    joint.configure(state_dir="state-expired")
    line = line_of(joint, 3, "enrol", code)
    assert "code" in line
    assert code not in line


def test_enrolling_while_the_cloud_is_down(joint: Joint) -> None:
    """nobody answers at the cloud's address"""
    port = free_port()
    line = line_of(joint, 3, "enrol", "K7QF-3XWD-9MPA", "--cloud", f"http://127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port}" in line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NO SMALL DISK: {mounted.stderr.strip()} - the full disk was not tested from outside")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def fill_the_disk(hog: Path) -> None:
    with hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk(joint: Joint, small_disk: Path) -> None:
    """the agent's disk is full for a while: one line, nothing lost"""
    joint.configure(state_dir=str(small_disk / "state"))
    joint.platform.enrol()
    joint.platform.start_agent()
    joint.until(lambda: joint.collected() > 50, "readings")
    hog = small_disk / "hog"
    fill_the_disk(hog)
    joint.until(lambda: any("disk" in line for line in joint.log()), "the line that says so")
    hog.unlink()
    collected = joint.collected()
    joint.until(lambda: joint.collected() > collected + 50, "readings after there is room again")
    said = [line for line in joint.log() if "disk" in line]
    assert len(said) <= 2, said
    assert not any("Traceback" in line for line in joint.log())
    assert joint.close() == NOTHING_LOST
