"""ONNX Runtime as every part of the product opens it: alike when fitting, judging, trying out and inspecting.

One thread and no spinning: a spinning pool burns 41 % of two cores at ten pictures a second, a quiet one 5 %
(onnxruntime #11841), and a box at a machine has other work to do.
"""

from __future__ import annotations

import onnxruntime as ort

from models.errors import BundleRefused


def open_session(onnx: bytes) -> ort.InferenceSession:
    """Return a session on the model `onnx`; raises BundleRefused if the runtime cannot load it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no other ancestor
        why = str(error).splitlines()[0][:200]
        raise BundleRefused(
            "runtime", f"ONNX Runtime cannot load the model: {why}", f"ONNX Runtime 无法加载模型：{why}"
        ) from error
