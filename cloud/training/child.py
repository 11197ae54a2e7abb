"""Runs `models.task_child`: a process of its own with bounded memory and time, because a picture can ask for anything.

The cloud itself never imports what fits or runs a model; an import contract holds it to that.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from cloud.core.errors import Invalid
from models.task import Task
from protocols.text import Text

Progress = Callable[[str, int, int], None]
"""Called with the stage, and the pictures done and in all of it."""

WALL_S = 1800.0
"""Longest time a child may take, however little of it the machine let it work."""


class TaskFailed(Invalid):
    """The task could not be done; `detail` says why."""


async def run(task: Task, folder: Path, progress: Progress | None = None, wall_s: float = WALL_S) -> dict[str, Any]:
    """Do `task` with the files in `folder` and return what the child says came out; cancelled, it kills the child.

    Raises TaskFailed with the child's own words, or naming the limit it ran into.
    """
    (folder / "task.json").write_bytes(msgspec.json.encode(task))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "models.task_child", str(folder)), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(wall_s):
            result = await _listen(child, progress)
            code = await child.wait()
    except TimeoutError as error:
        raise TaskFailed(
            Text(f"it took longer than {wall_s:g} s and was stopped", f"运行超过 {wall_s:g} 秒，已停止")
        ) from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        if child.stdin:
            child.stdin.close()
    if result is None:
        raise TaskFailed(_why(code))
    return result


async def _listen(child: Process, progress: Progress | None) -> dict[str, Any] | None:
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    result = None
    async for line in child.stdout:
        said = msgspec.json.decode(line)
        if "stage" in said:
            if progress:
                progress(said["stage"], said["done"], said["all"])
        elif "chip" in said:
            continue  # it is our own
        elif failed := said.get("failed"):
            raise TaskFailed(Text(failed["en"], failed["zh"]))
        else:
            result = said
    return result


def _why(code: int) -> Text:
    if code < 0:
        return Text(
            "it ran into its limit of computing time or memory; use fewer or smaller pictures",
            "超出计算时间或内存限制；请减少图片数量或尺寸",
        )
    return Text(
        "the process that computes it ended unexpectedly; is the extra 'models' installed on the server?",
        "计算进程意外结束；请确认服务器已安装 models 扩展",
    )
