"""The command of `sunmao-model` on archives of programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.console import Json, Key, Lang, answer, explained
from models.errors import InputError, choose_language


def archive(
    folder: Annotated[Path, typer.Argument(help="Folder with the program, entry.py in it. 程序目录，含 entry.py。")],
    *,
    key: Key,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write. 输出文件。")],
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Pack a program and sign it, for a job of kind python. 打包并签名自有程序，用于 python 类作业。"""
    from models.archive import pack_archive
    from models.signing import load_key, public_key

    language = choose_language(lang)
    with explained(language, as_json):
        signing_key = load_key(key)
        content = pack_archive(folder, signing_key)
        try:
            out.write_bytes(content)
        except OSError as error:
            why = error.strerror
            raise InputError("out", f"{out}: cannot be written: {why}", f"{out}：无法写入：{why}") from error
        told = {"file": str(out), "bytes": len(content), "public_key": public_key(signing_key)}
        said = {"en": f"{out}: {len(content)} bytes, signed", "zh": f"{out}：{len(content)} 字节，已签名"}
        answer(as_json, told, said[language])
