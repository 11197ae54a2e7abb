"""Measures, once for each model and box, how the model runs fastest: with one thread or two, or on another processor.

A second thread or an accelerator takes something from whatever else the box does, so it has to pay; and no way of running
is taken whose answers are not those of the plain one.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import numpy.typing as npt

from edge_agent.atomic_file import write_file
from models.bundle import Bundle
from models.session import Way, open_session, runtime_version, ways
from protocols.text import Text

ROUNDS, WARM_UP, LONGEST_S = 25, 3, 3.0
"""Runs that are timed, runs before, and the time after which no further round begins."""

PAYS = 0.75
"""Share of the plain way's time from which another way is taken."""

AGREES = 1e-4
"""Largest difference of answers, relative where they are above 1."""


class Probe(msgspec.Struct, frozen=True):
    """What was measured and chosen.

    Attributes:
        model: SHA-256 that identifies the bundle.
        runtime: version of ONNX Runtime. cores: of the box. Others of either are measured anew.
        provider, threads: the way chosen.
        median_ms: by way, the time of one run in milliseconds; a way that failed or disagreed is not in it.
    """

    model: str
    runtime: str
    cores: int
    provider: str
    threads: int
    median_ms: dict[str, float]

    def sentence(self) -> Text:
        """Return the choice for people."""
        chosen = _name(Way(self.provider, self.threads))
        shown = ", ".join(f"{name} {took:.1f} ms" for name, took in self.median_ms.items())
        return Text(f"it runs as {chosen} ({shown})", f"运行方式 {chosen}({shown})")


def probe(bundle: Bundle, state_dir: Path) -> Probe:
    """Return how `bundle` runs best here, measured now or at an earlier start; raises BundleRefused if it does not run."""
    path = state_dir / f"probe-{bundle.digest[:16]}.json"
    cores = len(os.sched_getaffinity(0))
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Probe)
    except (OSError, msgspec.MsgspecError):
        kept = None
    known = (bundle.digest, runtime_version(), cores)
    if kept is not None and (kept.model, kept.runtime, kept.cores) == known:
        return kept
    chosen, took = choose(bundle, ways(cores))
    names = {_name(way): round(seconds * 1000, 3) for way, seconds in took.items()}
    found = Probe(*known, chosen.provider, chosen.threads, names)
    with suppress(OSError):  # measured anew next time; what keeps the disk from being written is told elsewhere
        write_file(path, msgspec.json.format(msgspec.json.encode(found)))
    return found


def choose(bundle: Bundle, among: list[Way]) -> tuple[Way, dict[Way, float]]:
    """Return the best of these ways, of which the first is the plain one, and the median seconds of those that agree."""
    card = bundle.card.input[0]
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, card.shape, dtype=np.uint8) for _ in range(WARM_UP)]
    outputs = [tensor.name for tensor in bundle.card.output]
    plain, *others = among
    sessions = {plain: open_session(bundle.onnx, plain)}
    expected = [sessions[plain].run(outputs, {card.name: picture}) for picture in pictures]
    for way in others:
        try:
            session = open_session(bundle.onnx, way)
            answers = [session.run(outputs, {card.name: picture}) for picture in pictures]
        except Exception:  # noqa: S112 - a provider that is listed and fails is not used, whatever its reason
            continue
        if session.get_providers()[0] == way.provider and all(map(agree, expected, answers)):
            sessions[way] = session
    took: dict[Way, list[float]] = {way: [] for way in sessions}
    begun = time.perf_counter()
    for number in range(ROUNDS):
        # In turns, so that what else the box does meanwhile meets each of them.
        for way, session in sessions.items():
            start = time.perf_counter()
            session.run(outputs, {card.name: pictures[number % len(pictures)]})
            took[way].append(time.perf_counter() - start)
        if time.perf_counter() - begun > LONGEST_S:
            break
    medians = {way: median(times) for way, times in took.items()}
    best = min(medians, key=medians.__getitem__)
    return best if medians[best] <= PAYS * medians[plain] else plain, medians


def agree(expected: list[npt.NDArray[np.float32]], answers: list[npt.NDArray[np.float32]]) -> bool:
    """Return whether these outputs of a model are the expected ones, within `AGREES`."""
    return all(
        bool(np.allclose(answer, wanted, rtol=AGREES, atol=AGREES))
        for wanted, answer in zip(expected, answers, strict=True)
    )


def _name(way: Way) -> str:
    return f"{way.provider.removesuffix('ExecutionProvider')} x{way.threads}"
