"""Signed archives: refused with a named reason, and run behind walls that hold."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from models.archive import CHECKSUMS, SIGNATURE, read_archive, unzipped, zip_of
from models.archive_run import prove, run_archive
from models.cli import app
from models.errors import BundleRefused, ModelError
from models.signing import create_key, public_key
from models.task import ARCHIVE, INPUT, OUTPUT, STATE, Limits, PythonTask
from tests.models.programs import program

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, key: Ed25519PrivateKey) -> bytes:
    return program(tmp_path_factory.mktemp("archive") / "program", key)


@pytest.fixture(scope="module", autouse=True)
def _walls() -> None:
    if why := prove():
        pytest.skip(f"no walls can be built here: {why}")


def _zip(files: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return file.getvalue()


def test_an_archive_is_wholly_trusted_or_refused_by_name(packed: bytes, key: Ed25519PrivateKey) -> None:
    trust = [public_key(Ed25519PrivateKey.generate()), public_key(key)]
    archive = read_archive(packed, trust)
    assert archive.signer == trust[1]
    files = {**archive.files}
    wrong: dict[str, list[bytes]] = {
        "untrusted": [_zip(files | {SIGNATURE: bytes(64)}), _zip(files | {CHECKSUMS: b"else"})],
        "unsigned": [_zip({name: files[name] for name in ("entry.py", CHECKSUMS)})],
        "altered": [_zip(files | {"entry.py": b"else"}), _zip(files | {"more.py": b""})],
        "layout": [_zip(files | {name: b""}) for name in ("../out.py", "/out.py", "a/../b.py", ".hidden", "a\\b.py")],
        "too_large": [_zip(files | {"bomb": bytes((64 << 20) + 1)})],
        "malformed": [b"", packed[:-30], packed.replace(b"PK\x03\x04", b"PK\x03\x05", 1)],
    }
    for reason, contents in wrong.items():
        for content in contents:
            with pytest.raises(BundleRefused) as refused:
                read_archive(content, trust)
            assert refused.value.reason == reason, refused.value
    with pytest.raises(BundleRefused):
        read_archive(packed, trust[:1])


def test_a_program_is_packed_and_signed_by_a_command(tmp_path: Path) -> None:
    create_key(tmp_path / "key.pem")
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "entry.py").write_text("def main(job): pass\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "entry.pyc").write_bytes(b"")
    words = ["archive", str(folder), "--key", str(tmp_path / "key.pem"), "-o", str(tmp_path / "a.zip"), "--json"]
    told = json.loads(CliRunner().invoke(app, words).output)
    assert set(read_archive((tmp_path / "a.zip").read_bytes(), [told["public_key"]]).files) == {
        "entry.py",
        CHECKSUMS,
        SIGNATURE,
    }
    (folder / "link").symlink_to("/etc/passwd")
    refused = CliRunner().invoke(app, [*words, "--lang", "en"])
    assert refused.exit_code == 2
    assert "link" in refused.output


def _laid(folder: Path, packed: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / ARCHIVE).write_bytes(packed)
    (folder / f"{INPUT}a.txt").write_text("some input")
    return folder


def _order(key: Ed25519PrivateKey, entry: str, parameters: dict[str, Any], **more: Any) -> PythonTask:
    return PythonTask(entry, public_key(key), ["a.txt"], parameters, **more)


def test_a_program_goes_on_from_its_checkpoint_wherever_it_was_cut_off(
    tmp_path: Path, packed: bytes, key: Ed25519PrivateKey
) -> None:
    order, said = _order(key, "entry:main", {"count": 6}), list[dict[str, Any]]()
    whole = _laid(tmp_path / "whole", packed)
    assert run_archive(order, whole, said.append) == {"steps": 6, "mean": 2.5}
    assert {"checkpoint": 6} in said
    assert said[-2] == {"stage": "run", "done": 6, "all": 6}

    cut = _laid(tmp_path / "cut", packed)

    def stop(line: dict[str, Any]) -> None:
        if line.get("checkpoint") == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_archive(order, cut, stop)
    kept = unzipped((cut / STATE).read_bytes(), 1 << 20)
    assert kept["state/step"] == b"3"
    again = _laid(tmp_path / "again", packed)
    (again / STATE).write_bytes((cut / STATE).read_bytes())
    said.clear()
    run_archive(order, again, said.append)
    assert said[1]["done"] == 4
    outputs = [(folder / f"{OUTPUT}sums.txt").read_bytes() for folder in (whole, again)]
    assert outputs[0] == outputs[1]
    assert not [path for path in again.iterdir() if path.is_dir()], "nothing of the walls is left"

    (again / STATE).write_bytes(zip_of({"elsewhere/x": b""}))
    with pytest.raises(ModelError):
        run_archive(order, again, said.append)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("read", "hostile.py, line 9: FileNotFoundError"),
        ("connect", "hostile.py, line 12: OSError: [Errno 101]"),
        ("fork", "it may not start more processes"),
        ("fill", "a file may not become that large"),
        ("swap", "outputs/passwd is no regular file"),
        ("kill", "ProcessLookupError"),
        ("sleep", "it ran for more than 1.5 s"),
        ("eat", "it needs more than 256 MiB"),
        ("leave", "its process ended by 0"),
        ("lie", "it says what nobody understands"),
    ],
)
def test_what_would_rather_be_elsewhere_is_stopped_by_name(
    tmp_path: Path, packed: bytes, key: Ed25519PrivateKey, entry: str, words: str
) -> None:
    secret = tmp_path / "worker.key"
    secret.write_text("secret")
    limits = Limits(memory=256 << 20) if entry == "eat" else Limits()
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        parameters = {"secret": str(secret), "port": there.getsockname()[1], "pid": os.getpid()}
        order = _order(key, f"hostile:{entry}", parameters, disk=32 << 20, time_s=1.5, limits=limits)
        with pytest.raises(ModelError) as stopped:
            run_archive(order, _laid(tmp_path / "task", packed), lambda _: None)
    assert words in str(stopped.value)
    assert stopped.value.zh
    assert not psutil.Process().children(recursive=True), "nothing of it lives on"


def test_computing_time_is_limited(tmp_path: Path, packed: bytes, key: Ed25519PrivateKey) -> None:
    folder = _laid(tmp_path / "task", packed)
    order = _order(key, "hostile:spin", {}, limits=Limits(cpu_s=1))
    (folder / "task.json").write_bytes(msgspec.json.encode(order))
    command = [sys.executable, "-P", "-m", "models.task_child", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        said = child.stdout.readlines()
    assert "beyond its computing time" in json.loads(said[-1])["failed"]["en"]


def test_walls_that_do_not_hold_are_noticed() -> None:
    alone = ["unshare", "--user", "--map-root-user"]
    look = [sys.executable, "-P", "-c", "from models.archive_run import prove; print(prove())"]
    # Root's own processes are never counted, in whatever namespace; and where nobody may have one, there are no walls at all.
    for limited, why in (
        ("", "start processes without end"),
        ("echo 0 > /proc/sys/user/max_user_namespaces;", "cannot wall it"),
    ):
        command = [*alone, "sh", "-c", f'{limited} exec "$@"', "-", *look]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert why in done.stdout
