"""What a fit hands over."""

from __future__ import annotations

from typing import NamedTuple

from models.card import Card


class Release(NamedTuple):
    """A model that passed the parity gate, ready to be signed."""

    card: Card
    onnx: bytes
