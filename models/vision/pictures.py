"""Pictures as files and as what a model sees; the same steps when fitting, judging and inspecting."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from models.errors import InputError

Grey = npt.NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 30_000_000


class Sample(NamedTuple):
    """A picture of a folder and the part it shows; pictures of one part are never split between folds."""

    path: Path
    part: str


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


def fit_to(picture: Image.Image, side: int) -> Grey:
    """Return the picture as the model sees it: side x side, grey, uint8."""
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8)


def list_samples(folder: Path) -> list[Sample]:
    """Return the pictures of `folder` with their parts, in order of their names.

    The part is taken from `parts.csv` (columns picture, part) if the folder has one; else from the subfolder the picture
    lies in; else from its name up to the last underscore ("cap17_2.png" shows part "cap17"), or the whole name.
    Raises InputError if there are no pictures or parts.csv does not name one of them.
    """
    if not folder.is_dir():
        raise InputError("no_pictures", f"{folder}: no such folder", f"{folder}：没有这个文件夹")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise InputError("no_pictures", f"{folder}: no JPEG or PNG pictures", f"{folder}：没有 JPEG 或 PNG 图片")
    listed = _listed_parts(folder / "parts.csv")
    return [Sample(path, _part(path, folder, listed)) for path in paths]


def read_grey(path: Path, side: int) -> Grey:
    """Return the picture in the file `path` as the model sees it; raises InputError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "unreadable", f"{path}: cannot be read: {error.strerror}", f"{path}：无法读取：{error.strerror}"
        ) from error
    return fit_to(decode(data, str(path)), side)


def read_greys(samples: Sequence[Sample], side: int) -> Iterator[Grey]:
    """Yield the samples' pictures as the model sees them."""
    return (read_grey(sample.path, side) for sample in samples)


def fingerprint(greys: Sequence[Grey]) -> str:
    """Return the SHA-256 over all pictures as the model sees them, in order."""
    digest = sha256()
    for grey in greys:
        digest.update(grey.tobytes())
    return digest.hexdigest()


def _listed_parts(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    try:
        rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        if not {"picture", "part"} <= set(rows.fieldnames or ()):
            raise InputError(
                "parts", f"{path}: needs the columns picture and part", f"{path}：须有 picture 与 part 两列"
            )
        return {row["picture"]: row["part"] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "parts", f"{path}: cannot be read; save it as CSV in UTF-8", f"{path}：无法读取；请另存为 UTF-8 编码的 CSV"
        ) from error


def _part(path: Path, folder: Path, listed: dict[str, str] | None) -> str:
    name = path.relative_to(folder).as_posix()
    if listed is not None:
        if name not in listed:
            raise InputError("parts", f"parts.csv does not name {name}", f"parts.csv 中没有 {name}")
        return listed[name]
    if path.parent != folder:
        return path.relative_to(folder).parts[0]
    return path.stem.rpartition("_")[0] or path.stem


def _too_many_pixels(name: str) -> InputError:
    most = MAX_PIXELS // 1_000_000
    return InputError(
        "too_large", f"{name}: more than {most} million pixels", f"{name}：超过 {MAX_PIXELS // 10_000} 万像素"
    )
