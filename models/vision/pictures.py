"""Pictures as files and as what a model sees; the same steps when fitting, judging and inspecting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from models.errors import InputError

Grey = npt.NDArray[np.uint8]

Size = int | tuple[int, int]
"""Side of a square, or width and height, pixels."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 30_000_000


def decode(data: bytes, name: str) -> Image.Image:
    """Return the JPEG or PNG in `data`, decoded, in greys of 8 bits; `name` is for messages.

    Raises InputError with the reason "too_large" (judged by the header, before any pixel) or "unreadable".
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            "too_large", f"{name}: larger than {MAX_BYTES >> 20} MiB", f"{name}：图片超过 {MAX_BYTES >> 20} MiB"
        )
    try:
        picture = Image.open(BytesIO(data), formats=("JPEG", "PNG"))
        if picture.width * picture.height > MAX_PIXELS:
            raise _too_many_pixels(name)
        return picture.convert("L")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(name) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(
            "unreadable", f"{name}: not a complete JPEG or PNG picture", f"{name}：不是完整的 JPEG 或 PNG 图片"
        ) from error


def fit_to(picture: Image.Image, sees: Size) -> Grey:
    """Return the picture as the model sees it: `sees` wide and high, grey, uint8."""
    size = (sees, sees) if isinstance(sees, int) else sees
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8)


def shrunk(grey: Grey, side: int) -> Grey:
    """Return a picture of any size as one that is seen whole: side x side."""
    return fit_to(Image.fromarray(grey), side)


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of `folder` and the folders in it, in order of their names; raises InputError if there are none."""
    if not folder.is_dir():
        raise InputError("no_pictures", f"{folder}: no such folder", f"{folder}：没有这个文件夹")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise InputError("no_pictures", f"{folder}: no JPEG or PNG pictures", f"{folder}：没有 JPEG 或 PNG 图片")
    return paths


def read_picture(path: Path) -> Image.Image:
    """Return the picture in the file `path`, in its own size; raises InputError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "unreadable", f"{path}: cannot be read: {error.strerror}", f"{path}：无法读取：{error.strerror}"
        ) from error
    return decode(data, str(path))


def read_grey(path: Path, sees: Size) -> Grey:
    """Return the picture in the file `path` as the model sees it; raises InputError."""
    return fit_to(read_picture(path), sees)


def read_greys(paths: Sequence[Path], sees: Size) -> Iterator[Grey]:
    """Yield the pictures as the model sees them."""
    return (read_grey(path, sees) for path in paths)


def usual_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Return the median width and height of the pictures in these files, by their headers; raises InputError."""
    sizes = []
    for path in paths:
        try:
            with Image.open(path, formats=("JPEG", "PNG")) as picture:
                sizes.append(picture.size)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_many_pixels(str(path)) from error
        except (OSError, ValueError, SyntaxError):
            read_picture(path)  # says what is wrong with it
    width, height = np.median(sizes, axis=0).astype(int).tolist()
    return width, height


def fingerprint(greys: Sequence[Grey]) -> str:
    """Return the SHA-256 over all pictures as the model sees them, in order."""
    digest = sha256()
    for grey in greys:
        digest.update(grey.tobytes())
    return digest.hexdigest()


def _too_many_pixels(name: str) -> InputError:
    most = MAX_PIXELS // 1_000_000
    return InputError(
        "too_large", f"{name}: more than {most} million pixels", f"{name}：超过 {MAX_PIXELS // 10_000} 万像素"
    )
