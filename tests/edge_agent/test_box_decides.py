"""What the cloud may not decide: which points may be written, and whose models run."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from edge_agent.box_decides import check_from_afar
from edge_agent.config import Config, parse_config
from protocols.errors import ConfigError

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]


def config(
    *, address: int = 0, host: str = "127.0.0.1", write: str = "", keys: list[str] = KEYS[:1], output: str = ""
) -> Config:
    return parse_config(
        f"""
[agent]
name = "a"
allow_writes = true
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "press"
protocol = "modbus"
[device.connection]
host = "{host}"
[[device.point]]
name = "pressure"
table = "holding"
address = {address}
type = "uint16"
{write}
[[inspection]]
device = "camera"
folder = "pictures"
bundle = "bundle"
trust = {keys}
{output}
""",
        Path("agent.toml"),
    )


VIBRATION = f"""[[machine_health]]
device = "motor"
bundle = "motor"
trust = {KEYS[:1]}
waveform = {{ folder = "vibration" }}
"""
CLOCK = '[inspection.camera]\nurl = "http://127.0.0.2/"\n[inspection.trigger]\nperiod_s = 1.0\n'
EJECTS = '[inspection.output]\ndevice = "press"\npoint = "pressure"\nreject = 1'
TO_TEN = "write = { min = 0, max = 10 }"
IN_FORCE = config(write=TO_TEN)


@pytest.mark.parametrize(
    "wanted",
    [IN_FORCE, config(write=""), config(write="", address=7, host="127.0.0.2")],
    ids=["as it is", "permission taken away", "a point nobody writes"],
)
def test_what_opens_nothing_is_taken(wanted: Config) -> None:
    check_from_afar(wanted, IN_FORCE)


@pytest.mark.parametrize(
    ("wanted", "in_force", "key"),
    [
        (IN_FORCE, config(), "device[1].point"),
        (config(output=VIBRATION), config(), "machine_health[1].waveform.folder"),
        (config(write="write = { min = 0, max = 99 }"), IN_FORCE, "device[1].point"),
        (config(write=TO_TEN, address=7), IN_FORCE, "device[1].point"),
        (config(write=TO_TEN, host="127.0.0.2"), IN_FORCE, "device[1].point"),
        (config(write=TO_TEN, keys=KEYS), IN_FORCE, "inspection[1].trust"),
        (config(write=TO_TEN, output=EJECTS), IN_FORCE, "inspection[1].output"),
        (config(write=TO_TEN, output=CLOCK + EJECTS), config(write=TO_TEN, output=EJECTS), "inspection[1].output"),
    ],
    ids=[
        "opened",
        "files of another folder",
        "wider",
        "another register",
        "another machine",
        "another key",
        "a station that writes",
        "by other pictures",
    ],
)
def test_what_opens_something_is_refused(wanted: Config, in_force: Config, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_from_afar(wanted, in_force)
    assert refused.value.key == key
