"""Protocols are found by name: built in, plugged in, missing, or missing their package."""

import subprocess
import sys
from pathlib import Path

import pytest

from protocols.catalogue import BUILT_IN, driver_class, protocol_names, simulator_class
from protocols.driver import ConnectionConfig, PointConfig
from protocols.errors import ConfigError


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_protocol_has_driver_and_simulator(name: str) -> None:
    driver = driver_class(name)
    assert issubclass(driver.Connection, ConnectionConfig)
    assert issubclass(driver.Point, PointConfig)
    assert isinstance(driver.subscribes, bool)
    assert callable(simulator_class(name))


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    probe = "import sys, protocols.catalogue, protocols.library.templates; sys.exit('asyncua' in sys.modules or 'pymodbus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_an_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        driver_class("profinet")
    assert str(caught.value) == "protocol: unknown protocol 'profinet' - choose one of: modbus, mqtt, opcua"
    assert caught.value.explain("zh") == "protocol: 未知协议“profinet” - 可选：modbus, mqtt, opcua"


WITHOUT_PYMODBUS = """
import sys
from protocols.catalogue import driver_class
from protocols.errors import ConfigError
sys.modules["pymodbus"] = None
try:
    driver_class("modbus")
except ConfigError as error:
    print(error.explain("en"), error.explain("zh"), sep="\\n")
"""


def test_a_missing_package_names_the_extra() -> None:
    command = [sys.executable, "-X", "utf8", "-c", WITHOUT_PYMODBUS]
    said = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout.splitlines()
    assert said == [
        "protocol 'modbus' needs the package 'pymodbus' - install sunmao-iiot[edge]",
        "协议“modbus”缺少软件包“pymodbus” - 请安装 sunmao-iiot[edge]",
    ]


def test_a_third_party_plugs_its_protocol_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "abacus_bus.py").write_text("class Driver: ...\nclass Simulator: ...\n")
    metadata = tmp_path / "abacus_bus-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus-bus\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[sunmao.protocols]\nabacus = abacus_bus:Driver\n[sunmao.simulators]\nabacus = abacus_bus:Simulator\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert protocol_names() == ["abacus", "modbus", "mqtt", "opcua"]
    assert driver_class("abacus").__name__ == "Driver"
    assert simulator_class("abacus").__name__ == "Simulator"
