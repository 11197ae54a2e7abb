"""Onboarding by spreadsheet: 1,000 tags from a server to the configuration, machine time of every step.

browse -> workbook -> edited (as CSV of a Chinese Windows) -> dry run -> import -> export -> import of what was exported.
`python -m tests.benchmarks.point_lists` prints seconds; edge-anchors 6.18 allows five minutes for all, the person included.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from protocols.opcua.config import OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator

TAGS = 1000
LIMIT_S = 300.0
_COMMAND = Path(sys.executable).with_name("sunmao-edge")
_WHAT = (("温度", "CEL"), ("压力", "BAR"), ("电流", "AMP"), ("电压", "VLT"), ("速度", None))
_CONFIG = '[agent]\nname = "bench"\n[cloud]\nurl = "http://127.0.0.1:1"\n'


async def main() -> None:
    points = [
        OpcuaPoint(
            name=f"p{number}",
            node=f"nsu=urn:line;s=线{number // 100}.机{number // 10 % 10}.{_WHAT[number % 5][0]}{number}",
            unit=_WHAT[number % 5][1],
            low=0,
            high=100 + number,
        )
        for number in range(TAGS)
    ]
    simulator = OpcuaSimulator(points, lambda: {point.name: 1.5 for point in points})
    endpoint = await simulator.start()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agent.toml").write_text(_CONFIG, "utf-8")
        reach = ("--connection", f"endpoint={endpoint}", "--connection", "security=none")
        spent = [await step(folder, "browse", endpoint, "--connection", "security=none", "--out", "list.csv")]
        edit(folder / "list.csv", folder / "edited.csv")
        again = ("import", "--points", "edited.csv", "--device", "line")
        spent.append(await step(folder, *again, *reach, "--dry-run", counts={"added": TAGS}))
        spent.append(await step(folder, *again, *reach, counts={"added": TAGS}))
        spent.append(await step(folder, "export", "--device", "line", "--out", "back.xlsx"))
        spent.append(
            await step(folder, "import", "--points", "back.xlsx", "--device", "line", counts={"unchanged": TAGS})
        )
    await simulator.stop()
    sys.stdout.write(f"{'all':40} {sum(spent):6.1f} s of {LIMIT_S:.0f} s\n")


async def step(folder: Path, *arguments: str, counts: dict[str, int] | None = None) -> float:
    """Run one command to its end and print how long it took; `counts` is what an import has to find."""
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        _COMMAND, *arguments, "--json", cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    spent = time.monotonic() - begun
    if process.returncode or (counts and not counts.items() <= json.loads(out)["counts"].items()):
        raise SystemExit(f"{arguments}: {process.returncode} {out[:500]!r}")
    sys.stdout.write(f"{' '.join(arguments[:4])[:40]:40} {spent:6.1f} s\n")
    return spent


def edit(path: Path, edited: Path) -> None:
    """Change every tenth range and save it as a spreadsheet on a Chinese Windows does."""
    rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    high = rows[0].index("high")
    for number, row in enumerate(rows[1:]):
        row[high] = "９９９" if number % 10 == 0 else row[high]
    with edited.open("w", newline="", encoding="gb18030") as file:
        csv.writer(file, delimiter=";").writerows(rows)


if __name__ == "__main__":
    asyncio.run(main())
