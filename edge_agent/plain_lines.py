"""Says what was found, or what went wrong, in lines: for people in their language, for machines as JSON.

It needs none of the libraries that draw tables, for the agent that runs all year (see `service`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from protocols.errors import SunmaoError
from protocols.text import Language, Text


@contextmanager
def explained(language: Language) -> Iterator[None]:
    """End with one line on standard error and the right exit status whatever foreseeable goes wrong within."""
    try:
        yield
    except SunmaoError as error:
        line, code = error.explain(language), error.exit_code
    except OSError as error:
        line, code = f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), 2
    else:
        return
    sys.stderr.write(line + "\n")
    raise SystemExit(code)


def print_line(line: str) -> None:
    """Write one line to standard output at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Write `value` as one line of JSON."""
    print_line(msgspec.json.encode(value).decode())


def say(found: Any, text: Text, language: Language, as_json: bool) -> None:
    """Say one thing: `found` to machines, `text` to people."""
    if as_json:
        print_json(found)
    else:
        print_line(text.to(language))
