"""`make bench`: measures every speed beside its peer, writes .bench/<name>.json and prints one table.

Names given as arguments choose benchmarks: `python -m tests.benchmarks.run modbus_read`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.benchmarks.comparison import NotHere

BENCHMARKS = (
    "modbus_read",
    "opcua_subscription",
    "buffer_write",
    "ingest",
    "ingest_timescale",
    "reconnect",
    "scale",
    "replica",
    "backlog",
    "chart",
    "export",
    "overview",
    "paint",
    "alarms",
    "decision",
    "ledger",
    "recall",
    "wall",
    "rented",
    "remote",
    "interruptions",
)
OUT = Path(".bench")


def main(names: tuple[str, ...]) -> None:
    console = Console()
    table = Table("benchmark", "unit", "ours", "peer", "ratio", "what the peer is", box=None, header_style="bold")
    for column in (2, 3, 4):
        table.columns[column].justify = "right"
    OUT.mkdir(exist_ok=True)
    for name in names:
        with console.status(f"measuring {name}"):
            try:
                result = import_module(f"tests.benchmarks.{name}").measure()
            except NotHere as reason:
                console.print(f"{name} is not measured: {reason}")
                continue
        (OUT / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
        table.add_row(
            name, result.unit, f"{result.ours:,.0f}", f"{result.peer:,.0f}", f"{result.ratio:.2f}", result.what
        )
    console.print(table)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or BENCHMARKS)
