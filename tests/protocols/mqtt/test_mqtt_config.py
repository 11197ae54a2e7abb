"""What may be written of a broker and of a point, and what is said of anything else."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from protocols.errors import ConfigError
from protocols.mqtt.config import MqttConnection, MqttPoint, json_path
from protocols.mqtt.driver import MqttDriver
from protocols.validation import validate

SAMPLE = files("protocols.mqtt").joinpath("sample.toml").read_text(encoding="utf-8")
PLAIN = {"host": "broker", "security": "none"}


def test_the_sample_is_valid_and_names_every_option() -> None:
    (device,) = tomllib.loads(SAMPLE)["device"]
    connection = validate(MqttConnection, device["connection"], "device[1].connection")
    points = [validate(MqttPoint, table, "device[1].point") for table in device["point"]]
    MqttDriver(device["name"], connection, points)
    for option in MqttConnection.model_fields:
        assert any(line.lstrip("# ").startswith(f"{option} =") for line in SAMPLE.splitlines()), option
    own = MqttPoint.model_fields.keys() - {"property", "offset", "codes", "period_s", "description"}
    assert own <= {field for table in device["point"] for field in table}


def test_the_commented_options_are_valid_with_the_defaults_they_show() -> None:
    shown = tomllib.loads("\n".join(line[2:] for line in SAMPLE.splitlines() if re.match(r"# \w+ =", line)))
    connection = MqttConnection.model_validate({"host": "broker", "security": "tls", **shown})
    examples = dict.fromkeys(("ca", "certificate", "key", "user", "password", "client_id", "stale_s", "port"))
    assert connection.broker_port == MqttConnection.model_validate({"host": "b", "security": "tls"}).broker_port
    assert connection.model_copy(update=examples) == MqttConnection.model_validate(
        {"host": "broker", "security": "tls"}
    )


def test_security_has_to_be_chosen() -> None:
    with pytest.raises(
        ConfigError, match='security: the security of the connection is not chosen - write security = "tls"'
    ):
        validate(MqttConnection, {"host": "broker"}, "device[1].connection")
    with pytest.raises(ConfigError, match=re.escape("device[1].connection.securty: unknown key 'securty'")):
        validate(MqttConnection, {"host": "broker", "securty": "tls"}, "device[1].connection")


def test_paths_are_relative_to_the_file_and_errors_name_their_key(tmp_path: Path) -> None:
    fields = {
        "host": "broker",
        "security": "tls",
        "ca": "pki/ca.pem",
        "certificate": "a.pem",
        "key": "/etc/agent/a.key",
    }
    connection = validate(MqttConnection, fields, "device[2].connection", tmp_path)
    assert connection.ca == tmp_path / "pki" / "ca.pem"
    assert connection.key == Path("/etc/agent/a.key")
    with pytest.raises(ConfigError, match=r"^ca: .*ca\.pem cannot be used: No such file"):
        connection.tls()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"topic": "a/+/b"}, "point.topic: 'a/+/b' is not the topic of one message"),
        ({"topic": "$share/g/a"}, "point.topic: '$share/g/a' is not the topic of one message"),
        ({}, "point.topic: a point has either a topic or a Sparkplug source"),
        ({"sparkplug": "g/n"}, "point.metric: sparkplug and metric go together"),
        ({"sparkplug": "g/n/d/x", "metric": "m"}, "point.sparkplug: 'g/n/d/x' is not a Sparkplug source"),
        ({"sparkplug": "g/n", "metric": "m", "value": "v"}, "point.value: a Sparkplug metric has its own"),
        ({"topic": "a", "quality": "q"}, "point.good: quality and good go together"),
        ({"topic": "a", "good": [1.5]}, "point.good[1]: "),
        (
            {"topic": "a", "write": {"min": 0, "max": 9}},
            "point.command_topic: the device takes new values on a topic of",
        ),
        (
            {"topic": "a", "command_topic": "a"},
            "point.command_topic: a command heard as the state would confirm itself",
        ),
        ({"topic": "a", "command_topic": "a/#"}, "point.command_topic: 'a/#' is not the topic of one message"),
        ({"topic": "a", "command_topic": "b", "command": "on"}, "point.command: 'on' has no one place for the value"),
        (
            {"sparkplug": "g/n", "metric": "m", "command_topic": "b"},
            "point.command_topic: a Sparkplug metric has its own",
        ),
    ],
)
def test_a_wrong_point_is_named_by_its_key(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(MqttPoint, {"name": "p", **table}, "point")
    assert str(caught.value).startswith(said)


def test_the_address_names_host_and_port() -> None:
    assert MqttConnection.model_validate(PLAIN).address == "broker:1883"
    assert MqttConnection.model_validate({"host": "::1", "security": "tls"}).address == "[::1]:8883"


def test_a_place_is_a_pointer_or_dotted() -> None:
    assert json_path("") == ()
    assert json_path("zones.0.t") == json_path("/zones/0/t") == ("zones", "0", "t")
    assert json_path("/a.b/c~1d~0") == ("a.b", "c/d~")
