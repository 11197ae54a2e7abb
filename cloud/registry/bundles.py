"""Uploaded bundles: unpacked within limits, verified, and run once in a child, before anything of them is kept."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from cloud.core.errors import Invalid
from models.bundle import LIMITS, Bundle, read_bundle
from models.errors import ModelError
from models.trial import try_bundle
from protocols.text import Text

MAX_UPLOAD_BYTES = sum(LIMITS.values()) + 4096

_NO_ZIP = Text("This is no ZIP file of a model's folder.", "这不是模型文件夹的 ZIP 文件。")


def unpacked(content: bytes) -> dict[str, bytes]:
    """Return the files of a bundle in a ZIP file, in one folder or none; raises Invalid naming what is too much or too large.

    No more is unpacked than a bundle's file may have, whatever the archive says of its sizes.
    """
    files: dict[str, bytes] = {}
    try:
        with ZipFile(BytesIO(content)) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename).name
                if member.is_dir():
                    continue
                if name not in LIMITS or name in files:
                    raise Invalid(
                        Text(f"'{member.filename}' is no part of a bundle.", f"“{member.filename}”不属于模型包。")
                    )
                with archive.open(member) as file:
                    files[name] = file.read(LIMITS[name] + 1)
                if len(files[name]) > LIMITS[name]:
                    raise Invalid(Text(f"{name} is above {LIMITS[name]} bytes.", f"{name} 超过 {LIMITS[name]} 字节。"))
    except (BadZipFile, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise Invalid(_NO_ZIP) from error
    return files


async def verified(files: Mapping[str, bytes], trust: Collection[str]) -> Bundle:
    """Return the bundle of `files` after every check a box makes, the trial run included; raises Invalid naming what is wrong."""
    return await asyncio.to_thread(_verified, files, trust)


def _verified(files: Mapping[str, bytes], trust: Collection[str]) -> Bundle:
    with TemporaryDirectory(prefix="sunmao-bundle-") as name:
        folder = Path(name) / "bundle"
        folder.mkdir()
        for member, content in files.items():
            (folder / member).write_bytes(content)
        try:
            bundle = read_bundle(folder, list(trust))
            try_bundle(bundle)
        except ModelError as error:
            where = f"{folder}: ", f"{folder}:"
            raise Invalid(Text(error.en.removeprefix(where[0]), error.zh.removeprefix(where[1]))) from error
    return bundle
