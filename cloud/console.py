"""What the commands of `sunmao-cloud` share: their options, the installation they work on, and how they answer."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from protocols.errors import ConfigError, SunmaoError
from protocols.text import Language, Text

if TYPE_CHECKING:
    from cloud.core.db import Database
    from cloud.core.installation import Installation

Data = Annotated[Path, typer.Option("--data", help="Folder of the database and the secrets. 数据目录。")]
ColdUrl = Annotated[
    str | None,
    typer.Option(
        "--cold-store", help="Where old readings go: file:///folder, s3://...; DATA/cold if none. 冷数据存储。"
    ),
]
Dsn = Annotated[
    str | None,
    typer.Option("--dsn", envvar="SUNMAO_DSN", help="PostgreSQL to use instead of the embedded one. 外部数据库。"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines. 输出 JSON。")]
Lang = Annotated[str | None, typer.Option("--lang", help="en or zh; the shell's locale decides otherwise. 语言。")]
TenantName = Annotated[
    str | None, typer.Option("--tenant", help="Name or id; needed where there are several. 企业名称或编号。")
]
DATA = Path("sunmao-data")
_WIDTH = 160
"""Of a table that no terminal shows."""


class Column(NamedTuple):
    """A column of a table: its title, and what it shows of a row. Amounts stand to the right."""

    title: Text
    cell: Callable[[Any], object]
    amount: bool = False


@contextmanager
def installed(data: Path, dsn: str | None) -> Iterator[Installation]:
    """Have the installation in the folder `data`, or on the database `dsn`, ready to be used."""
    from cloud.core.installation import Installation
    from cloud.core.settings import Settings

    # An empty variable is none to the command line; here it is one that somebody forgot to fill in.
    with Installation(Settings(data, os.environ.get("SUNMAO_DSN") if dsn is None else dsn)) as here:
        yield here


def with_database(here: Installation, act: Callable[[Database], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Return what `act` finds with the database open."""
    from cloud.core.db import Database

    async def run() -> dict[str, Any]:
        async with Database(here.dsn) as db:
            return await act(db)

    return asyncio.run(run())


def checked(model: Any, fields: Mapping[str, Any]) -> Any:
    """Return a `model` of `fields`; raises ConfigError that names the option of the first wrong one."""
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        raise ConfigError(
            Text(fault["msg"], "值无效"),
            Text("see --help", "请参阅 --help"),
            key=f"--{name.replace('_', '-')}",
        ) from error


@contextmanager
def explained(language: Language, as_json: bool) -> Iterator[None]:
    """Turn a failure a person can act on into one line and the exit status."""
    try:
        yield
    except SunmaoError as error:
        _fail(error.explain(language), as_json)
        raise typer.Exit(error.exit_code) from error
    except Exception as error:
        # A provider's worker has nothing of a cloud installed; whoever raises a Problem has.
        known = sys.modules.get("cloud.core.errors")
        if known is None or not isinstance(error, known.Problem):
            raise
        _fail(error.detail.to(language), as_json)
        raise typer.Exit(2) from error


@contextmanager
def progress(as_json: bool) -> Iterator[Callable[[float], None]]:
    """Show how much is done, on standard error; give what is to be told the share."""
    from rich.console import Console
    from rich.progress import Progress

    shown = sys.stderr.isatty() and not as_json
    # What is printed meanwhile is kept off the bar, but only where both are on the same screen.
    beside = sys.stdout.isatty()
    with Progress(console=Console(stderr=True), disable=not shown, transient=True, redirect_stdout=beside) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _fail(line: str, as_json: bool) -> None:
    import json

    typer.echo(json.dumps({"error": line}, ensure_ascii=False) if as_json else line, err=not as_json)


def answer(as_json: bool, value: Mapping[str, Any], said: Text, language: Language) -> None:
    """Print `value` for machines or `said` for people."""
    import json

    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else said.to(language))


def content_of(file: Path, key: str, give: Text) -> str:
    """Return the text of a file that somebody names by `key`; raises ConfigError, with `give` as what to name instead."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            Text(f"{file} cannot be read: {error}", f"无法读取 {file}：{error}"), give, key=key
        ) from error


def table(found: Mapping[str, Any]) -> None:
    """Print names and values."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(show_header=False, box=None)
    for name, value in found.items():
        shown.add_row(name, str(value))
    Console().print(shown)


def listed(rows: Iterable[Any], columns: Sequence[Column], language: Language) -> str:
    """Return a table as text; what others have written is shown without characters that steer a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Cell

    def cell(value: object) -> Cell:
        said = value.to(language) if isinstance(value, Text) else str(value)
        return Cell("".join(each for each in said if each.isprintable()))

    shown = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        # What commands take - a code, an id - stands first and is never broken: it is copied.
        justify: Literal["left", "right"] = "right" if column.amount else "left"
        shown.add_column(column.title.to(language), justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        shown.add_row(*(cell(column.cell(row)) for column in columns))
    text = io.StringIO()
    Console(file=text, width=shutil.get_terminal_size((_WIDTH, 0)).columns, color_system=None).print(shown)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def cold_url(given: str | None, data: Path) -> str:
    """Return the URL of the store of old readings: the one `given`, or a folder beside the database."""
    return given or (data / "cold").absolute().as_uri()
