"""The import table of docs/architecture.md, as contracts of import-linter in pyproject.toml, each broken once on purpose."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocols", "models", "edge_agent", "cloud")
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
CONTRACTS = [contract["name"] for contract in TABLE]
HOUSED = {library for contract in TABLE for library in contract.get("protected_modules", [])}
SHARED = {"cryptography", "msgspec", "numpy", "pydantic", "pydantic_core"}
"""Libraries every room may use: they hold data and keys, and no room is about them."""

BROKEN = {
    "edge_agent and cloud stand on models and protocols, and never on each other": (
        "protocols/uplink/planted.py",
        "import models",
    ),
    "a driver never imports a sibling": ("protocols/modbus/planted.py", "import protocols.opcua.config"),
    "the cloud speaks to agents, never to devices": ("cloud/telemetry/planted.py", "import protocols.modbus.driver"),
    "the rooms of the cloud, from the page down to the core": ("cloud/core/planted.py", "import cloud.web"),
    "across cloud domains only the service and the schemas it speaks in": (
        "cloud/quality/planted.py",
        "import cloud.identity.store",
    ),
    "the stages of the agent hand on by way of the sink and the buffer": (
        "edge_agent/inspect/planted.py",
        "import edge_agent.buffer",
    ),
    "the agent runs models and never fits them": ("edge_agent/inspect/planted_fit.py", "import models.vision.fit"),
    "shipped code never imports tests or deploy": ("cloud/planted.py", "import tests"),
    "asyncua lives in protocols.opcua": ("edge_agent/planted.py", "import asyncua"),
    "pymodbus lives in protocols.modbus": ("protocols/planted.py", "from pymodbus.client import AsyncModbusTcpClient"),
    "paho-mqtt lives in protocols.mqtt": ("edge_agent/planted_mqtt.py", "import paho.mqtt.client"),
    "SQL lives in cloud.core and the store of each domain": ("cloud/web/planted.py", "import psycopg"),
    "the web framework lives in the cloud and the technician's pages": ("edge_agent/planted_page.py", "import fastapi"),
    "pages live in cloud.web and edge_agent.ui": ("cloud/fleet/planted.py", "import nicegui"),
    "QR codes live where a box is enrolled: cloud.web and edge_agent.ui": (
        "cloud/web/planted_code.py",
        "import zxingcpp",
    ),
    "ray lives in cloud.compute.engine_ray": ("cloud/compute/planted_ray.py", "import ray"),
    "pinyin is spelled in cloud.core.search": ("cloud/web/planted_pinyin.py", "import pypinyin"),
    "the box's own networks are asked for in edge_agent.ui.networks": ("edge_agent/planted_net.py", "import ifaddr"),
    "typer and rich live in the command lines": ("models/planted.py", "import typer"),
    "HTTP to the cloud is spoken in edge_agent.http_client": (
        "edge_agent/planted_h11.py",
        "import h11",
    ),
    "httpx goes to cameras, second opinions, the platform and identity providers": (
        "edge_agent/inspect/planted_http.py",
        "import httpx",
    ),
    "OpenID Connect lives in cloud.identity.single_sign_on": ("cloud/fleet/planted_oidc.py", "import authlib"),
    "addresses that tenants name are asked by cloud.notify.outbound": (
        "cloud/fleet/planted_post.py",
        "import httpcore",
    ),
    "workbooks are read in edge_agent.onboard.list_file": ("edge_agent/planted_sheet.py", "import python_calamine"),
    "workbooks are written for people, and read from those who fill them in": (
        "edge_agent/planted_book.py",
        "import openpyxl",
    ),
    "configurations are edited in edge_agent.config_edit": ("edge_agent/planted_edit.py", "import tomlkit"),
    "Parquet is written by journal_to_parquet, telemetry and billing": (
        "edge_agent/planted_table.py",
        "import pyarrow",
    ),
    "batches are compressed in protocols.uplink": ("edge_agent/planted_zstd.py", "import zstandard"),
    "passwords and tokens are made by identity and fleet": ("cloud/web/planted_jwt.py", "import joserfc"),
    "public ids are made in the cloud": ("edge_agent/planted_id.py", "import uuid_utils"),
    "the process is measured in cloud.core": ("cloud/fleet/planted_metrics.py", "import prometheus_client"),
    "the cloud fits and runs models in a child only": (
        "cloud/quality/planted_fit.py",
        "from models.vision import fit",
    ),
    "reportlab lives in cloud.reports.pdf and models.vision.report_pdf": (
        "cloud/reports/planted.py",
        "import reportlab",
    ),
    "Asset Administration Shells are written and read in cloud.semantics": (
        "cloud/fleet/planted_shell.py",
        "import basyx.aas",
    ),
    "PyAV lives in edge_agent.inspect.video": ("edge_agent/inspect/planted_video.py", "import av"),
    "ONNX Runtime lives in models.session": ("edge_agent/planted_model.py", "import onnxruntime"),
    "ONNX graphs are written in models.graph and models.vision.export": ("models/planted_onnx.py", "import onnx"),
    "pictures are opened by models.vision, inspection and enrolment": (
        "cloud/quality/planted_pil.py",
        "import PIL",
    ),
}
"""Contract -> a file and the line in it that breaks the contract."""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_the_code_keeps_every_contract() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="module")
def verdict_on_a_broken_copy(tmp_path_factory: pytest.TempPathFactory) -> str:
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, line in BROKEN.values():
        (copy / file).write_text(f"{line}\n")
    return lint(copy).stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_broken_contract_is_caught(contract: str, verdict_on_a_broken_copy: str) -> None:
    assert f"{contract} BROKEN" in verdict_on_a_broken_copy
    planted = Path(BROKEN[contract][0]).with_suffix("").as_posix().replace("/", ".")
    assert planted in verdict_on_a_broken_copy


def homeless_libraries(imported: set[str]) -> list[str]:
    """Return which of the top-level modules `imported` are third-party libraries without a room of their own."""
    return sorted(imported - {*sys.stdlib_module_names, *PACKAGES, *HOUSED, *SHARED})


def test_every_library_has_its_room() -> None:
    graph = grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)
    assert homeless_libraries({module.partition(".")[0] for module in graph.modules}) == []


def test_a_library_without_a_room_is_caught() -> None:
    assert homeless_libraries({"sqlite3", "msgspec", "psycopg", "requests"}) == ["requests"]
