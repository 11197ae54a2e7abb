"""A signed archive: a program as a ZIP file, wholly trusted or refused with a named reason.

    checksums.txt   SHA-256 of every other file but the signature, in the format of `sha256sum`
    signature       64 bytes: Ed25519 over checksums.txt

The signature is checked before anything else is unpacked, and no more is unpacked than was allowed for, whatever the archive
says of its sizes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, NoReturn
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.errors import BundleRefused, InputError
from models.signing import signed_by

MOST_BYTES, MOST_FILES = 64 << 20, 2000
"""Of an archive, packed and unpacked alike."""
CHECKSUMS, SIGNATURE = "checksums.txt", "signature"
_LIST_BYTES, _SIGNATURE_BYTES = 512 * 1024, 64
_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/){0,8}[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Archive(NamedTuple):
    """A verified archive: its files by name, and the trusted key that has signed it."""

    files: dict[str, bytes]
    signer: str


def read_archive(content: bytes, trust: Sequence[str]) -> Archive:
    """Return the archive in a ZIP file after every check.

    Raises BundleRefused with the reason: "malformed", "unsigned", "untrusted", "layout", "too_large", "altered".
    """
    try:
        with ZipFile(BytesIO(content)) as zipped:
            lines, signature = _said(zipped)
            signer = signed_by(signature, lines, trust)
            if signer is None:
                _refuse("untrusted", "its signature is not by a key that is trusted", "其签名不属于受信任的密钥")
            files = _unpacked(zipped)
    except (BadZipFile, RuntimeError, EOFError, OSError, zlib.error) as error:
        _refuse("malformed", "it is no whole ZIP file", "不是完整的 ZIP 文件", error)
    if _checksums(files) != lines:
        _refuse("altered", "its files are not those that were signed", "其内容与签名时不一致")
    return Archive(files, signer)


def pack_archive(folder: Path, key: Ed25519PrivateKey) -> bytes:
    """Return the files below a folder as an archive signed by `key`, the same bytes each time.

    What Python itself leaves there (`__pycache__`) and what begins with a dot stays out. Raises InputError.
    """
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or any(part.startswith(".") or part == "__pycache__" for part in name.split("/")):
            continue
        if path.is_symlink() or not _NAME.fullmatch(name) or name in (CHECKSUMS, SIGNATURE):
            raise InputError(
                "archive",
                f"{path}: cannot be part of an archive: name it with letters, digits, '_', '-' and '.', and no link",
                f"{path}：无法打包：文件名仅限字母、数字、“_”“-”“.”，且不能是链接",
            )
        files[name] = path.read_bytes()
    if not files or len(files) > MOST_FILES or sum(map(len, files.values())) > MOST_BYTES:
        most = f"{MOST_FILES} files, {MOST_BYTES >> 20} MiB"
        raise InputError(
            "archive",
            f"{folder}: an archive has at least a file and at most {most}",
            f"{folder}：归档至少一个文件，至多 {most}",
        )
    lines = _checksums(files)
    return zip_of(files | {CHECKSUMS: lines, SIGNATURE: key.sign(lines)})


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """Return files as a ZIP file that depends on nothing but them."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as zipped:
        for name, content in sorted(files.items()):
            zipped.writestr(ZipInfo(name), content, ZIP_DEFLATED)
    return packed.getvalue()


def unzipped(content: bytes, most_bytes: int) -> dict[str, bytes]:
    """Return the files of a ZIP file, of at most so many bytes together; raises BundleRefused."""
    try:
        with ZipFile(BytesIO(content)) as zipped:
            return _unpacked(zipped, most_bytes)
    except (BadZipFile, RuntimeError, EOFError, OSError, zlib.error) as error:
        _refuse("malformed", "it is no whole ZIP file", "不是完整的 ZIP 文件", error)


def _said(zipped: ZipFile) -> tuple[bytes, bytes]:
    found = []
    for name, most in ((CHECKSUMS, _LIST_BYTES), (SIGNATURE, _SIGNATURE_BYTES)):
        try:
            with zipped.open(name) as file:
                found.append(file.read(most + 1))
        except KeyError as error:
            _refuse("unsigned", "it is not signed", "没有签名", error)
        if len(found[-1]) > most:
            _refuse("unsigned", f"its {name} is above {most} bytes", f"其 {name} 超过 {most} 字节")
    return found[0], found[1]


def _unpacked(zipped: ZipFile, most_bytes: int = MOST_BYTES) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = most_bytes
    for member in zipped.infolist():
        name = member.filename
        if member.is_dir():
            continue
        if not _NAME.fullmatch(name) or name in files or len(files) > MOST_FILES + 2:
            _refuse("layout", f"'{name[:100]}' cannot be one of its files", f"不能包含“{name[:100]}”")
        with zipped.open(member) as file:
            files[name] = file.read(left + 1)
        left -= len(files[name])
        if left < 0:
            _refuse(
                "too_large", f"it unpacks to more than {most_bytes >> 20} MiB", f"解压后超过 {most_bytes >> 20} MiB"
            )
    return files


def _checksums(files: Mapping[str, bytes]) -> bytes:
    told = {name: content for name, content in files.items() if name not in (CHECKSUMS, SIGNATURE)}
    return "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in sorted(told.items())).encode()


def _refuse(reason: str, en: str, zh: str, cause: Exception | None = None) -> NoReturn:
    raise BundleRefused(reason, f"the archive is refused: {en}", f"归档被拒绝：{zh}") from cause
