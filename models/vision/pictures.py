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
from models.vision.layout import is_mask

Grey = npt.NDArray[np.uint8]

Size = int | tuple[int, int]
"""Side of a square, or width and height, pixels."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
"""Of files that a box takes from a camera."""
FORMATS = ("JPEG", "PNG")
FILE_FORMATS = (*FORMATS, "BMP", "TIFF", "WEBP")
"""Of files on somebody's own disk; what comes from elsewhere is decoded by as little as possible."""
FILE_SUFFIXES = SUFFIXES | {".jfif", ".bmp", ".tif", ".tiff", ".webp"}
MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 30_000_000


def decode(data: bytes, name: str, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Return the picture in `data`, decoded, in greys of 8 bits; `name` is for messages.

    Raises InputError with the reason "too_large" (judged by the header, before any pixel) or "unreadable".
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            "too_large", f"{name}: larger than {MAX_BYTES >> 20} MiB", f"{name}：图片超过 {MAX_BYTES >> 20} MiB"
        )
    try:
        picture = Image.open(BytesIO(data), formats=formats)
        if picture.width * picture.height > MAX_PIXELS:
            raise _too_many_pixels(name)
        return _eight_bits(picture) if picture.mode.startswith("I") else picture.convert("L")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(name) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(
            "unreadable",
            f"{name}: not a complete {_or(formats)} picture",
            f"{name}：不是完整的 {_or(formats, ' 或 ')} 图片",
        ) from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return greys of 16 bits, or of a camera's 12 in 16, as 8: Pillow would make white of all above 255."""
    wide = np.asarray(picture)
    return Image.fromarray((wide >> (4 if wide.max() < 1 << 12 else 8)).clip(0, 255).astype(np.uint8))


def _or(names: Sequence[str], word: str = " or ") -> str:
    return f"{', '.join(names[:-1])}{word}{names[-1]}"


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
    """Return the pictures of `folder` and the folders in it, in order of their names; raises InputError if there are none.

    Hidden files are none, nor are masks of defects: those in a folder called so, and a PNG of black and white beside the
    picture of the same name.
    """
    if not folder.is_dir():
        raise InputError("no_pictures", f"{folder}: no such folder", f"{folder}：没有这个文件夹")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    paths = sorted(path for path in files if path.suffix.lower() in FILE_SUFFIXES)
    paths = [path for path in paths if not any(is_mask(each) for each in path.relative_to(folder).parts[:-1])]
    shown = {path.with_suffix("") for path in paths if path.suffix.lower() != ".png"}
    paths = [
        path
        for path in paths
        if path.suffix.lower() != ".png" or path.with_suffix("") not in shown or not _two_greys(path)
    ]
    if not paths:
        there = ", ".join(sorted({path.suffix for path in files if path.suffix})[:5])
        en, zh = (f"; there are {there}", f"；现有 {there}") if there else ("", "")
        raise InputError(
            "no_pictures",
            f"{folder}: no {_or(FILE_FORMATS)} pictures{en}",
            f"{folder}：没有 {_or(FILE_FORMATS, ' 或 ')} 图片{zh}",
        )
    return paths


def _two_greys(path: Path) -> bool:
    """Whether a picture is black and white, but for the edges between."""
    grey = np.asarray(read_picture(path))
    return bool(np.mean((grey > 32) & (grey < 223)) < 0.05)


def read_picture(path: Path) -> Image.Image:
    """Return the picture in the file `path`, in its own size; raises InputError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "unreadable", f"{path}: cannot be read: {error.strerror}", f"{path}：无法读取：{error.strerror}"
        ) from error
    return decode(data, str(path), FILE_FORMATS)


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
            with Image.open(path, formats=FILE_FORMATS) as picture:
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
