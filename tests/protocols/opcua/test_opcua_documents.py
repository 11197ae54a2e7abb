"""The room's sample and quality ladder say what is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import protocols.opcua
from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.validation import validate

ROOM = Path(protocols.opcua.__file__).parent
ROOT = Path(__file__).parents[3]


def test_the_sample_is_valid_and_names_every_option() -> None:
    text = (ROOM / "sample.toml").read_text(encoding="utf-8")
    (device,) = tomllib.loads(text)["device"]
    validate(OpcuaConnection, device["connection"], "device[1].connection")
    for table in device["point"]:
        point = validate(OpcuaPoint, table, "device[1].point")
        assert point.property is None or load_dictionary().entry(point.property)
    for option in {**OpcuaConnection.model_fields, **OpcuaPoint.model_fields}:
        assert any(line.lstrip("# ").startswith(f"{option} =") for line in text.splitlines()), option


def test_the_commented_options_are_valid_with_the_defaults_they_show() -> None:
    lines = (ROOM / "sample.toml").read_text(encoding="utf-8").splitlines()
    shown = tomllib.loads("\n".join(line[2:] for line in lines if line.startswith("# ")))
    user = {name: shown.pop(name) for name in ("user_certificate", "user_key")}
    OpcuaConnection.model_validate({"endpoint": "opc.tcp://plc", "security": "none", **user})
    connection = OpcuaConnection.model_validate({"endpoint": "opc.tcp://plc", "security": "none", **shown})
    default = OpcuaConnection.model_validate({"endpoint": "opc.tcp://plc", "security": "none"})
    examples = ("user", "password", "profile", "per_request", "sampling_s", "queue_size", "machine")
    assert connection.model_copy(update=dict.fromkeys(examples)) == default


def test_paths_are_relative_to_the_file_and_errors_name_their_key(tmp_path: Path) -> None:
    fields = {"endpoint": "opc.tcp://plc", "security": "none", "trust_dir": "machines", "key": "/etc/agent/key.pem"}
    connection = validate(OpcuaConnection, fields, "device[2].connection", tmp_path)
    assert connection.trust_dir == tmp_path / "machines"
    assert connection.certificate == tmp_path / "pki" / "own" / "certificate.der"
    assert connection.key == Path("/etc/agent/key.pem")
    for table, said in (
        ({"endpoint": "opc.tcp://plc"}, "device[2].connection.security: the security of the connection is not chosen"),
        ({"endpoint": "opc.tcp://plc", "securty": "none"}, "device[2].connection.securty: unknown key 'securty'"),
        ({"endpoint": "plc", "security": "none"}, "device[2].connection.endpoint: 'plc' is not an OPC UA address"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            validate(OpcuaConnection, table, "device[2].connection", tmp_path)


def test_every_met_rule_names_a_test_that_exists() -> None:
    ladder = tomllib.loads((ROOM / "quality.toml").read_text(encoding="utf-8"))
    for rule, test in ladder["met"].items():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), rule
    assert all(len(reason) > 10 for reason in ladder["not_met"].values())
