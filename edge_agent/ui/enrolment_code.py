"""Reads the enrolment code a cloud shows as a QR code: from its text, or from a photograph of the screen."""

from __future__ import annotations

import io
import re
from urllib.parse import urlsplit

import zxingcpp
from PIL import Image, ImageOps, UnidentifiedImageError

from protocols.errors import ConfigError
from protocols.text import Text

ENROL_PATH = "/enrol"
MOST_BYTES = 25 << 20
_MOST_PIXELS = 80_000_000
_SIDE = 2000
"""Longer sides are scaled down to it: the code is found sooner, and a phone's 50 megapixels fit a small box's memory."""

_CODE = re.compile(r"[A-Z0-9]{4}(-[A-Z0-9]{4}){2}")


def read_link(text: str) -> tuple[str, str]:
    """Return (cloud address, code) of what the QR code says, `https://cloud[:port]/enrol#CODE`; raises ConfigError."""
    parts = urlsplit(text.strip())
    code = parts.fragment.strip().upper()
    if parts.scheme in {"http", "https"} and parts.netloc and _CODE.fullmatch(code):
        return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(ENROL_PATH).rstrip('/')}", code
    raise ConfigError(
        Text("this is not the QR code of an enrolment", "这不是注册用的二维码"),
        Text("photograph the one the cloud shows under Gateways", "请拍摄云端“网关”页面显示的二维码"),
    )


def read_photograph(data: bytes) -> tuple[str, str]:
    """Return (cloud address, code) from a photograph of the QR code; raises ConfigError where none is to be seen."""
    for text in _texts_in(data):
        try:
            return read_link(text)
        except ConfigError:
            continue
    raise ConfigError(
        Text("no enrolment QR code is to be seen in the picture", "图片中没有找到注册二维码"),
        Text("go closer, hold still, avoid reflections - or type the code", "请靠近、拿稳、避开反光，或手动输入注册码"),
    )


def _texts_in(data: bytes) -> list[str]:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError(picture.size)
            picture.draft("L", (_SIDE, _SIDE))
            grey = ImageOps.exif_transpose(picture).convert("L")
            grey.thumbnail((_SIDE, _SIDE))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(
            Text("this is not a picture that can be read", "无法读取该图片"),
            Text("take a photograph (JPEG or PNG)", "请拍摄照片（JPEG 或 PNG）"),
        ) from error
    return [
        found.text
        for found in zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    ]
