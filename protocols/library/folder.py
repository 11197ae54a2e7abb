"""The folder of templates a plant keeps for itself, beside those the library comes with.

It is `library` beside the configuration file; until a configuration is read, `library` in the working folder. A template
there is known by its id as the library's own are; where both have one of the same id, the plant's counts.
"""

from __future__ import annotations

import re
from pathlib import Path

NAME = "library"
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_folder = [Path(NAME)]


def use_folder(folder: Path) -> None:
    """Look for the plant's own templates in `folder` from now on, in the whole process; it need not exist."""
    _folder[0] = folder


def own_folder() -> Path:
    """Return where the plant's own templates are looked for."""
    return _folder[0]


def own_templates() -> dict[str, Path]:
    """Return the files of the plant's own templates by id."""
    return {file.stem: file for file in sorted(own_folder().glob("*.toml")) if _ID.fullmatch(file.stem)}
