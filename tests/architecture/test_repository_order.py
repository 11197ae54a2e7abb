"""Order among the files git tracks: names, lengths, no place that exists on one machine only, no index in a lock file."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT_SUFFIXES = {
    ".cfg", ".css", ".csv", ".html", ".js", ".json", ".lock", ".md", ".py", ".service", ".sh", ".sql", ".toml", ".yaml", ".yml", "",
}  # fmt: skip
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
LONGEST_FILE = 400

MACHINE_PATH = re.compile(r"(?<![\w./:~-])/(?:home|root|Users|work|mnt|tmp|private)/[\w.-]+")
"""A path only one machine has. The folders of a Debian system (/etc, /usr, /var ...) are everybody's."""
LOCKED_ADDRESS = re.compile(r"\w+://|--(?:extra-)?index-url|--find-links|@ file:")

Files = dict[Path, str]
"""Path relative to the root -> text."""


def tracked_files(root: Path) -> Files:
    """Return the text of every file git tracks or would track under `root`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    return {
        Path(name): (root / name).read_text(encoding="utf-8")
        for name in listed
        if name and (root / name).is_file() and Path(name).suffix in TEXT_SUFFIXES
    }


def banned_names(files: Files) -> Iterator[str]:
    for path in files:
        for part in path.parts:
            if part.partition(".")[0].lower() in BANNED_NAMES:
                yield f"{path}: '{part}' says nothing about what is inside"


def long_files(files: Files) -> Iterator[str]:
    for path, text in files.items():
        if path.suffix == ".py" and path.parts[0] != "tests" and len(text.splitlines()) > LONGEST_FILE:
            yield f"{path}: {len(text.splitlines())} lines, more than {LONGEST_FILE}"


def machine_paths(files: Files) -> Iterator[str]:
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if found := MACHINE_PATH.search(line):
                yield f"{path}:{number}: {found.group()}"


def addresses_in_locks(files: Files) -> Iterator[str]:
    for path, text in files.items():
        if path.suffix == ".lock" or path.name in {"package-lock.json", "npm-shrinkwrap.json"}:
            for number, line in enumerate(text.splitlines(), 1):
                if LOCKED_ADDRESS.search(line):
                    yield f"{path}:{number}: {line.strip()}"


def unhashed_requirements(files: Files) -> Iterator[str]:
    for path, text in files.items():
        if path.name == "requirements.lock":
            for requirement in re.split(r"\n(?=\S)", text):
                if re.match(r"[A-Za-z0-9]", requirement) and not re.search(r"==\S+.*--hash=sha256:", requirement, re.S):
                    yield f"{path}: {requirement.splitlines()[0]}"


def unmarked_packages(files: Files) -> Iterator[str]:
    """A folder of modules without `__init__.py`: import-linter would not see into it."""
    packages = {"protocols", "models", "edge_agent", "cloud"}
    for path in files:
        if path.suffix == ".py" and path.parts[0] in packages and path.parent / "__init__.py" not in files:
            yield f"{path.parent}: __init__.py is missing"


def unfinished_code(files: Files) -> Iterator[str]:
    for path, text in files.items():
        if path.suffix == ".py" and path.parts[0] != "tests":
            for number, line in enumerate(text.splitlines(), 1):
                if re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", line):
                    yield f"{path}:{number}: {line.strip()}"


def merges_left_open(files: Files) -> Iterator[str]:
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"(<{7}|>{7}) \S", line):
                yield f"{path}:{number}: {line}"


Check = Callable[[Files], Iterator[str]]
PLANTED: dict[Check, tuple[str, str]] = {
    banned_names: ("cloud/helpers.py", ""),
    long_files: ("cloud/long.py", "x = 1\n" * (LONGEST_FILE + 1)),
    machine_paths: ("edge_agent/place.py", 'FOLDER = "/home/' + 'somebody/data"\n'),
    addresses_in_locks: ("requirements.lock", "--index-url https://example.org/simple\n"),
    unhashed_requirements: ("requirements.lock", "httpx==0.28.1\n"),
    unmarked_packages: ("cloud/new_room/service.py", ""),
    merges_left_open: ("docs/notes.md", "<" * 7 + " HEAD\n"),
    unfinished_code: ("models/draft.py", "# TO" + "DO\n"),
}


@pytest.mark.parametrize("check", PLANTED, ids=lambda check: check.__name__)
def test_the_repository_is_in_order(check: Check) -> None:
    assert list(check(tracked_files(ROOT))) == []


@pytest.mark.parametrize("check", PLANTED, ids=lambda check: check.__name__)
def test_disorder_is_caught(check: Check) -> None:
    name, text = PLANTED[check]
    findings = list(check({Path(name): text}))
    assert len(findings) == 1
    assert findings[0].startswith(name.removesuffix("/service.py"))
