"""The report says what is set up, what is not mapped, and what was found - and tells no secret."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.check import Finding
from edge_agent.config import parse_config
from edge_agent.identity import Identity
from edge_agent.ui.report import Facts, report_html
from protocols.text import Text

CONFIG = """
[agent]
name = "<b>box"
[cloud]
url = "https://cloud.example.com"
[[device]]
name = "press-1"
protocol = "opcua"
[device.connection]
endpoint = "opc.tcp://192.168.1.30:4840/x"
security = "none"
user = "op"
password = "s3cret-word"
[[device.point]]
name = "melt"
node = "nsu=urn:x;s=Melt"
property = "melt_temperature"
[[device.point]]
name = "unknown thing"
node = "nsu=urn:x;s=Thing"
"""
FINDINGS = [
    Finding("press-1", "ok", Text("2 points read", "已读取 2 个点")),
    Finding("clock", "look", Text("off", "有偏差"), Text("set it", "请校准")),
    Finding("cloud", "wrong", Text("away", "断开"), Text("plug it in", "请接好网线")),
]


def report(language: str, tmp_path: Path) -> str:
    facts = Facts(
        parse_config(CONFIG, tmp_path / "agent.toml"), CONFIG, Identity("a", "Works", "Hall 1", "https://cloud.example.com"),
        None, FINDINGS, datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    return report_html(facts, language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", ("Melt temperature", "set it", "plug it in", "not running")), ("zh", ("熔体温度", "请校准", "请接好网线", "未运行"))],
)  # fmt: skip
def test_it_says_all_there_is_to_say(language: str, said: tuple[str, ...], tmp_path: Path) -> None:
    page = report(language, tmp_path)
    for words in (*said, "press-1", "192.168.1.30", "unknown thing", "Works / Hall 1"):
        assert words in page


def test_it_needs_nothing_else_and_tells_no_secret(tmp_path: Path) -> None:
    page = report("en", tmp_path)
    assert "s3cret-word" not in page
    assert not re.search(r"<(script|link|img|iframe)|src=|href=|url\(", page)
    assert "<b>box" not in page
    assert "&lt;b&gt;box" in page
