"""What the cloud is deployed with fits the cloud: commands, ports, probes, variables, files; placeholders are refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import typer.main
import yaml

from cloud.cli import app
from tests.architecture.conftest import ROOT
from tests.architecture.local_wheels import make_light

CLOUD = ROOT / "deploy" / "cloud"
UNIT = CLOUD / "sunmao-cloud.service"
SCRIPTS = sorted([*(ROOT / "deploy").glob("*.sh"), *CLOUD.glob("*.sh"), *(ROOT / "deploy" / "edge").glob("*.sh")])
READ_BY_SERVER = {"SUNMAO_DSN", "FORWARDED_ALLOW_IPS"}
"""Variables that the command line reads, and uvicorn below it."""


def manifests() -> dict[tuple[str, str], Any]:
    """Return what stands in the folder for Kubernetes, by kind and name."""
    found = {}
    for path in sorted((CLOUD / "kubernetes").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text("utf-8")):
            found[each["kind"], each.get("metadata", {}).get("name", "")] = each
    return found


def served(words: list[str]) -> dict[str, Any]:
    """Return the options of `serve` in a command; fails if the command line does not take them."""
    command: Any = typer.main.get_command(app)
    return dict(command.commands["serve"].make_context("serve", words[words.index("serve") + 1 :]).params)


def image() -> dict[str, list[str]]:
    """Return the instructions of the Dockerfile that are written as JSON."""
    text = (CLOUD / "Dockerfile").read_text("utf-8")
    return {name: json.loads(words) for name, words in re.findall(r"^(ENTRYPOINT|CMD) (\[.*\])$", text, re.M)}


def test_every_way_serves_with_options_the_command_takes() -> None:
    in_image = served(image()["CMD"])
    unit = re.search(r"^ExecStart=(.+)$", UNIT.read_text("utf-8"), re.M)
    assert unit is not None
    on_machine = served(shlex.split(unit[1]))
    pod = manifests()["Deployment", "sunmao-cloud"]["spec"]["template"]["spec"]["containers"][0]
    in_pod = served(pod["args"])
    assert on_machine["host"] == "127.0.0.1", "nobody but the proxy reaches it"
    assert {each["port"] for each in (in_image, on_machine, in_pod)} == {8000}
    assert (in_image["data"], in_pod["data"]) == (Path("/data"), Path("/data"))
    assert in_pod["cold_store"].removeprefix("file://") in [mount["mountPath"] for mount in pod["volumeMounts"]]


def test_compose_fits_the_image_and_has_no_secret_of_its_own() -> None:
    text = (CLOUD / "compose.yaml").read_text("utf-8")
    services = yaml.safe_load(text)["services"]
    cloud = services["cloud"]
    assert set(cloud["environment"]) == READ_BY_SERVER
    assert "ports" not in cloud
    assert "ports" not in services["database"]
    assert (CLOUD / cloud["build"]["context"] / cloud["build"]["dockerfile"]).is_file()
    for mount in (mount for service in services.values() for mount in service["volumes"]):
        if mount.startswith("./"):
            assert (CLOUD / mount.split(":")[0]).is_file(), mount
    assert "127.0.0.1:8000/readyz" in cloud["healthcheck"]["test"][-1]
    asked = set(re.findall(r"\$\{(\w+)", text))
    assert re.findall(r"\$\{\w+(?!:\?|\w)", text) == [], "what is not set stops it, instead of a default"
    assert set(re.findall(r"^(\w+)=", (CLOUD / "settings.env.example").read_text("utf-8"), re.M)) == asked
    proxy = (CLOUD / "Caddyfile").read_text("utf-8")
    assert set(re.findall(r"\{\$(\w+)[:}]", proxy)) == set(services["proxy"]["environment"])
    assert "dynamic a {$SUNMAO_UPSTREAM} 8000" in proxy
    assert services["proxy"]["environment"]["SUNMAO_UPSTREAM"] in services


def test_what_kubernetes_is_told_fits_together() -> None:
    found = manifests()
    listed = found.pop(("Kustomization", ""))
    assert set(listed["resources"]) == {path.name for path in (CLOUD / "kubernetes").glob("*")} - {"kustomization.yaml"}
    deployment = found["Deployment", "sunmao-cloud"]["spec"]
    pod = deployment["template"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    service = found["Service", "sunmao-cloud"]["spec"]
    budget = found["PodDisruptionBudget", "sunmao-cloud"]["spec"]
    assert service["selector"] == labels == deployment["selector"]["matchLabels"] == budget["selector"]["matchLabels"]
    (container,) = pod["containers"]
    (port,) = container["ports"]
    assert service["ports"][0]["targetPort"] == port["name"]
    backend = found["Ingress", "sunmao-cloud"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == ("sunmao-cloud", service["ports"][0]["name"])
    assert {each["name"] for each in container["env"]} == READ_BY_SERVER
    key = container["env"][0]["valueFrom"]["secretKeyRef"]
    assert key["key"] in found["Secret", key["name"]]["stringData"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    for each in (*pod["initContainers"], container):
        assert each["image"] == "sunmao-cloud"
        assert {mount["name"] for mount in each["volumeMounts"]} <= set(volumes)
    assert ("Secret", volumes["given"]["secret"]["secretName"]) in found
    assert ("PersistentVolumeClaim", volumes["cold"]["persistentVolumeClaim"]["claimName"]) in found
    routes = (ROOT / "cloud" / "app.py").read_text("utf-8")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert f'@app.get("{container[probe]["httpGet"]["path"]}"' in routes
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="KUBECTL IS MISSING: kustomization.yaml is not built")
def test_kustomize_puts_all_of_it_into_one_namespace() -> None:
    built = subprocess.run(["kubectl", "kustomize", CLOUD / "kubernetes"], capture_output=True, text=True, check=True)
    found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(built.stdout)}
    assert set(found) == set(manifests()) - {("Kustomization", "")}
    (own,) = (name for kind, name in found if kind == "Namespace")
    placed = {each["metadata"].get("namespace") for (kind, _), each in found.items() if kind != "Namespace"}
    assert placed == {own}
    pod = found["Deployment", "sunmao-cloud"]["spec"]["template"]["spec"]
    assert all(":" in each["image"] for each in (*pod["initContainers"], *pod["containers"])), "a version is named"


def test_placeholders_and_empty_variables_are_refused(tmp_path: Path) -> None:
    found = manifests()
    dsn = found["Secret", "sunmao-cloud"]["stringData"]["dsn"]
    compose = yaml.safe_load((CLOUD / "compose.yaml").read_text("utf-8"))["services"]["cloud"]["environment"][
        "SUNMAO_DSN"
    ]
    sample = dict(re.findall(r"^(\w+)=(.*)$", (CLOUD / "settings.env.example").read_text("utf-8"), re.M))
    for given in (dsn, re.sub(r"\$\{(\w+)[^}]*\}", lambda asked: sample[asked[1]], compose), "", " "):
        status, said = _serve(tmp_path, given)
        assert (status, said.count("\n"), "SUNMAO_DSN" in said) == (2, 1, True), said
    assert list(tmp_path.iterdir()) == [], "nothing is begun"
    for name, content in found["Secret", "sunmao-cloud-files"]["stringData"].items():
        (tmp_path / name).write_text(content, "utf-8")
        (tmp_path / name).chmod(0o600)
    status, said = _serve(tmp_path, "host=127.0.0.1 port=1 user=sunmao")
    assert (status, said.count("\n"), "signing_key" in said) == (2, 1, True), said


def _serve(data: Path, dsn: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from cloud.cli import main; main()", "serve", "--data", data, "--port", "0"],
        env=os.environ | {"SUNMAO_DSN": dsn, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT / "deploy")))
def test_the_scripts_are_sound(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--severity=warning", "--exclude=SC2034,SC2154,SC1090", script], check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_right_and_shut_in(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.M)
    unit.write_text(text, "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []
    rated = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]
    done = subprocess.run(rated, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.fixture
def root() -> Iterator[Path]:
    # Not pytest's own folder: the user PostgreSQL runs as has to reach it.
    with TemporaryDirectory(prefix="sunmao-test-") as name:
        yield Path(name)


@pytest.mark.timeout(240)
def test_it_installs_refuses_what_does_not_start_and_keeps_the_data(cloud_wheels: Path, root: Path) -> None:
    wheels = shutil.copytree(cloud_wheels, root / "wheels", copy_function=os.link)
    _seal(wheels)
    status, said = _install(root, "--wheels", wheels, "--python", sys.executable)
    assert status == 0, said
    command = root / "usr" / "local" / "bin" / "sunmao-cloud"
    made = subprocess.run(
        [command, "tenant", "create", "--name", "Works", "--json"], capture_output=True, text=True, check=True
    )
    assert "tenant_id" in json.loads(made.stdout)
    kept = root / "var" / "lib" / "sunmao-cloud"
    settings = root / "etc" / "sunmao-cloud" / "cloud.env"
    for secret in (settings, kept / "sunmao-data" / "secrets.json"):
        assert secret.stat().st_mode & 0o077 == 0

    settings.write_text("SUNMAO_DSN=\n", "utf-8")
    # Refused before the rest of the extra is imported.
    make_light(
        next(wheels.glob("sunmao_iiot-*.whl")), ("fastapi", "platformdirs", "psutil", "psycopg", "yoyo-migrations")
    )
    _seal(wheels)
    status, said = _install(root, "--wheels", wheels, "--python", sys.executable)
    assert (status, "nothing was changed" in said, "SUNMAO_DSN" in said) == (1, True, True), said
    assert len(list((root / "opt" / "sunmao-cloud" / "releases").iterdir())) == 1

    assert _install(root, "--uninstall")[0] == 0
    assert (kept.exists(), settings.exists(), command.exists()) == (True, True, False)
    assert _install(root, "--uninstall", "--purge")[0] == 0
    assert (kept.exists(), settings.exists()) == (False, False)


def _seal(wheels: Path) -> None:
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(wheels.glob("*.whl"))]
    (wheels / "SHA256SUMS").write_text("".join(lines), "utf-8")


def _install(root: Path, *arguments: str | Path) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        ["sh", CLOUD / "install.sh", "--root", root, *arguments],
        env=kept | {"LC_ALL": "C.UTF-8", "PIP_NO_CACHE_DIR": "1", "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
