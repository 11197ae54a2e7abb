"""The installer of the edge agent, run for real below a folder of its own: from a folder of wheels, without a network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.conftest import ROOT
from tests.architecture.local_wheels import make_light

INSTALLER = ROOT / "deploy" / "edge" / "install.sh"
UNIT = ROOT / "deploy" / "edge" / "sunmao-edge.service"

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


def install(*arguments: str | Path, language: str = "C.UTF-8") -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        ["sh", INSTALLER, *arguments],
        env=kept | {"LC_ALL": language, "PIP_NO_CACHE_DIR": "1", "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def sealed(folder: Path, key: Path | None = None) -> Path:
    """Write the hashes of a folder of wheels, signed if there is a key."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.glob("*.whl"))]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")
    if key:
        command = ["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", folder / "SHA256SUMS"]
        subprocess.run([*command, "-out", folder / "SHA256SUMS.sig"], check=True)
    return folder


def linked(wheels: Path, folder: Path) -> Path:
    """Return another folder with the same wheels."""
    shutil.copytree(wheels, folder, copy_function=os.link)
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key; its public half is beside it."""
    folder = tmp_path_factory.mktemp("keys")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "private.pem"], check=True)
    public = ["openssl", "pkey", "-in", folder / "private.pem", "-pubout", "-out", folder / "public.pem"]
    subprocess.run(public, check=True)
    return folder / "private.pem"


def test_it_installs_refuses_what_is_wrong_and_keeps_what_runs(wheels: Path, key: Path, tmp_path: Path) -> None:
    root, here = tmp_path / "root", ("--root", tmp_path / "root", "--python", sys.executable)
    good = sealed(linked(wheels, tmp_path / "good"), key)
    unsigned = linked(good, tmp_path / "unsigned")
    (unsigned / "SHA256SUMS.sig").unlink()
    trusted = key.with_name("public.pem")
    assert install("--wheels", unsigned, "--key", trusted, *here)[0] == 1
    assert not root.exists(), "nothing is begun before the folder is trusted"

    status, said = install("--wheels", good, "--key", trusted, *here)
    assert status == 0, said
    current = root / "opt" / "sunmao" / "current"
    first = current.resolve()
    command = root / "usr" / "local" / "bin" / "sunmao-edge"
    shown = subprocess.run([command, "buffer", "stats", "--json"], capture_output=True, text=True, check=False)
    assert "Traceback" not in shown.stderr
    assert (root / "var" / "lib" / "sunmao-edge" / "agent.toml").exists()
    assert not os.access(first / "bin" / "sunmao-edge", os.W_OK) or os.geteuid() == 0
    assert (first / "bin" / "sunmao-edge").stat().st_mode & 0o222 == 0, "code is read-only"

    status, said = install("--wheels", unsigned, *here, language="zh_CN.UTF-8")
    assert (status, "未用受信任的密钥签名" in said) == (1, True), "the key is demanded from now on"
    for spoil in ("changed", "added"):
        folder = linked(good, tmp_path / spoil)
        victim = folder / "msgspec-0-py3-none-any.whl" if spoil == "added" else next(folder.glob("msgspec-*.whl"))
        victim.unlink(missing_ok=True)
        victim.write_bytes(b"rubbish")
        status, said = install("--wheels", folder, *here)
        assert (status, "SHA256SUMS" in said) == (1, True), said

    broken = linked(good, tmp_path / "broken")
    ends_at_once = {"edge_agent/cli.py": b"raise SystemExit(70)\n"}
    make_light(next(broken.glob("sunmao_iiot-*.whl")), changed=ends_at_once)
    status, said = install("--wheels", sealed(broken, key), *here)
    assert (status, "nothing was changed" in said) == (1, True), said
    assert current.resolve() == first
    assert [each.name for each in (root / "opt" / "sunmao" / "releases").iterdir()] == [first.name]

    kept = root / "var" / "lib" / "sunmao-edge"
    assert install("--uninstall", *here[:2])[0] == 0
    assert (kept.exists(), command.exists(), current.exists()) == (True, False, False)
    assert install("--uninstall", "--purge", *here[:2])[0] == 0
    assert not kept.exists()


def test_what_is_asked_wrongly_is_one_line(tmp_path: Path) -> None:
    for arguments in (["--nonsense"], ["--root", tmp_path], ["--root", tmp_path, "--wheels", tmp_path]):
        status, said = install(*arguments)
        assert (status, said.count("\n")) == (2, 1), said


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_right_and_shut_in(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/sunmao/current/bin/sunmao-edge run", "/bin/true"), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []
    rated = ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit]
    done = subprocess.run(rated, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
