"""One run of a new model in a child process that may use little memory and little time.

Static checks cannot tell what a model costs: a file of a hundred bytes can ask for gigabytes. So before a bundle is
trusted with the box, a child with an address-space limit, a CPU limit and a deadline loads it and runs it once.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from models.bundle import Bundle
from models.card import TensorCard
from models.errors import BundleRefused

ADDRESS_SPACE = 3 * 1024**3
"""Bytes of address space; a process with ONNX Runtime loaded needs about 1 GiB before any model."""

CPU_S = 10
DEADLINE_S = 20.0


def try_bundle(bundle: Bundle, deadline_s: float = DEADLINE_S) -> None:
    """Raise BundleRefused("trial") unless the model runs once within the limits and answers as its card says."""
    try_model(bundle.onnx, bundle.card.input, bundle.card.output, deadline_s)


def try_model(onnx: bytes, inputs: list[TensorCard], outputs: list[TensorCard], deadline_s: float = DEADLINE_S) -> None:
    """As `try_bundle`, for a model whose static checks are not of interest."""
    order = json.dumps({"input": msgspec.to_builtins(inputs), "output": msgspec.to_builtins(outputs)}).encode()
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-m", "models.trial"],
            input=len(order).to_bytes(4, "big") + order + onnx,
            capture_output=True,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        why = f"no answer within {deadline_s:g} s", f"{deadline_s:g} 秒内没有结果"
        raise _refused(*why) from error
    if child.returncode < 0:
        raise _refused("it ran into the limit of CPU time or memory", "超出 CPU 时间或内存限制")
    if child.returncode:
        lines = (child.stdout or child.stderr).decode(errors="replace").strip().splitlines() or ["?"]
        raise _refused(lines[-1][:200], lines[-1][:200])


def _refused(en: str, zh: str) -> BundleRefused:
    return BundleRefused("trial", f"the model failed its trial run: {en}", f"模型试运行失败：{zh}")


def _run(order: Mapping[str, Any], onnx: bytes) -> None:
    """Load and run the model on an even picture; raises whatever goes wrong."""
    import numpy as np  # noqa: PLC0415 - after the limits are set

    from models.session import open_session  # noqa: PLC0415

    session = open_session(onnx)
    feed = {tensor["name"]: np.full(tensor["shape"], 127, dtype=tensor["kind"]) for tensor in order["input"]}
    answers = session.run([tensor["name"] for tensor in order["output"]], feed)
    for tensor, answer in zip(order["output"], answers, strict=True):
        if list(answer.shape) != tensor["shape"] or answer.dtype != tensor["kind"]:
            raise ValueError(f"output {tensor['name']} has shape {list(answer.shape)}")
        if not np.isfinite(answer).all():
            raise ValueError(f"output {tensor['name']} is not finite")


def main() -> int:
    """Entry point of the child: order and model on standard input, one line about a failure on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    data = sys.stdin.buffer.read()
    size = int.from_bytes(data[:4], "big")
    try:
        _run(json.loads(data[4 : 4 + size]), data[4 + size :])
    except Exception as error:  # whatever it is, it is the model's fault, and the parent wants one line
        sys.stdout.write(f"{str(error).splitlines()[0] if str(error) else type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
