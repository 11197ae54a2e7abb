"""Whether eight-bit integers would pay here: the zoo's model beside two ways of quantising it, in speed and in what it says.

`python -m tests.benchmarks.int8` quantises statically (QDQ, per channel, calibrated with good pictures) the filters, and what whitens their
answers. Either would be taken if it needed at most 0.85 of the time, with no other verdict on any part and scores that go together by
0.98. Where one is, models should be given a second graph; nowhere so far.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from rich.console import Console
from rich.table import Table

from models.session import open_session
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.synthetic import DEFECTS, picture
from models.vision.zoo import zoo_pictures, zoo_recipe

CALIBRATED, JUDGED, ROUNDS = 40, 60, 40


class _Good(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, greys: list[Grey]) -> None:
        self._greys = iter(greys)

    def get_next(self) -> dict[str, Grey] | None:
        grey = next(self._greys, None)
        return None if grey is None else {"picture": grey}


def main() -> None:
    good = list(zoo_pictures())
    parts = Parts("listed", [str(part) for part in range(len(good))])
    plain = fit(good, parts, zoo_recipe("part-surface")).onnx
    nodes = onnx.ModelProto.FromString(plain).graph.node
    scopes = {
        "filters": [node.name for node in nodes if node.op_type == "Conv" and "gabor" in node.input],
        "whitening": [node.name for node in nodes if node.op_type == "MatMul" and "whitening" in "".join(node.input)],
    }
    models = {"float": plain} | {name: _quantised(plain, within, good) for name, within in scopes.items()}
    shown = [picture(9, part).grey for part in range(JUDGED)]
    shown += [picture(9, 100 + part, DEFECTS[part % len(DEFECTS)]).grey for part in range(JUDGED)]
    sessions = {name: open_session(model) for name, model in models.items()}
    took: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS):
        for name, session in sessions.items():  # in turns, so that what else runs meets each
            begun = time.perf_counter()
            session.run(["score"], {"picture": shown[number]})
            took[name].append(time.perf_counter() - begun)
    said = {name: _said(session, shown) for name, session in sessions.items()}
    table = Table(
        "quantised", "ms", "MB", "largest change of a score", "correlation", "other verdicts", "taken", box=None
    )
    for name, (scores, verdicts) in said.items():
        alike = float(np.corrcoef(scores, said["float"][0])[0, 1])
        other = int((verdicts != said["float"][1]).sum())
        taken = median(took[name]) <= 0.85 * median(took["float"]) and alike >= 0.98 and other == 0
        change = float(np.abs(scores - said["float"][0]).max())
        size = len(models[name]) / 1e6
        figures = f"{1000 * median(took[name]):.2f}", f"{size:.1f}", f"{change:.2f}", f"{alike:.4f}", str(other)
        table.add_row(name, *figures, "yes" if taken else "no")
    Console(width=120).print(table)


def _quantised(plain: bytes, nodes: list[str], good: list[Grey]) -> bytes:
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(plain)
        quantize_static(
            before,
            after,
            _Good(good[:CALIBRATED]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            nodes_to_quantize=nodes,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return after.read_bytes()


def _said(session: Any, greys: list[Grey]) -> tuple[np.ndarray, np.ndarray]:
    found = [session.run(["score", "verdict"], {"picture": grey}) for grey in greys]
    return np.array([score[0] for score, _ in found]), np.array([verdict[0] for _, verdict in found])


if __name__ == "__main__":
    main()
