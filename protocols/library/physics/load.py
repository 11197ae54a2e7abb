"""What every simulated consumer of electricity answers, so that a meter can add machines up."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Protocol

KJ_PER_KWH = 3600.0


class Load(Protocol):
    """A machine drawing power. Instants are microseconds UTC; before its start a machine stands as at its start.

    `tan_phi` is reactive over active power, constant per machine, and `shares` how its power splits over the phases
    (sum 1), so that a meter's reactive energy and phase powers follow from `power_kw` and `energy_kwh` exactly.
    """

    tan_phi: float
    shares: tuple[float, float, float]

    def power_kw(self, now_us: int) -> float:
        """Return the active power, kW."""

    def energy_kwh(self, now_us: int) -> float:
        """Return the integral of `power_kw` since the start, kWh: closed form, no stepping."""


@dataclass(frozen=True)
class Ripple:
    """A slow swing P(t) = amplitude sin(2 pi t / period + phase) and its integral from 0."""

    amplitude: float
    period_s: float
    phase: float

    def at(self, seconds: float) -> float:
        """Return the swing, in the unit of the amplitude."""
        return self.amplitude * sin(2 * pi * seconds / self.period_s + self.phase)

    def integral(self, seconds: float) -> float:
        """Return its integral from 0 to `seconds`, unit of the amplitude x s: A T / 2 pi (cos phase - cos(...))."""
        scale = self.amplitude * self.period_s / (2 * pi)
        return scale * (cos(self.phase) - cos(2 * pi * seconds / self.period_s + self.phase))


def elapsed_us(start_us: int, now_us: int) -> int:
    """Return the microseconds from the start to now, 0 before the start."""
    return max(now_us - start_us, 0)


@dataclass(frozen=True)
class Wave:
    """A polynomial of one slow sine, f(t) = sum c_k s(t)^k with s = sin(2 pi t / period + phase), up to s^3.

    Speed, flow, head and power of one machine are waves of the same sine, their products too, and all have integrals in
    closed form.
    """

    coefficients: tuple[float, ...]
    period_s: float
    phase: float

    def at(self, seconds: float) -> float:
        """Return the value."""
        sine = sin(2 * pi * seconds / self.period_s + self.phase)
        return sum(factor * sine**k for k, factor in enumerate(self.coefficients))

    def integral(self, seconds: float) -> float:
        """Return its integral from 0 to `seconds`, unit of the wave x s."""
        rate = 2 * pi / self.period_s
        start, end = _antiderivatives(self.phase), _antiderivatives(rate * seconds + self.phase)
        return sum(factor * (end[k] - start[k]) / rate for k, factor in enumerate(self.coefficients))

    def __mul__(self, other: Wave | float) -> Wave:
        """Return the product with a number or with another wave of the same sine."""
        factors = other.coefficients if isinstance(other, Wave) else (other,)
        product = [0.0] * (len(self.coefficients) + len(factors) - 1)
        for i, mine in enumerate(self.coefficients):
            for j, factor in enumerate(factors):
                product[i + j] += mine * factor
        return Wave(tuple(product), self.period_s, self.phase)


def _antiderivatives(angle: float) -> tuple[float, float, float, float]:
    """Return the antiderivatives of 1, sin, sin^2 and sin^3."""
    return angle, -cos(angle), angle / 2 - sin(2 * angle) / 4, cos(angle) ** 3 / 3 - cos(angle)
