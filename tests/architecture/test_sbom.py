"""What a release is made of is written down whole, and what must not be in it is found."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, distribution
from pathlib import Path

from deploy import sbom


def test_every_package_is_listed_with_version_hash_and_licence(tmp_path: Path) -> None:
    target = tmp_path / "sunmao.cdx.json"
    assert sbom.main(target) == 0
    found = json.loads(target.read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    listed = {each["name"]: each for each in found["components"]}
    assert {"asyncua", "pymodbus", "fastapi", "psycopg", "nicegui", "onnxruntime", "numpy"} <= listed.keys()
    assert not {"pytest", "ruff", "hypothesis"} & listed.keys(), "what only developers use is not shipped"
    for each in listed.values():
        assert each["hashes"]
        assert each["licenses"][0]["license"]["name"]
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"


class Foreign(Distribution):
    """A package under a licence nobody has accepted, not locked."""

    def read_text(self, filename: str) -> str | None:
        return "Name: foreign\nVersion: 1\nLicense-Expression: AGPL-3.0-only\n" if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path("/nowhere")


def test_what_must_not_be_released_is_named() -> None:
    lock = sbom.locked() | {"httpx": {"0.0.1": ["0" * 64]}}
    found = sbom.faults({"foreign": Foreign(), "httpx": distribution("httpx")}, lock)
    assert [line.split()[0].rstrip(":") for line in found] == ["foreign", "foreign", "httpx"]
    assert "AGPL-3.0-only" in found[1]
    assert "0.0.1 in requirements.lock" in found[2]
