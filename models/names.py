"""What a model may be called."""

from __future__ import annotations

import re

from models.errors import InputError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""Lower-case letters, digits and dashes."""


def name_of(words: str) -> str:
    """Return what a model is called after a file or a folder: its letters and digits, with dashes between; "model" without any."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:64].strip("-") or "model"


def checked_name(name: str) -> str:
    """Return `name` if a model may be called that; raises InputError otherwise."""
    if not NAME.fullmatch(name):
        raise InputError(
            "name",
            f"'{name}' is not a model's name: lower-case letters, digits and dashes; give one with --name",
            f"“{name}”不能作模型名称：只能用小写字母、数字和短横线；请用 --name 指定",
        )
    return name
