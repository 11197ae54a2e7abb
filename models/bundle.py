"""A model bundle: a folder of four files that is either wholly trusted or refused with a named reason.

    card.toml       what the model is (`card.Card`)
    model.onnx      the model, self-contained
    checksums.txt   SHA-256 of the two, in the format of `sha256sum`
    signature       64 bytes: Ed25519 over checksums.txt

Every file is read once, within its limit, and only those bytes are judged and used, so that nothing can be exchanged
between check and use. The signature is checked before any content is interpreted. Needs neither onnx nor a runtime.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, NoReturn
from zipfile import ZIP_DEFLATED, ZipFile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.card import Card, TensorCard, format_card, parse_card
from models.errors import BundleRefused, InputError
from models.onnx_outline import Tensor, outline
from models.signing import signed_by

LIMITS = {"card.toml": 64 * 1024, "model.onnx": 64 * 1024 * 1024, "checksums.txt": 1024, "signature": 64}
"""Largest size of each file, bytes."""

MIN_OPSET, MAX_OPSET = 17, 21

# fmt: off
OPERATORS = frozenset({
    "Abs", "Add", "AveragePool", "Cast", "Concat", "Conv", "Div", "Greater", "GridSample", "Identity", "IsNaN", "Log", "MatMul", "Max",
    "MaxPool", "Mul", "Pad", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Reshape", "Softmax", "Sqrt", "Sub", "Tanh", "TopK",
    "Transpose", "Where",
})
# fmt: on
"""What a bundle may compute with: what this project's exporters write. None of them loops or branches."""

_KINDS = {"uint8": 2, "float32": 1, "int64": 7}  # TensorProto.DataType


class Bundle(NamedTuple):
    """A verified bundle. `signer` is the trusted public key; `digest` the SHA-256 of checksums.txt, the bundle's identity."""

    card: Card
    onnx: bytes
    signer: str
    digest: str


def read_bundle(folder: Path, trust: Sequence[str]) -> Bundle:
    """Return the bundle in `folder` after every check that needs no execution.

    Raises BundleRefused with the reason: "missing", "layout", "not_regular", "too_large", "unsigned", "untrusted",
    "altered", "card", "malformed", "external_data", "operator", "subgraph", "opset", "shapes".
    """
    files = _read(folder)
    signer = signed_by(files["signature"], files["checksums.txt"], trust)
    if signer is None:
        _refuse(folder, "untrusted", "its signature is not by a trusted key", "其签名不属于受信任的密钥")
    expected = checksums(files["card.toml"], files["model.onnx"])
    if files["checksums.txt"] != expected:
        signed = set(files["checksums.txt"].splitlines())
        line = next((line for line in expected.splitlines() if line not in signed), b"checksums.txt")
        name = line.split()[-1].decode()
        _refuse(folder, "altered", f"{name} was changed after signing", f"{name} 在签名后被改动")
    card = parse_card(files["card.toml"])
    check_onnx(files["model.onnx"], card)
    return Bundle(card, files["model.onnx"], signer, sha256(files["checksums.txt"]).hexdigest())


def check_onnx(onnx: bytes, card: Card) -> None:
    """Raise BundleRefused unless `onnx` keeps the rules for bundles and is what `card` says."""
    found = outline(onnx)
    if found.subgraphs:
        _refuse("model.onnx", "subgraph", "contains subgraphs (loops or branches)", "含有子图(循环或分支)")
    if foreign := sorted(found.operators - OPERATORS):
        names = ", ".join(foreign)
        _refuse(
            "model.onnx", "operator", f"uses operators that are not allowed: {names}", f"使用了不允许的算子：{names}"
        )
    opset = found.opsets.get("", found.opsets.get("ai.onnx", 0))
    if len(found.opsets) != 1 or opset != card.opset or not MIN_OPSET <= opset <= MAX_OPSET:
        _refuse(
            "model.onnx",
            "opset",
            f"operator sets {found.opsets} are not the single set {card.opset} of the card, {MIN_OPSET} to {MAX_OPSET}",
            f"算子集 {found.opsets} 与卡片声明的 {card.opset} 不符，或不在 {MIN_OPSET}~{MAX_OPSET} 之间",
        )
    for what, declared, carded in (("inputs", found.inputs, card.input), ("outputs", found.outputs, card.output)):
        if declared != tuple(_declared(tensor) for tensor in carded):
            _refuse("model.onnx", "shapes", f"its {what} are not those of the card", "输入或输出与卡片声明不符")


def write_bundle(folder: Path, card: Card, onnx: bytes, key: Ed25519PrivateKey) -> None:
    """Write a signed bundle to `folder`, which is created; raises InputError if it holds anything that is not a bundle's.

    Raises BundleRefused if the result would be refused: nothing is signed that would not run.
    """
    written = format_card(card)
    check_onnx(onnx, parse_card(written))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if foreign := sorted(set(os.listdir(folder)) - set(LIMITS)):
            raise InputError(
                "folder",
                f"{folder}: holds {foreign[0]}, which is no part of a bundle; choose an empty folder",
                f"{folder}：其中的 {foreign[0]} 不属于模型包；请选择空文件夹",
            )
        (folder / "card.toml").write_bytes(written)
        (folder / "model.onnx").write_bytes(onnx)
    except OSError as error:
        raise InputError(
            "folder", f"{folder}: cannot be written: {error.strerror}", f"{folder}：无法写入：{error.strerror}"
        ) from error
    sign_bundle(folder, key)


def sign_bundle(folder: Path, key: Ed25519PrivateKey) -> None:
    """Write checksums and signature for the card and model in `folder` as they are now, after checking them."""
    files = {name: _file(folder, name) for name in ("card.toml", "model.onnx")}
    check_onnx(files["model.onnx"], parse_card(files["card.toml"]))
    lines = checksums(files["card.toml"], files["model.onnx"])
    try:
        (folder / "checksums.txt").write_bytes(lines)
        (folder / "signature").write_bytes(key.sign(lines))
    except OSError as error:
        raise InputError(
            "folder", f"{folder}: cannot be written: {error.strerror}", f"{folder}：无法写入：{error.strerror}"
        ) from error


def checksums(card: bytes, onnx: bytes) -> bytes:
    """Return checksums.txt for these two files."""
    return f"{sha256(card).hexdigest()}  card.toml\n{sha256(onnx).hexdigest()}  model.onnx\n".encode()


def packed(name: str, files: Mapping[str, bytes]) -> bytes:
    """Return the folder `name` with a bundle's `files` as a ZIP file, to be unpacked where it is used."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for member, content in files.items():
            archive.writestr(f"{name}/{member}", content)
    return file.getvalue()


def _read(folder: Path) -> dict[str, bytes]:
    try:
        present = set(os.listdir(folder))
    except OSError as error:
        why = error.strerror
        raise BundleRefused("missing", f"{folder}: no bundle: {why}", f"{folder}：没有模型包：{why}") from error
    if foreign := sorted(present - set(LIMITS)):
        _refuse(
            folder, "layout", f"holds {foreign[0]}, which is no part of a bundle", f"其中的 {foreign[0]} 不属于模型包"
        )
    if not {"signature", "checksums.txt"} <= present:
        _refuse(folder, "unsigned", "the bundle is not signed", "模型包没有签名")
    files = {name: _file(folder, name) for name in LIMITS}
    if len(files["signature"]) != LIMITS["signature"]:
        _refuse(folder, "unsigned", "the signature is not 64 bytes", "签名长度不是 64 字节")
    return files


def _file(folder: Path, name: str) -> bytes:
    try:
        # Neither follow a link nor wait on a pipe: what is opened is judged before it is read.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _refuse(folder, "missing", f"{name} is missing", f"缺少 {name}")
    except OSError:
        _refuse(folder, "not_regular", f"{name} is not a readable regular file", f"{name} 不是可读的普通文件")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            _refuse(folder, "not_regular", f"{name} is not a regular file", f"{name} 不是普通文件")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LIMITS[name] + 1)
    finally:
        os.close(descriptor)
    if len(data) > LIMITS[name]:
        _refuse(folder, "too_large", f"{name} is above {LIMITS[name]} bytes", f"{name} 超过 {LIMITS[name]} 字节")
    return data


def _declared(tensor: TensorCard) -> Tensor:
    return Tensor(tensor.name, _KINDS[tensor.kind], tuple(tensor.shape))


def _refuse(where: Path | str, reason: str, en: str, zh: str) -> NoReturn:
    raise BundleRefused(reason, f"{where}: {en}", f"{where}:{zh}")
