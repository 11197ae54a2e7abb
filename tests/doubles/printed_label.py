"""Pictures of a printed label as a camera above a line sees it, good and with defects of print.

A label has a title, a serial line, a table, a bar code and a seal, drawn with strokes and no font, so that the pictures are the same
everywhere. From shot to shot it is shifted by up to 8 pixels of 256, turned by up to 3 degrees, lit from another side and printed a
little fatter or thinner; a picture depends on (seed, part, defect) alone.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from models.vision.pictures import Grey

Defect = Literal["missing", "wrong_letter", "scratch", "smear"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)

SIDE = 256
_FINE = 2 * SIDE
_PAPER, _INK = 215, 40

_STROKES = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgcde", "7": "abc", "8": "abcdefg",
    "9": "abcdfg", "A": "abcefg", "C": "adef", "E": "adefg", "F": "aefg", "H": "bcefg", "L": "def", "P": "abefg", "U": "bcdef",
}  # fmt: skip
_ENDS = {
    "a": ((0, 0), (1, 0)), "b": ((1, 0), (1, 1)), "c": ((1, 1), (1, 2)), "d": ((0, 2), (1, 2)), "e": ((0, 1), (0, 2)),
    "f": ((0, 0), (0, 1)), "g": ((0, 1), (1, 1)),
}  # fmt: skip
_LINES = (("PLACE 208", 60, 44, 26), ("FAC 4471 89", 118, 28, 16), ("LH 50 HE 63 CAP", 360, 24, 14))
"""Text, its top, the height of its letters, the step from one to the next less their gap; in pixels of the fine picture."""


def picture(seed: int, part: int, defect: Defect | None = None) -> Grey:
    """Return the picture of part number `part` of the series `seed`, with `defect` if given; 256 x 256."""
    shot = np.random.default_rng([seed, part])
    flaw = np.random.default_rng([seed, part, 1 + DEFECTS.index(defect)]) if defect else None
    label = _label(defect, flaw)
    ink = ImageFilter.MinFilter(3) if shot.random() < 0.5 else ImageFilter.MaxFilter(3)
    label = Image.blend(label, label.filter(ink), float(shot.uniform(0, 0.6)))
    if defect == "scratch" and flaw is not None:
        _scratch(label, flaw)
    right, down = shot.uniform(-16, 16, 2)
    turned = label.rotate(
        float(shot.uniform(-3, 3)),
        Image.Resampling.BICUBIC,
        translate=(right, down),
        fillcolor=int(shot.uniform(70, 90)),
    )
    small = np.asarray(turned.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    towards, strong = shot.uniform(0, 2 * np.pi), shot.uniform(0, 0.2)
    lit = small * shot.uniform(0.75, 1.1) * (1 + strong * (x * np.cos(towards) + y * np.sin(towards)))
    grey: Grey = np.clip(lit + shot.normal(0, 3, lit.shape), 0, 255).astype(np.uint8)
    return grey


def _label(defect: Defect | None, flaw: np.random.Generator | None) -> Image.Image:
    label = Image.new("L", (_FINE, _FINE), 80)
    draw = ImageDraw.Draw(label)
    draw.rectangle((40, 40, 472, 472), fill=_PAPER)
    letters = [
        (letter, 60 + index * (step + 10), top, step, height)
        for text, top, height, step in _LINES
        for index, letter in enumerate(text)
        if letter != " "
    ]
    wrong = int(flaw.integers(len(letters))) if flaw is not None and defect == "wrong_letter" else -1
    for index, (letter, left, top, width, height) in enumerate(letters):
        others = [other for other in _STROKES if len(set(_STROKES[other]) ^ set(_STROKES[letter])) >= 1]
        shown = others[int(flaw.integers(len(others)))] if index == wrong and flaw is not None else letter
        for stroke in _STROKES[shown]:
            ends = [(left + x * width, top + y * height / 2) for x, y in _ENDS[stroke]]
            draw.line(ends, fill=_INK, width=5)
    for row in range(5):
        draw.line((60, 160 + row * 40, 300, 160 + row * 40), fill=_INK, width=3)
    for column in range(4):
        draw.line((60 + column * 80, 160, 60 + column * 80, 320), fill=_INK, width=3)
    bars = np.random.default_rng(7)
    at = 60
    while at < 440:
        wide = int(bars.choice([4, 6, 10]))
        draw.rectangle((at, 400, at + wide, 450), fill=_INK)
        at += wide + int(bars.choice([5, 8, 12]))
    draw.ellipse((330, 160, 450, 280), outline=_INK, width=6)
    draw.ellipse((365, 195, 415, 245), fill=_INK)
    if flaw is not None and defect in ("missing", "smear"):
        inked = np.argwhere(np.asarray(label)[50:460, 50:460] == _INK) + 50  # a defect of the print is where it is
        down, across = (float(place) for place in inked[int(flaw.integers(len(inked)))])
        if defect == "missing":
            wide, tall = flaw.uniform(3, 12, 2)
            box = (max(across - wide, 42), max(down - tall, 42), min(across + wide, 470), min(down + tall, 470))
            draw.rectangle(box, fill=_PAPER)
        else:
            return _smeared(label, across, down, flaw)
    return label


def _smeared(label: Image.Image, left: float, top: float, flaw: np.random.Generator) -> Image.Image:
    """Return the label with ink drawn out to the right in a soft-edged spot."""
    ink = np.asarray(label, np.float64)
    reach = int(flaw.integers(10, 26))
    drawn = np.minimum.reduce([np.roll(ink, step, axis=1) + 110 * step / reach for step in range(reach)])
    y, x = np.mgrid[0:_FINE, 0:_FINE]
    spot = np.clip(1.5 - ((x - left) / flaw.uniform(25, 60)) ** 2 - ((y - top) / flaw.uniform(12, 30)) ** 2, 0, 1)
    spot *= flaw.uniform(0.2, 0.8) * ((x > 44) & (x < 470))
    return Image.fromarray((ink * (1 - spot) + np.minimum(ink, drawn) * spot).astype(np.uint8))


def _scratch(label: Image.Image, flaw: np.random.Generator) -> None:
    """Draw a thin line, lighter than ink and darker than paper."""
    left, top = flaw.uniform(70, 380, 2)
    turn, long = flaw.uniform(0, np.pi), flaw.uniform(40, 110)
    end = (left + long * np.cos(turn), top + long * np.sin(turn))
    ImageDraw.Draw(label).line([(left, top), end], fill=int(flaw.uniform(130, 185)), width=int(flaw.integers(1, 4)))
