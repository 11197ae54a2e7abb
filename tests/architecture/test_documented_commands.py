"""Every command of ours that a document shows is one that the command lines take, and a guide shows no others unasked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer import Context
from typer._click.exceptions import BadOptionUsage, UsageError
from typer.main import get_command

import cloud.cli
import edge_agent.cli
import models.cli

ROOT = Path(__file__).parents[2]
OURS = {
    "sunmao-edge": edge_agent.cli.app,
    "sunmao-cloud": cloud.cli.app,
    "sunmao-model": models.cli.app,
}
FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```", re.S | re.M)
INLINE = re.compile(r"`((?:sunmao-edge|sunmao-cloud|sunmao-model) [^`]+)`")
ROOMS = ("docs", "protocols", "edge_agent", "cloud", "models", "deploy")
SCRIPTS = {
    "deploy/bundle.sh": "deploy/bundle.sh",
    "sunmao-bundle/install.sh": "deploy/cloud/install.sh",
    "sunmao-cloud-backup": "deploy/cloud/backup.sh",
    "sunmao-cloud-restore": "deploy/cloud/restore.sh",
}
"""Our commands that are shell scripts, and what each is here."""


def documents(root: Path) -> list[Path]:
    """Return what people read: the documents, and the READMEs of the rooms."""
    return sorted([*root.glob("*.md"), *(path for room in ROOMS for path in root.glob(f"{room}/**/*.md"))])


def shown(text: str) -> Iterator[str]:
    """Yield the lines of a document's fenced and indented blocks that may be commands, continued ones as one."""
    blocks = "".join(FENCED.findall(text)) + "\n".join(re.findall(r"^ {4}(\S.*)$", FENCED.sub("", text), re.M))
    for line in blocks.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def words_of(line: str) -> list[str]:
    """Return the words of the line's first command; what a reader fills in or may leave out counts as given."""
    filled = re.sub(r"<[^<>]+>|…", "X", line).replace("[", "").replace("]", "")
    words = shlex.split(filled, comments=True)
    end = next((at for at, word in enumerate(words) if word in {"|", ">", ">>", "&&", ";", "&"}), len(words))
    return [word for word in words[:end] if word != "..."]


def fault(line: str) -> str:
    """Return what the command line would not take of `line`; "" if it is well or none of ours."""
    try:
        program, *words = words_of(line)
    except ValueError as error:
        return "" if not line.startswith("sunmao-") else f"{line}: {error}"
    program = program.removeprefix(".venv/bin/")
    if program not in OURS:
        return ""
    return refused(line, program, words)


@cache
def command_of(program: str) -> Any:
    """Return a command line as a tree; making one takes long."""
    return get_command(OURS[program])


def refused(line: str, program: str, words: list[str]) -> str:
    """Return what the command line `program` would not take of `words`."""
    command = command_of(program)
    while hasattr(command, "commands"):
        if not words or words[0] in {"--help", "--version"}:
            return ""
        if words[0] not in command.commands:
            return f"{line}: there is no command '{words[0]}'"
        command = command.commands[words.pop(0)]
    try:
        given, left, _ = command.make_parser(Context(command)).parse_args(words)
    except UsageError as error:
        mentioned = isinstance(error, BadOptionUsage) and line.endswith("...")
        return "" if mentioned else f"{line}: {error.format_message()}"
    if left:
        return f"{line}: '{left[0]}' is one word too many"
    if "..." in line:
        return ""
    needed = [each for each in command.params if each.required and not each.envvar]
    missing = [each.opts[0] for each in needed if given.get(each.name) in (None, ())]
    return f"{line}: {missing[0]} is missing" if missing else ""


def unknown(root: Path, line: str) -> str:
    """Return what a command of a guide names that is not in the repository; "" if all is there."""
    words = [word for word in words_of(line) if not re.match(r"[A-Z_]+=", word)]
    program, *words = words[1:] if words[0] == "sh" else words
    if program in OURS or program in {"pip", "systemctl"}:
        return ""
    if program == "make":
        made = (root / "Makefile").read_text(encoding="utf-8")
        return "".join(f"{line}: make {each}" for each in words if not re.search(rf"^{each}:", made, re.M))
    if program in SCRIPTS:
        text = (root / SCRIPTS[program]).read_text(encoding="utf-8")
        return "".join(
            f"{line}: {each}" for each in words if each.startswith("--") and not re.search(f"{each}[ )]", text)
        )
    if [program, *words[:2]] == [".venv/bin/python", "-m", "pytest"]:
        return "".join(f"{line}: {each}" for each in words[2:] if "/" in each and not (root / each).exists())
    return f"{line}: nothing says what '{program}' is"


def test_a_guide_shows_commands_that_are_there() -> None:
    found = [
        unknown(ROOT, line)
        for guide in ROOT.glob("docs/guides/*.md")
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", guide.read_text(encoding="utf-8"), re.S | re.M)
        for line in block.splitlines()
    ]
    assert len(found) > 50
    assert list(filter(None, found)) == []


@pytest.mark.parametrize(
    "line",
    ["make coffee", "deploy/bundle.sh --sing k", ".venv/bin/python -m pytest tests/nothing", "sunmao-cloud-bakcup"],
)
def test_a_command_that_is_not_there_is_caught(line: str) -> None:
    assert unknown(ROOT, line)


def test_every_command_of_ours_is_one_the_command_lines_take() -> None:
    faults = []
    for document in documents(ROOT):
        text = document.read_text(encoding="utf-8")
        inline = [f"{each} ..." for each in INLINE.findall(FENCED.sub("", text))]
        found = filter(None, map(fault, [*shown(text), *inline]))
        faults += [f"{document.relative_to(ROOT)}: {each}" for each in found]
    assert faults == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sunmao-edge library lint", "files is missing"),
        ("sunmao-edge fly", "there is no command 'fly'"),
        ("sunmao-model fit vision good/ --out a --kye b.pem", "No such option"),
        ("sunmao-edge read agent.toml press 3", "one word too many"),
        ("sunmao-cloud audit verify --data ...", ""),
        ("sunmao-edge identify <address> | less", ""),
        ("make nothing", ""),
    ],
)
def test_a_command_that_is_not_taken_is_caught(line: str, said: str) -> None:
    assert said in fault(line) if said else not fault(line)
