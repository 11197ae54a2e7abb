"""One attempt as its worker sees it: how far it is, what it has used, and the chain of its beats so far."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from cloud.compute.engine import Engine
from cloud.compute.log_lines import LogBuffer
from cloud.compute.metering import START, Beat, Checkpoint
from cloud.compute.spool import Spool
from cloud.compute.worker_schemas import Lease


class LeasedRun:
    """An attempt. `head` and `seq`: of its last beat; `safe`: set when the child says that `saved` items are durable."""

    def __init__(self, lease: Lease, engine: Engine, folder: Path, log: LogBuffer) -> None:
        self.lease, self.folder, self.log = lease, folder, log
        self.lines = 0
        self.spool: Spool | None = None
        self.heard_at = time.monotonic()
        """When the platform was last heard of, for an attempt that may go on without it."""
        self.head, self.seq = START, 0
        self.safe = asyncio.Event()
        self.saved = 0
        self.speaking = asyncio.Lock()
        self.checkpoint: Checkpoint | None = None
        self._engine, self._began = engine, time.monotonic()
        self._stage, self._done, self._total = "fetch", 0, 0
        self._chip, self._cpu_ms = "", 0
        self._stopped: float | None = None

    def used_ms(self) -> int:
        """Return the time since the begin; where it may be waited for a link, without that wait."""
        until = self._stopped if self.spool and self._stopped else time.monotonic()
        return int((until - self._began) * 1000)

    def stop_the_clock(self) -> None:
        """Nothing is computed any more."""
        self._stopped = time.monotonic()

    def out_of_patience(self, lease_s: float) -> bool:
        """Return whether there has been no link for longer than the customer allows."""
        return time.monotonic() - self.heard_at > self.lease.offline_s + lease_s

    def heard(self, said: dict[str, Any]) -> None:
        """Take down what the child says."""
        if "log" in said:
            self.log.add(said["log"])
        elif "stage" in said:
            if said["stage"] != self._stage:
                self.log.add(f"{said['stage']}: {said['all']}")
            self._stage, self._done, self._total = said["stage"], said["done"], said["all"]
        elif "chip" in said:
            self._chip = said["chip"]
            self.log.add(f"chip: {self._chip}")
        else:
            self.saved = said["checkpoint"]
            self.safe.set()

    def beat(self) -> Beat:
        """Return the next beat."""
        self._cpu_ms = max(self._cpu_ms, self._engine.cpu_ms())
        return Beat(
            job=str(self.lease.job_id),
            attempt=self.lease.attempt,
            seq=self.seq + 1,
            used_ms=self.used_ms(),
            cpu_ms=self._cpu_ms,
            chip=self._chip,
            stage=self._stage,
            done=self._done,
            total=self._total,
            checkpoint=self.checkpoint,
        )
