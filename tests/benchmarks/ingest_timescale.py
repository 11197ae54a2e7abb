"""`ingest`, on TimescaleDB: the same deliveries beside the same bare loop, both into a hypertable of Debian's TimescaleDB."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from tests.benchmarks.comparison import Comparison, NotHere
from tests.benchmarks.ingest import beside

TIMESCALE = Path(__file__).parents[2] / "deploy" / "dev" / "timescaledb.sh"


def measure() -> Comparison:
    """Raises NotHere where TimescaleDB cannot be had."""
    started = subprocess.run([TIMESCALE, "start"], capture_output=True, text=True, check=False)
    if started.returncode:
        raise NotHere(started.stderr.strip())
    server = subprocess.run([TIMESCALE, "dsn"], capture_output=True, text=True, check=True).stdout.strip()
    name = f"bench_{uuid4().hex}"
    dsn = make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
                platform = Platform(plant, dsn)
                platform.start_cloud()
                return beside("ingest_timescale", platform, dsn)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
