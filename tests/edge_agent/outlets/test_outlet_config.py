"""[[outlet]] in the configuration: the sample is valid, and every mistake is named by its key, in both languages."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import load_config
from edge_agent.outlets.config import (
    CsvConfig,
    FileConfig,
    OutletConfig,
    ParquetConfig,
    Selection,
    SparkplugConfig,
    read_outlets,
)
from protocols.errors import ConfigError
from protocols.mqtt.config import BrokerConnection

HEAD = '[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:8000"\n'
NODE = {
    "kind": "sparkplug",
    "name": "s",
    "group_id": "g",
    "node_id": "n",
    "connection": {"host": "h", "security": "none"},
}
CSV = {"kind": "csv", "name": "c", "folder": "out"}


def test_the_sample_is_valid(tmp_path: Path) -> None:
    sample = files("edge_agent.outlets").joinpath("sample.toml").read_text(encoding="utf-8")
    shown = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line.split("#")[1] else line
        for line in sample.split("\n")
    ]
    assert shown != sample.split("\n")
    for text in (sample, "\n".join(shown)):
        (tmp_path / "agent.toml").write_text(HEAD + text, encoding="utf-8")
        scada, office, archive = load_config(tmp_path / "agent.toml").outlets
        assert isinstance(scada, SparkplugConfig)
        assert isinstance(office, CsvConfig)
        assert isinstance(archive, ParquetConfig)
        assert office.folder == tmp_path / "out" / "csv"
        assert len(archive.columns) == 11


@pytest.mark.parametrize("model", [SparkplugConfig, CsvConfig, ParquetConfig, BrokerConnection])
def test_every_key_is_described(model: type[OutletConfig]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description and name != "kind"] == []


BAD: list[tuple[list[Any], str, str, str]] = [
    ([{"name": "x"}], "outlet[1].kind", "sparkplug, csv, parquet", "缺少"),
    ([{"kind": "mqtt", "name": "x"}], "outlet[1].kind", "no kind of outlet 'mqtt'", "没有这种出口"),
    (["csv"], "outlet[1].kind", "missing", "缺少"),
    ([NODE | {"connection": {"host": "h"}}], "outlet[1].connection.security", "not chosen", "未选择"),
    (
        [NODE | {"connection": {"host": "h", "security": "none", "qos": 1}}],
        "outlet[1].connection.qos",
        "unknown",
        "未知",
    ),
    ([{k: v for k, v in NODE.items() if k != "connection"}], "outlet[1].connection", "missing", "缺少"),
    ([NODE | {"group_id": "a/b"}], "outlet[1].group_id", "'a/b' holds", "主题"),
    ([NODE | {"nod_id": "n"}], "outlet[1].nod_id", "'node_id'", "node_id"),
    ([NODE | {"queue": 10}], "outlet[1].queue", "1000 or more", "不小于"),
    ([NODE], "outlet[1].devices", "'#4' cannot be part of a topic", "不能用于主题"),
    ([NODE | {"devices": ["p*"]}, NODE | {"devices": ["p*"]}], "outlet[2].name", "another outlet", "其他出口"),
    ([CSV, CSV | {"name": "d", "folder": "x/../out"}], "outlet[2].folder", "another outlet", "其他出口"),
    ([CSV | {"columns": ["time", "colour"]}], "outlet[1].columns[2]", "one of", "之一"),
    ([CSV | {"columns": ["time", "time"]}], "outlet[1].columns", "twice", "重复"),
    ([CSV | {"time_zone": "Asia/Atlantis"}], "outlet[1].time_zone", "no time zone", "时区"),
    ([CSV | {"time_zone": "../passwd"}], "outlet[1].time_zone", "no time zone", "时区"),
    ([CSV | {"excel": 1}], "outlet[1].excel", "true or false", "true"),
    ([{"kind": "parquet", "name": "p", "folder": "o", "excel": True}], "outlet[1].excel", "unknown key", "未知"),
]


@pytest.mark.parametrize(
    ("tables", "key", "en", "zh"), BAD, ids=[f"{number} {bad[1]}" for number, bad in enumerate(BAD)]
)
def test_a_mistake_is_named(tmp_path: Path, tables: list[Any], key: str, en: str, zh: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_outlets(tables, ["press", "#4"], tmp_path)
    assert caught.value.key == key
    assert en in caught.value.explain("en")
    assert zh in caught.value.explain("zh")


def test_patterns_choose_devices_and_properties(tmp_path: Path) -> None:
    def chosen(**fields: Any) -> list[tuple[str, str]]:
        (outlet,) = read_outlets([CSV | fields], [], tmp_path)
        assert isinstance(outlet, FileConfig)
        selection = Selection(outlet)
        pairs = [
            ("press-1", "active_power_l1"),
            ("press-1", ""),
            ("press[2]", "temperature"),
            ("mill", "active_power_l1"),
        ]
        return [pair for pair in pairs if selection.point(*pair)]

    assert len(chosen()) == 4
    assert chosen(devices=["press-?"]) == [("press-1", "active_power_l1"), ("press-1", "")]
    assert chosen(devices=["press[2]", "m*"]) == [("press[2]", "temperature"), ("mill", "active_power_l1")]
    assert chosen(properties=["active_*"]) == [("press-1", "active_power_l1"), ("mill", "active_power_l1")]
    assert chosen(devices=["mill"], properties=["temperature"]) == []
