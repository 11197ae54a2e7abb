"""ONNX Runtime as every part of the product opens it: alike when fitting, judging, trying out and inspecting.

One thread, unless a box has measured that two pay, and no spinning: a spinning pool burns 41 % of two cores at ten pictures a second, a quiet one 5 %
(onnxruntime #11841), and a box at a machine has other work to do.
"""

from __future__ import annotations

from typing import NamedTuple

import onnxruntime as ort

from models.errors import BundleRefused

CPU = "CPUExecutionProvider"
_REMOTE = frozenset({"AzureExecutionProvider"})
"""Providers that would send pictures away."""


class Way(NamedTuple):
    """How a model is run: by which of the runtime's providers, with how many threads."""

    provider: str = CPU
    threads: int = 1


def ways(cores: int) -> list[Way]:
    """Return the ways a box with so many cores can run a model, the plain one first."""
    others = [name for name in ort.get_available_providers() if name != CPU and name not in _REMOTE]
    return [Way(), *([Way(threads=2)] if cores > 1 else []), *(Way(name) for name in others)]


def runtime_version() -> str:
    """Return the version of ONNX Runtime."""
    return str(ort.__version__)


def open_session(onnx: bytes, way: Way = Way(), *, strict: bool = False) -> ort.InferenceSession:  # noqa: B008 - it cannot change
    """Return a session on the model `onnx`; raises BundleRefused if the runtime cannot load it that way.

    `strict`: also if any part of it would run on the CPU instead, which the runtime otherwise does without a word
    (onnxruntime #17801, #23372).
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = way.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    if strict and way.provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = ort.InferenceSession(onnx, options, providers=[way.provider])
    except Exception as error:  # the runtime's exceptions share no other ancestor
        why = str(error).splitlines()[0][:200]
        raise BundleRefused(
            "runtime", f"ONNX Runtime cannot load the model: {why}", f"ONNX Runtime 无法加载模型：{why}"
        ) from error
    if strict and session.get_providers()[0] != way.provider:
        active = session.get_providers()[0]
        raise BundleRefused(
            "provider", f"it would run on {active}, not {way.provider}", f"实际将由 {active} 运行，而非 {way.provider}"
        )
    return session
