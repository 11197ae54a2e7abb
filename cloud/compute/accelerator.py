"""How busy the accelerator of this machine is, as far as its maker's tool says."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

_TOOLS = {
    "CUDAExecutionProvider": ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"),
    "TensorrtExecutionProvider": ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"),
}
_PATIENCE_S = 2.0


async def busy_percent(provider: str) -> float | None:
    """Return the share of the last moments in which the busiest card was at work, in percent; None where that is not seen."""
    command = _TOOLS.get(provider)
    if command is None or shutil.which(command[0]) is None:
        return None
    with suppress(OSError, ValueError, TimeoutError):
        tool = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                said, _ = await tool.communicate()
            return max(float(line) for line in said.split())
        finally:
            if tool.returncode is None:
                tool.kill()
                await tool.wait()
    return None
