"""Faults of a rotating machine in its vibration, beside the level alone: `python -m tests.benchmarks.vibration`.

No free set with waveforms is at hand, so the machine is generated: two shaft harmonics and a gear mesh whose load varies from
block to block, noise, and a bearing (6205: nine balls of 7.94 mm on 39.04 mm) whose damage hits a resonance at 3.4 kHz that
rings for a millisecond; hits slip by one per cent, those of an inner race grow and fade with the turn. Severity is the height
of a hit in deviations of the noise. Imbalance is the line at the speed, grown by so much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table as Shown

from models.evaluate import auroc
from models.series.health import scores
from models.series.health_fit import fitted
from models.series.recipe import VibrationRecipe
from models.series.spectrum import fault_frequencies, features, spectrum_of
from models.series.table import Table

Doubles = npt.NDArray[np.float64]

RECIPE = VibrationRecipe("motor", rpm=1480, balls=9, ball_mm=7.94, pitch_mm=39.04)
LEARNT, JUDGED, SEEDS = 300, 60, 3
RESONANCE_HZ, RINGS_S, SLIPS = 3400.0, 0.001, 0.01
FAULTS = {
    "outer race": (0.5, 1.0, 2.0),
    "inner race": (0.5, 1.0, 2.0),
    "ball": (0.5, 1.0, 2.0),
    "imbalance": (1.2, 1.5, 2.0),
}


class Machine(NamedTuple):
    """A machine that is recorded again and again, with a fault of a severity, or none ("")."""

    noise: np.random.Generator
    fault: str = ""
    severity: float = 0.0

    def block(self) -> Doubles:
        """Return one block of samples."""
        size, rate, noise = RECIPE.samples, RECIPE.rate, self.noise
        turn = RECIPE.rpm / 60 * (1 + 0.004 * noise.normal())
        at, load = np.arange(size) / rate, np.exp(0.15 * noise.normal())
        once = self.severity if self.fault == "imbalance" else 1.0
        lines = [(1, 0.8 * once), (2, 0.4), (23, 0.5 * load)]
        signal = sum(a * np.sin(2 * np.pi * k * turn * at + noise.uniform(0, 2 * np.pi)) for k, a in lines)
        # The machine's own noise is not white: it falls above a quarter of the rate.
        own = np.convolve(noise.normal(size=size + 2), [0.25, 0.5, 0.25], mode="valid") / np.sqrt(0.375)
        signal = np.asarray(signal + np.exp(0.1 * noise.normal()) * own)
        wanted = {"outer race": "BPFO", "inner race": "BPFI", "ball": "BSF"}.get(self.fault)
        return (
            signal + self._hits(fault_frequencies(RECIPE)[wanted] * turn / (RECIPE.rpm / 60), turn)
            if wanted
            else signal
        )

    def _hits(self, hertz: float, turn: float) -> Doubles:
        size, rate, noise = RECIPE.samples, RECIPE.rate, self.noise
        hits = np.zeros(size)
        gaps = (1 + SLIPS * noise.normal(size=int(size / rate * hertz) + 8)) / hertz
        times = np.cumsum(gaps) - noise.uniform(0, 1 / hertz)
        times = times[(times > 0) & (times < size / rate)]
        heights = self.severity * np.exp(0.1 * noise.normal(size=len(times)))
        if self.fault == "inner race":
            heights *= 1 + np.cos(2 * np.pi * turn * times)
        np.add.at(hits, (times * rate).astype(int), heights)
        rings = np.arange(int(6 * RINGS_S * rate)) / rate
        return np.convolve(hits, np.exp(-rings / RINGS_S) * np.sin(2 * np.pi * RESONANCE_HZ * rings + 0.5))[:size]


def recorded(machine: Machine, count: int) -> Doubles:
    """Return blocks x samples."""
    return np.array([machine.block() for _ in range(count)])


def found(seed: int) -> dict[tuple[str, float], tuple[float, float, float, float]]:
    """Return of each fault and severity the AUROC of all features and of the level alone, the share rejected, and the share of
    healthy blocks rejected."""
    healthy = recorded(Machine(np.random.default_rng([seed, 0])), LEARNT + JUDGED)
    spectrum = spectrum_of(RECIPE, healthy[:LEARNT])

    def table(blocks: Doubles) -> Doubles:
        return np.array([features(spectrum, block) for block in blocks])

    known = table(healthy)
    widths = len(spectrum.names), 1
    models = [fitted(Table(spectrum.names[:width], known[:LEARNT, :width], None), RECIPE) for width in widths]
    results = {}
    for number, (fault, severities) in enumerate(FAULTS.items(), 1):
        for severity in severities:
            machine = Machine(np.random.default_rng([seed, number, int(10 * severity)]), fault, severity)
            bad = table(recorded(machine, JUDGED))
            figures, rejected = [], []
            for (model, limits, _), width in zip(models, widths, strict=True):
                good, ill = (scores(model, values[:, :width]).score for values in (known[LEARNT:], bad))
                figures.append(auroc(good, ill))
                rejected.append((float((ill > limits[1].value).mean()), float((good > limits[1].value).mean())))
            results[fault, severity] = (*figures, *rejected[0])
    return results


def main() -> None:
    console = Console()
    runs = [found(seed) for seed in range(SEEDS)]
    table = Shown(
        f"generated vibration, {SEEDS} machines",
        "severity",
        "AUROC",
        "level alone",
        "rejected",
        "healthy rejected",
        box=None,
    )
    for fault, severity in runs[0]:
        all_, level, rejected, false = np.mean([run[fault, severity] for run in runs], axis=0)
        table.add_row(fault, f"{severity:g}", f"{all_:.3f}", f"{level:.3f}", f"{rejected:.0%}", f"{false:.1%}")
    console.print(table)


if __name__ == "__main__":
    main()
