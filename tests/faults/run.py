"""`make faults`: runs every test marked `faults`; prints one table of what was done and what came of it.

A run of all of them that is green also writes the table into docs/reliability.md. The figure of a row is what its test gave to
pytest's `record_property("figure", ...)`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console
from rich.table import Table

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- make faults writes from here -->", "<!-- to here -->"


class Row(NamedTuple):
    """What came of one test."""

    outcome: str = "passed"
    seconds: float = 0.0
    figure: str = ""


class Ledger:
    """Collects, as a pytest plug-in, one row per test under the first line of its docstring."""

    def __init__(self) -> None:
        self.titles: dict[str, str] = {}
        self.rows: dict[str, Row] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        doc = getattr(getattr(item, "function", None), "__doc__", None) or item.name
        callspec = getattr(item, "callspec", None)
        self.titles[item.nodeid] = doc.strip().splitlines()[0] + (f": {callspec.id}" if callspec else "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self.rows.get(report.nodeid, Row())
        self.rows[report.nodeid] = Row(
            report.outcome if report.outcome != "passed" else before.outcome,
            before.seconds + report.duration,
            str(dict(report.user_properties).get("figure", before.figure)),
        )

    def written(self) -> str:
        """Return the table as Markdown."""
        lines = [
            f"Last written {datetime.now(UTC):%Y-%m-%d}, by `make faults` on two cores.",
            "",
            "| fault | figure | s |",
            "|---|---|---|",
            *(f"| {self.titles[name]} | {row.figure} | {row.seconds:.1f} |" for name, row in self.rows.items()),
        ]
        return "\n".join(lines)


def main() -> int:
    ledger = Ledger()
    status = pytest.main(["-m", "faults", "-q", "--no-header", *sys.argv[1:]], plugins=[ledger])
    table = Table("fault", "outcome", "figure", "s", box=None, header_style="bold")
    table.columns[3].justify = "right"
    colour = {"passed": "green", "failed": "red", "skipped": "yellow"}
    for nodeid, row in ledger.rows.items():
        outcome = f"[{colour[row.outcome]}]{row.outcome}[/]"
        table.add_row(ledger.titles[nodeid], outcome, row.figure, f"{row.seconds:.1f}")
    Console().print(table)
    if not sys.argv[1:] and all(row.outcome == "passed" for row in ledger.rows.values()):
        before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{ledger.written()}\n{END}{after}", "utf-8")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
