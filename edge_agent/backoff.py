"""How long to wait before trying again: exponential back-off with full jitter."""

from __future__ import annotations

from random import uniform


def full_jitter(failures: int, first_s: float, cap_s: float) -> float:
    """Return a wait in seconds after `failures` (>= 1) failures in a row: even over 0 .. min(cap, first x 2^(n-1)).

    The even spread keeps many clients from coming back at one instant (Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015).
    """
    return uniform(0.0, min(cap_s, first_s * 2.0 ** min(failures - 1, 30)))
