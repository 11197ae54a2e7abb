"""What a broker carries is found by listening: JSON values by their place, Sparkplug metrics by their births."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_agent.onboard.browse_list import browse_points, driver_at
from edge_agent.onboard.point_address import parse_address
from protocols.mqtt.browse import MAX_POINTS, Survey
from protocols.mqtt.config import MqttPoint
from protocols.mqtt.link import Message
from protocols.mqtt.simulator import MqttSimulator
from protocols.reading import now_us
from tests.protocols.mqtt.mqtt_stand import needs_mosquitto, opened, publishing, running


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen for less long than in a plant."""
    monkeypatch.setattr("protocols.mqtt.driver.LISTEN_S", 3.0)


@needs_mosquitto
async def test_a_broker_is_listened_to_and_the_birth_of_a_node_asked_for(briefly: None) -> None:
    points = [
        MqttPoint.model_validate({"name": "t", "sparkplug": "hall/box", "metric": "Temp"}),
        MqttPoint.model_validate({"name": "p", "sparkplug": "hall/box/press", "metric": "Oil/Pressure"}),
    ]
    async with running() as broker, publishing(broker.port) as (link, _):
        simulator = MqttSimulator(
            points, lambda: {"t": 21.5 + now_us() % 7, "p": 140.0}, tick_s=0.1, broker=f"127.0.0.1:{broker.port}"
        )
        await simulator.start()
        link.publish("plant/m1", json.dumps({"t": 5, "zones": [{"on": True}], "a/b": "x"}).encode(), retain=True)
        link.publish("plant/count", b"7", retain=True)
        link.publish("plant/picture", b"\xff\xd8", retain=True)
        driver = driver_at(f"mqtt://127.0.0.1:{broker.port}", {"security": "none"}, Path())
        found = await browse_points(driver)
        await simulator.stop()
    told = {point.address: (point.datatype, point.value) for point in found.points}
    assert {address: told[address] for address in told if address.startswith("plant")} == {
        "plant/m1#/t": ("number", "5"),
        "plant/m1#/zones/0/on": ("bool", "True"),
        "plant/m1#/a~1b": ("text", "x"),
        "plant/count": ("number", "7"),
    }
    assert told["sparkplug:hall/box/press#Oil/Pressure"][1] == "140.0"
    assert "sparkplug:hall/box#Temp" in told
    assert not [address for address in told if "Control" in address or "bdSeq" in address]
    assert all(MqttPoint.model_validate({"name": "x"} | parse_address("mqtt", address)) for address in told)


@pytest.fixture
def allowing() -> Iterator[str]:
    """Settings of a broker that lets its users hear and say what is below open/ only."""
    with TemporaryDirectory() as folder:  # not of pytest: mosquitto gives up root's rights and has to read it
        Path(folder).chmod(0o755)
        allowed = Path(folder, "acl")
        allowed.write_text("topic readwrite open/#\n")
        allowed.chmod(0o644)
        yield f"allow_anonymous true\nacl_file {allowed}"


@needs_mosquitto
async def test_a_user_who_may_not_hear_everything_hears_what_it_may(briefly: None, allowing: str) -> None:
    async with running(allowing) as broker, publishing(broker.port) as (link, _), opened(broker.port) as driver:
        link.publish("open/a", b"1", retain=True)
        link.publish("shut/b", b"2", retain=True)
        assert [point.path async for point in driver.browse()] == ["open/a"]


def test_a_survey_is_bounded_and_tells_each_point_once() -> None:
    survey = Survey()
    message = Message("t", json.dumps({str(number): number for number in range(300)}).encode(), 0)
    survey.take([message, message])
    assert len(survey.news()) == 200
    assert survey.news() == []
    for number in range(MAX_POINTS):
        survey.take([Message(f"t/{number}", b"1", 0)])
    assert len(survey.news()) == MAX_POINTS - 200
    survey.take([Message("spBv1.0/g/NDATA/n", b"", 0), Message("spBv1.0/g/NBIRTH/n", b"\xff", 0)])
    assert survey.unborn == set()
