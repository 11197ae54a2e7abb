"""A small copy of a picture for lists of many, made where the picture is first seen to be one."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image

from models.vision.pictures import decode

SIDE = 192


class Thumbnail(NamedTuple):
    """A grey JPEG of at most `SIDE` pixels a side, and the size of the picture it is of, pixels."""

    jpeg: bytes
    width: int
    height: int


def thumbnail(data: bytes, name: str) -> Thumbnail:
    """Return a small copy of the JPEG or PNG in `data`; raises InputError as `pictures.decode` does."""
    picture = decode(data, name)
    width, height = picture.size
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    file = BytesIO()
    picture.save(file, "JPEG", quality=80)
    return Thumbnail(file.getvalue(), width, height)
