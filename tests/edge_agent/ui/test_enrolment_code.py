"""The code of an enrolment, from a link or a photograph."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from edge_agent.ui.enrolment_code import read_link, read_photograph
from protocols.errors import ConfigError
from tests.doubles.cloud import CODE
from tests.journeys.technician import photograph_of


@pytest.mark.parametrize(
    "url", ["http://192.168.1.5:8000", "https://cloud.example.com", "https://works.example/sunmao"]
)
def test_a_photograph_gives_address_and_code(url: str) -> None:
    assert read_photograph(photograph_of(url)) == (url, CODE)


@pytest.mark.parametrize(
    "text", ["", "https://cloud.example.com", f"ftp://a/enrol#{CODE}", "https://a/enrol#K7QF", f"/enrol#{CODE}", "WIFI:S:x;;"]
)  # fmt: skip
def test_another_qr_code_is_none(text: str) -> None:
    with pytest.raises(ConfigError):
        read_link(text)


def test_a_picture_without_a_code_says_what_to_do() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (640, 480), "grey").save(stream, "PNG")
    with pytest.raises(ConfigError) as caught:
        read_photograph(stream.getvalue())
    assert caught.value.mend


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(40)])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ConfigError):
        read_photograph(data)
