"""Pictures of generated parts as a technician would upload them: names of parts, PNG files."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from models.vision.synthetic import Defect, picture

SEED = 21


def part(number: int) -> str:
    return f"cap-{number:03}"


def png(number: int, defect: Defect | None = None) -> bytes:
    file = BytesIO()
    Image.fromarray(picture(SEED, number, defect).grey).save(file, "PNG", compress_level=1)
    return file.getvalue()
