"""Where to look, as polygons that a person has drawn: points in shares of the picture's width and height, from its upper left."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from models.card import Region
from models.errors import InputError
from models.vision.pictures import Grey, read_picture

_SIDE = 1024


def mask_of(region: Region) -> Grey | None:
    """Return a square picture, to be stretched, that is white within any of the polygons; None without one: all is looked at."""
    if not region:
        return None
    picture = Image.new("L", (_SIDE, _SIDE))
    for polygon in region:
        ImageDraw.Draw(picture).polygon([(x * _SIDE, y * _SIDE) for x, y in polygon], fill=255)
    return np.asarray(picture, np.uint8)


def read_mask(path: Path) -> tuple[Grey | None, Region]:
    """Return the mask in a picture, or in a JSON file of polygons, and these; raises InputError."""
    if path.suffix.lower() != ".json":
        return np.asarray(read_picture(path), np.uint8), []
    try:
        region = msgspec.json.decode(path.read_bytes(), type=Region)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(
            "mask",
            f"{path}: no list of polygons, each a list of at least three [x, y] from 0 to 1: {error}",
            f"{path}：应为多边形列表，每个多边形至少三个 [x, y]，取值 0 到 1：{error}",
        ) from error
    return mask_of(region), region
