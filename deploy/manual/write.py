"""Writes docs/manual: `python -P -m deploy.manual.write`."""

from __future__ import annotations

from pathlib import Path

from deploy.manual.commands import commands_page
from deploy.manual.errors import errors_page
from deploy.manual.options import options_page

ROOT = Path(__file__).parents[2]


def pages(root: Path = ROOT) -> dict[str, str]:
    """Return every generated page by its path below docs/manual."""
    mark = "<!-- Written by `make docs` from the code; change that. -->\n\n"
    return {
        "options.md": mark + options_page(),
        "commands.md": mark + commands_page(),
        "errors.md": mark + errors_page(root, "en"),
        "errors.zh.md": mark + errors_page(root, "zh"),
    }


def main() -> None:
    """Write the pages."""
    folder = ROOT / "docs" / "manual"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
