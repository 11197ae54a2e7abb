"""Postings of the ledger per second, every set made durable before the next: 20 jobs' settlements, five rows each, a transaction.

The embedded PostgreSQL with its own settings, so with full sync. The peer is the bar: 1,000 postings a second on two cores.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psycopg

from cloud.core.db import prepare
from cloud.core.embedded import EmbeddedPostgres
from tests.benchmarks.comparison import Comparison

SETS, POSTINGS, LIMIT = 100, 100, 1000.0


def measure() -> Comparison:
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            dsn = server.start()
            prepare(dsn, "p" * 43)
            rate = _rate(dsn)
        finally:
            server.stop()
    return Comparison("ledger", "the bar, with full sync", "postings/s", round(rate), LIMIT, round(rate / LIMIT, 3))


def _rate(dsn: str) -> float:
    with psycopg.connect(dsn) as connection:
        (outside,) = connection.execute("SELECT open_account(NULL, 'outside', 'CNY', '')").fetchone() or ("",)
        accounts = [
            str(row[0])
            for number in range(20)
            if (row := connection.execute("SELECT open_account(NULL, 'cash', 'CNY', %s)", [str(number)]).fetchone())
        ]
        began = time.perf_counter()
        for turn in range(SETS):
            wanted = [
                {
                    "id": str(uuid4()),
                    "kind": "single",
                    "debit": str(outside) if turn % 2 == 0 else accounts[n % 20],
                    "credit": accounts[n % 20] if turn % 2 == 0 else str(outside),
                    "amount": 1 + n,
                    "reason": "bench",
                }
                for n in range(POSTINGS)
            ]
            connection.execute("SELECT transfer_all(%s::json)", [json.dumps(wanted)])
            connection.commit()
        took = time.perf_counter() - began
        assert connection.execute("SELECT * FROM ledger_faults()").fetchall() == []
    return SETS * POSTINGS / took
