"""The page of commands: what `sunmao-edge` and `sunmao-cloud` offer, from their own command lines."""

from __future__ import annotations

from collections.abc import Iterator

import typer
import typer.main
from typer.core import TyperGroup

from cloud import cli as cloud_cli
from edge_agent import cli as edge_cli


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield every command with the words it is called by."""
    for name, app in (("sunmao-cloud", cloud_cli.app), ("sunmao-edge", edge_cli.app)):
        yield from _walk(name, typer.main.get_command(app))


def _walk(name: str, command: object) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    if isinstance(command, TyperGroup):
        for word, below in command.commands.items():
            yield from _walk(f"{name} {word}", below)
    elif isinstance(command, typer.core.TyperCommand):
        yield name, command


def undescribed() -> list[str]:
    """Return the commands and options that nobody has described."""
    found = [name for name, command in commands() if not command.help]
    return found + [
        f"{name} {option.name}"
        for name, command in commands()
        for option in command.params
        if not getattr(option, "help", None)
    ]


def commands_page() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Commands\n\nEvery command ends with 0 (well), 1 (what was looked at is not well), 2 (wrong use or configuration)"
        " or 3 (unreachable). `--json` prints for machines, `--lang zh` speaks Chinese.\n"
    ]
    for name, command in sorted(commands(), key=lambda each: each[0]):
        rows = [_row(option) for option in command.params if option.name not in ("as_json", "lang")]
        table = "\n".join(["| given | default | meaning |", "|---|---|---|", *rows]) + "\n" if rows else ""
        parts.append(f"\n## `{name}`\n\n{_line(command.help or '')}\n" + (f"\n{table}" if table else ""))
    return "".join(parts)


def _row(option: object) -> str:
    argument = getattr(option, "param_type_name", "") == "argument"
    names = [option.name.upper()] if argument else [*option.opts, *option.secondary_opts]  # type: ignore[attr-defined]
    written = ", ".join(f"`{name}`" for name in names)
    default = getattr(option, "default", None)
    if getattr(option, "required", False):
        shown = "required"
    elif default in (None, False, (), []) or callable(default):
        shown = "–"
    else:
        shown = f"`{default}`"
    return f"| {written} | {shown} | {_line(getattr(option, 'help', '') or '')} |"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
