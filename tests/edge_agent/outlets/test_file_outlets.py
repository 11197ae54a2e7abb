"""CSV and Parquet on disk: what is collected is read back, whatever the power, the disk and the user do meanwhile."""

from __future__ import annotations

import asyncio
import csv
import os
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from edge_agent.outlets.config import CsvConfig
from edge_agent.outlets.csv_file import CsvFormat
from edge_agent.outlets.rolling_file import RollingFile
from protocols.errors import ConfigError
from protocols.reading import BAD_TIMEOUT, UNCERTAIN
from tests.edge_agent.conftest import until
from tests.edge_agent.outlets.outlet_stand import T0, at_work, configured, pair

QUICK = {"folder": "out", "flush_s": 0.05}
MIXED = [
    pair("press-1", "power", 12.5, T0, property_code="active_power_total", unit="KWT"),
    pair("press-1", "state", 'said "no",\r\n=stop', T0 + 1),
    pair("press-1", "power", None, T0 + 1_500_000, BAD_TIMEOUT, property_code="active_power_total", unit="KWT"),
    pair("压机", "shots", 2**53 - 1, T0 + 2, UNCERTAIN, unit="C62"),
]


def finished(folder: Path, kind: str = "csv") -> list[Path]:
    return sorted((folder / "out").glob(f"*.{kind}"))


def rows(folder: Path) -> list[list[str]]:
    """All rows of all finished files, without their heads."""
    found = []
    for path in finished(folder):
        with path.open(encoding="utf-8", newline="") as file:
            found += list(csv.reader(file))[1:]
    return found


async def test_csv_is_read_back_as_it_was(tmp_path: Path) -> None:
    columns = ["time", "local_time", "device", "point", "property", "name_zh", "value", "unit", "unit_code", "quality"]
    config = configured(tmp_path, kind="csv", columns=columns, time_zone="Asia/Shanghai", language="zh", **QUICK)
    async with at_work(config, tmp_path, *MIXED) as (outlet, announced):
        await until(lambda: outlet.state().written == 4)
    (path,) = finished(tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    assert head == [
        "时间(UTC)", "本地时间", "设备", "点", "字典代码", "中文名称", "数值", "单位", "单位代码", "质量",
    ]  # fmt: skip
    assert lines == [
        ["2026-01-05T00:00:00.000000Z", "2026-01-05 08:00:00.000", "press-1", "power", "active_power_total", "总有功功率", "12.5", "kW", "KWT", "Good"],
        ["2026-01-05T00:00:00.000001Z", "2026-01-05 08:00:00.000", "press-1", "state", "", "", 'said "no",\r\n=stop', "", "", "Good"],
        ["2026-01-05T00:00:01.500000Z", "2026-01-05 08:00:01.500", "press-1", "power", "active_power_total", "总有功功率", "", "kW", "KWT", "BadTimeout"],
        ["2026-01-05T00:00:00.000002Z", "2026-01-05 08:00:00.000", "压机", "shots", "", "", "9007199254740991", "1", "C62", "Uncertain"],
    ]  # fmt: skip
    assert announced == []
    assert outlet.state().queued == outlet.state().dropped == 0


async def test_for_excel_there_is_a_mark_and_no_formula(tmp_path: Path) -> None:
    columns = ["device", "point", "value"]
    config = configured(tmp_path, kind="csv", columns=columns, excel=True, **QUICK)
    async with at_work(config, tmp_path, pair("=cmd|'/c calc'!A1", "@p", "+1", T0), pair("d", "p", -5, T0)) as (out, _):
        await until(lambda: out.state().written == 2)
    content = finished(tmp_path)[0].read_bytes()
    assert content.startswith(b"\xef\xbb\xbfdevice,point,value\r\n")
    assert rows(tmp_path) == [["'=cmd|'/c calc'!A1", "'@p", "'+1"], ["d", "p", "-5"]]


async def test_parquet_is_read_back_with_its_types(tmp_path: Path) -> None:
    config = configured(tmp_path, kind="parquet", time_zone="Asia/Shanghai", **QUICK)
    async with at_work(config, tmp_path, *MIXED) as (outlet, _):
        await until(lambda: outlet.state().written == 4)
    (path,) = finished(tmp_path, "parquet")
    table = pyarrow.parquet.read_table(path)
    first, second, third, fourth = table.to_pylist()
    assert first == {
        "time": datetime(2026, 1, 5, tzinfo=UTC), "local_time": datetime(2026, 1, 5, 8), "device": "press-1", "point": "power",  # noqa: DTZ001
        "property": "active_power_total", "name_en": "Total active power", "name_zh": "总有功功率", "value": 12.5, "text": None,
        "unit": "kW", "unit_code": "KWT", "quality": "Good",
    }  # fmt: skip
    assert (second["value"], second["text"]) == (None, 'said "no",\r\n=stop')
    assert (third["value"], third["text"], third["quality"]) == (None, None, "BadTimeout")
    assert (fourth["value"], fourth["device"], fourth["quality"]) == (2**53 - 1, "压机", "Uncertain")
    assert os.listdir(tmp_path / "out") == [path.name]


async def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    table = {"kind": "csv", "columns": ["device", "point"], "devices": ["press-*"], "properties": ["active_*"]}
    readings = [*MIXED, pair("press-2", "q", 1.0, property_code="reactive_power"), pair("mill", "p", 1.0)]
    async with at_work(configured(tmp_path, **table, **QUICK), tmp_path, *readings) as (outlet, _):
        await until(lambda: outlet.state().written == 2)
    assert rows(tmp_path) == [["press-1", "power"]] * 2


async def test_files_are_finished_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    table = {"kind": "csv", "columns": ["value"], "rotate_mb": 0.001, "keep_mb": 0.0035}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.csv").write_text("not ours")
    async with at_work(configured(tmp_path, **table, **QUICK), tmp_path) as (outlet, _):
        for turn in range(8):
            outlet.add([pair("d", "p", number, T0 + number) for number in range(turn * 300, turn * 300 + 300)])
            await until(lambda turn=turn: outlet.state().written == turn * 300 + 300)
            await until(lambda: not list((tmp_path / "out").glob("*.part")))
    kept = [path for path in finished(tmp_path) if path.name != "notes.csv"]
    assert 1 <= len(kept) <= 3
    assert sum(path.stat().st_size for path in kept) <= 3500
    assert (tmp_path / "out" / "notes.csv").exists()
    assert kept[-1].read_text().splitlines()[-1] == "2399"


async def test_files_are_finished_by_age_and_old_ones_go(tmp_path: Path) -> None:
    config = configured(tmp_path, kind="csv", columns=["value"], rotate_min=0.001, keep_days=1.0, **QUICK)
    async with at_work(config, tmp_path, pair("d", "p", 1)) as (outlet, _):
        await until(lambda: len(finished(tmp_path)) == 1)
        (first,) = finished(tmp_path)
        long_ago = time.time() - 2 * 86_400
        os.utime(first, (long_ago, long_ago))
        outlet.add([pair("d", "p", 2)])
        await until(lambda: first not in finished(tmp_path) and len(finished(tmp_path)) == 1)
    assert rows(tmp_path) == [["2"]]


@pytest.mark.parametrize(
    ("kind", "tail"),
    [
        ("csv", b"2026-01-05T00:00:01,d,p"),
        ("csv", b"2026-01-05T00:00:01,d,p,1\r"),
        ("csv", b'1,"open\r\nquote\r\n'),
        ("csv", b"\0" * 5000),
        ("parquet", b'["2026-01'),
        ("parquet", b"\0" * 5000),
    ],
)
async def test_an_unfinished_end_is_cut_off_and_said(tmp_path: Path, kind: str, tail: bytes) -> None:
    config = configured(tmp_path, kind=kind, **QUICK)
    async with at_work(config, tmp_path, *MIXED) as (outlet, _):
        await until(lambda: outlet.state().written == 4)
        (part,) = (tmp_path / "out").glob("*.part")
        torn = part.read_bytes() + tail  # as a power cut leaves it
    for path in finished(tmp_path, kind):
        path.unlink()
    part.write_bytes(torn)
    async with at_work(config, tmp_path) as (_, announced):
        await until(lambda: bool(announced))
    (path,) = finished(tmp_path, kind)
    found = rows(tmp_path) if kind == "csv" else pyarrow.parquet.read_table(path).to_pylist()
    assert len(found) == 4
    assert [sentence[0] for sentence in announced] == ["outlet_cut"]
    assert f"last {len(tail)} bytes" in announced[0][1]


async def test_a_journal_that_makes_no_parquet_is_said_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    poison = tmp_path / "out" / "20260105T000000.000000Z.parquet.part"
    poison.write_text('["no time", 1]\n')
    config = configured(tmp_path, kind="parquet", columns=["time", "value"], **QUICK)
    async with at_work(config, tmp_path, pair("d", "p", 1)) as (outlet, announced):
        await until(lambda: outlet.state().state == "down" and outlet.state().written == 1)
        assert "cannot be finished: 20260105T000000.000000Z.parquet.part: " in outlet.state().reason_en
        poison.unlink()
    assert [kind for kind, _ in announced] == ["outlet_down"]
    (path,) = finished(tmp_path, "parquet")
    assert pyarrow.parquet.read_table(path).column("value").to_pylist() == [1.0]


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.edge_agent.outlets.outlet_stand import at_work, configured, pair

async def main(folder, kind):
    config = configured(folder, kind=kind, folder="out", flush_s=0.05, rotate_mb=0.08, columns=["value", "point"])
    async with at_work(config, folder) as (outlet, _):
        number, told = 0, 0
        while True:
            if number < 7000:
                outlet.add([pair("d", f"text {n}", n) for n in range(number, number + 50)])
                number += 50
            await asyncio.sleep(0.001)
            if outlet.state().written > told:
                told = outlet.state().written
                print(told, flush=True)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_kill_9_takes_nothing_that_was_called_written(tmp_path: Path, kind: str) -> None:
    killed = 0
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, tmp_path, kind, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        told = 0
        while told < 4000:
            told = int(await process.stdout.readline())
        process.kill()
        rest, _ = await process.communicate()
        killed += int(rest.split()[-1]) if rest.split() else told
    async with at_work(configured(tmp_path, kind=kind, columns=["value", "point"], **QUICK), tmp_path) as (_, _):
        await until(lambda: not [path for path in os.listdir(tmp_path / "out") if path.endswith((".part", ".tmp"))])
    found: list[float]
    if kind == "csv":
        found = [float(value) for value, _ in rows(tmp_path)]
    else:
        tables = [pyarrow.parquet.read_table(path) for path in finished(tmp_path, kind)]
        found = [value for table in tables for value in table.column("value").to_pylist()]
    assert len(found) >= killed
    second = found.index(0.0, 1)
    assert found == [float(n) for n in range(second)] + [float(n) for n in range(len(found) - second)]


async def test_a_disk_that_takes_nothing_is_said_once_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    async with at_work(configured(tmp_path, kind="csv", columns=["value"], **QUICK), tmp_path, *MIXED) as (out, said):
        await until(lambda: "cannot be written" in out.state().reason_en)
        assert out.state().queued == 4
        (tmp_path / "out").unlink()
        await until(lambda: out.state().written == 4 and out.state().state == "up")
    assert [kind for kind, _ in said] == ["outlet_down", "outlet_back"]
    assert len(rows(tmp_path)) == 4


def test_a_write_the_disk_takes_in_part_leaves_no_half_line(tmp_path: Path) -> None:
    config = configured(tmp_path, kind="csv", folder="out", columns=["value"])
    assert isinstance(config, CsvConfig)
    file = RollingFile(config.folder, CsvFormat(config), 10**6, 3600)
    file.append([["first"]])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as on a full disk, the write ends half way
    try:
        with pytest.raises(OSError, match="File too large"):
            file.append([["x" * 50]] * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file.append([["second"]])
    file.close()
    file.finish()
    assert rows(tmp_path) == [["first"], ["second"]]


async def test_what_finds_no_place_is_counted_and_said_once(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    config = configured(tmp_path, kind="csv", columns=["value"], queue=1000, **QUICK)
    async with at_work(config, tmp_path) as (outlet, announced):
        outlet.add([pair("d", "p", number) for number in range(2500)])
        await until(lambda: len(announced) == 2)
        assert (outlet.state().queued, outlet.state().dropped) == (1000, 1500)
        outlet.add([pair("d", "p", number) for number in range(2500, 2600)])
        (tmp_path / "out").unlink()
        await until(lambda: outlet.state().written == 1000 and outlet.state().state == "up")
    assert [int(value) for (value,) in rows(tmp_path)] == list(range(1600, 2600))
    assert [kind for kind, _ in announced] == ["outlet_down", "outlet_dropped", "outlet_back"]


async def test_a_file_deleted_while_open_is_begun_anew(tmp_path: Path) -> None:
    config = configured(tmp_path, kind="csv", columns=["value"], **QUICK)
    async with at_work(config, tmp_path, pair("d", "p", 1)) as (outlet, announced):
        await until(lambda: outlet.state().written == 1)
        for part in (tmp_path / "out").glob("*.part"):
            part.unlink()
        outlet.add([pair("d", "p", 2)])
        await until(lambda: outlet.state().written == 2)
    assert rows(tmp_path) == [["2"]]
    assert announced == []


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_agent.outlets import parquet_file
    from edge_agent.outlets.outlets import make_outlet

    monkeypatch.setattr(parquet_file, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs the package 'pyarrow' - install sunmao-iiot\[parquet\]"):
        make_outlet(configured(tmp_path, kind="parquet", folder="out"), tmp_path, lambda *_: None)
