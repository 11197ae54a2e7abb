"""A model kept warm in a child process: pictures in by its standard input, findings out by its standard output.

    python -P -m models.inspect_child BUNDLE KEY [KEY ...]

BUNDLE is the folder of a bundle that one of the KEYs has signed. In: four bytes of length, most significant first, and the
file of a picture, again and again. Out: a JSON object a line, first `{"ready": {"model", "version", "provider"}}`, then for every
picture `{"found": {"verdict", "score", "review_limit", "reject_limit", "latency_us"}}`, or `{"failed": {"reason", "en", "zh"}}` for one that
is none; `failed` first of all is why the bundle is not run. It runs by the fastest provider that is proven here.
"""

# ruff: noqa: PLC0415 - heavy rooms are imported after the limits are set

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from models.vision.detector import Detector

MEMORY = 3 * 1024**3
"""Bytes of address space."""


def _say(line: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _opened(folder: Path, trust: list[str]) -> Detector:
    import numpy as np

    from models.bundle import read_bundle
    from models.probe import probe
    from models.session import Way
    from models.trial import try_bundle
    from models.vision.detector import Detector, heatmap_png

    bundle = read_bundle(folder, trust)
    try_bundle(bundle)
    provider = probe().provider
    detector = Detector(bundle, Way(provider), strict=True)
    blank = detector.inspect(np.zeros(detector.sees[::-1], np.uint8))
    _inspect(detector, heatmap_png(blank, (8, 8)))  # the first picture takes far longer than any other
    _say({"ready": {"model": bundle.card.name, "version": bundle.card.version, "provider": provider}})
    return detector


def _inspect(detector: Detector, content: bytes) -> dict[str, object]:
    from models.vision.pictures import decode, fit_to

    begin = time.perf_counter_ns()
    finding = detector.inspect(fit_to(decode(content, "picture"), detector.sees))
    return {
        "verdict": finding.verdict,
        "score": finding.score,
        "review_limit": finding.review,
        "reject_limit": finding.reject,
        "latency_us": (time.perf_counter_ns() - begin) // 1000,
    }


def main() -> int:
    """Answer until the standard input ends; 1 if the bundle is not run."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from models.errors import InputError, ModelError

    try:
        detector = _opened(Path(sys.argv[1]), sys.argv[2:])
    except ModelError as error:
        _say({"failed": {"reason": error.reason, "en": error.en, "zh": error.zh}})
        return 1
    while length := sys.stdin.buffer.read(4):
        content = sys.stdin.buffer.read(int.from_bytes(length, "big"))
        try:
            _say({"found": _inspect(detector, content)})
        except InputError as error:
            _say({"failed": {"reason": error.reason, "en": error.en, "zh": error.zh}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
