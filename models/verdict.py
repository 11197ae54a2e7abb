"""The three verdicts every model of ours gives, in the order of the number its graph answers with."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["pass", "review", "reject"]
VERDICTS: tuple[Verdict, ...] = ("pass", "review", "reject")
