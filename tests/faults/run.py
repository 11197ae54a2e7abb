"""`make faults`: runs every test marked `faults` and prints one table of what was done and what came of it."""

from __future__ import annotations

import sys

import pytest
from rich.console import Console
from rich.table import Table


class Ledger:
    """Collects, as a pytest plug-in, one row per test: the first line of its docstring, the outcome, the seconds."""

    def __init__(self) -> None:
        self.titles: dict[str, str] = {}
        self.rows: dict[str, tuple[str, float]] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        doc = getattr(getattr(item, "function", None), "__doc__", None) or item.name
        self.titles[item.nodeid] = doc.strip().splitlines()[0]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worst, seconds = self.rows.get(report.nodeid, ("passed", 0.0))
        outcome = report.outcome if report.outcome != "passed" else worst
        self.rows[report.nodeid] = (outcome, seconds + report.duration)


def main() -> int:
    ledger = Ledger()
    status = pytest.main(["-m", "faults", "-q", "--no-header", *sys.argv[1:]], plugins=[ledger])
    table = Table("fault", "outcome", "s", box=None, header_style="bold")
    table.columns[2].justify = "right"
    colour = {"passed": "green", "failed": "red", "skipped": "yellow"}
    for nodeid, (outcome, seconds) in ledger.rows.items():
        table.add_row(ledger.titles[nodeid], f"[{colour[outcome]}]{outcome}[/]", f"{seconds:.1f}")
    Console().print(table)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
