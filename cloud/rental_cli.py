"""What the commands of renting share: the platform as a company's token reaches it, its refusals in one line, and tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cloud.console import Column, answer, content_of, explained, listed
from protocols.errors import ConfigError, Malformed, SunmaoError, Unreachable
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    import httpx

Url = Annotated[str, typer.Option("--url", envvar="SUNMAO_URL", help="Address of the platform. 平台地址。")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="SUNMAO_TOKEN_FILE",
        help="File with a token of your company; else SUNMAO_TOKEN, else it is asked for. 存放企业访问令牌的文件。",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write it. 保存位置。")]
Side = Annotated[
    Literal["customer", "provider"],
    typer.Option("--side", help="customer: what you rent; provider: what runs at your offers. 客户或提供方。"),
]
Month = Annotated[str, typer.Option("--month", help="A month of China, as 2026-11. 月份。")]

_GIVE = Text("give a file you may read; make a token under People", "请提供可读取的文件；令牌在“人员”页面创建")
_MAKE = Text("make a token under People and give it by --token-file", "请在“人员”页面创建令牌，并用 --token-file 指定")
_SEE = Text("see docs/compute.md", "请参阅 docs/compute.zh.md")
_LATER = Text("try again later", "请稍后重试")
_LISTED = {
    "jobs": "jobs",
    "offers": "offers --own",
    "invoices": "invoices list",
    "vouchers": "vouchers list",
    "applications": "applications",
}
"""What an id in a path is one of -> the command that lists them."""
_OPERATORS = ("billing/applications", "compute/quotas")
"""What is answered to nobody else."""
_TIMEOUT_S = 60.0


@contextmanager
def rented(url: str, token_file: Path | None, as_json: bool, lang: str | None) -> Iterator[Platform]:
    """Have the platform ready to be asked, with failures explained."""
    import httpx

    language = choose_language(lang)
    with explained(language, as_json):
        headers = {"Authorization": f"Bearer {_token(token_file)}", "Accept-Language": language}
        with httpx.Client(headers=headers, timeout=_TIMEOUT_S) as client:
            yield Platform(f"{url.rstrip('/')}/api/v1/", client, as_json, language)


class Platform:
    """The platform as a company's token reaches it, and how a command answers."""

    def __init__(self, url: str, client: httpx.Client, as_json: bool, language: Language) -> None:
        self._url, self._client = url, client
        self.as_json, self.language = as_json, language

    def ask(
        self, method: str, path: str, *, key: str | None = None, mend: Text = _LATER, **request: Any
    ) -> httpx.Response:
        """Return the answer.

        Raises ConfigError with the platform's words, said of `key`, where it refuses, and Unreachable, which says `mend`,
        where nobody answers or the platform cannot now.
        """
        import httpx

        try:
            found = self._client.request(method, self._url + path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = Text(f"{self._url} does not answer: {error}", f"{self._url} 无应答：{error}")
            raise Unreachable(what, mend, key="--url") from error
        if not found.is_success:
            raise self._refusal(found, path, key or path)
        return found

    def get(self, path: str, **query: Any) -> Any:
        """Return what stands at a path, as Python values; raises as `ask`, and Malformed for what is no JSON."""
        return self.told(self.ask("GET", path, params={name: value for name, value in query.items() if value}))

    def told(self, found: httpx.Response) -> Any:
        """Return an answer as Python values; raises Malformed for what is no JSON."""
        try:
            return found.json()
        except ValueError as error:
            raise self._foreign() from error

    def say(self, value: Any, said: str | Text) -> None:
        """Print `value` for machines, or `said` for people."""
        answer(self.as_json, value, said if isinstance(said, Text) else Text(said, said), self.language)

    def keep(self, file: Path, content: bytes) -> None:
        """Write what was fetched, and print where."""
        write(file, content)
        self.say({"file": str(file)}, str(file))

    def show(self, name: str, rows: Sequence[Any], columns: Sequence[Column], none: Text) -> None:
        """Print rows: for machines under their name, for people as a table, or `none` where there are none."""
        self.say({name: rows}, listed(rows, columns, self.language) if rows else none)

    def pick(self, found: dict[str, Any], name: str) -> str:
        """Return `name` of an answer in the caller's language."""
        return str(found[f"{name}_{self.language}"])

    def _foreign(self) -> Malformed:
        return Malformed(
            Text(f"{self._url} answers, but it is no Sunmao platform", f"{self._url} 有应答，但不是榫卯平台"),
            Text("check the address", "请检查地址"),
            key="--url",
        )

    def _refusal(self, found: httpx.Response, path: str, key: str) -> SunmaoError:
        try:
            body = found.json()
            why, faults = str(body["detail"]), [dict(each) for each in body.get("errors", [])]
        except (ValueError, KeyError, TypeError):
            return self._foreign()
        if found.status_code >= 500 or found.status_code == 429:
            return Unreachable(Text(why, why), _LATER, key="--url")
        what, mend = Text(why, why), _SEE
        _, kind, identity, *_ = [*path.split("/"), "", ""]
        in_path = any(each["where"].startswith("path") for each in faults)
        if found.status_code == 401:
            mend, key = _MAKE, "--token-file"
        elif kind in _LISTED and identity and (found.status_code == 404 or in_path):
            command = f"sunmao-cloud compute {_LISTED[kind]}"
            what = Text("there is nothing of this id", "没有该编号的内容")
            mend, key = Text(f"`{command}` lists what there is", f"请用 `{command}` 查看"), identity
        elif found.status_code == 404 and path in _OPERATORS:
            mend = Text("it is the market operator's only", "仅限市场运营方")
        elif found.status_code == 404:
            what = Text(
                "something it names is not there, or not your company's", "其中指定的内容不存在，或不属于本企业"
            )
        elif faults:
            why = "; ".join(f"{each['where'].removeprefix('body.')}: {each['message']}" for each in faults)
            what = Text(why, why)
        return ConfigError(what, mend, key=key)


def utc(time: str | None) -> str:
    """Return a time of the API for people, to the minute."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M}" if time else "–"


def yuan(amount: float | None) -> str:
    """Return an amount for people: with more digits where it is small, since a job may cost less than a fen."""
    if amount is None:
        return "–"
    return f"{amount:,.2f}" if not amount or abs(amount) >= 1 else f"{amount:,.4f}"


def write(file: Path, content: bytes, *, secret: bool = False) -> None:
    """Write a file wholly or not at all, one that is `secret` for its owner only; raises ConfigError."""
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.touch(0o600 if secret else 0o666)
        part.write_bytes(content)
        part.replace(file)
    except OSError as error:
        raise ConfigError(
            Text(f"{file} cannot be written: {error}", f"无法写入 {file}：{error}"),
            Text("name a place you may write to", "请指定可写入的位置"),
            key="--out",
        ) from error


def _token(file: Path | None) -> str:
    if file:
        token = content_of(file, "--token-file", _GIVE).strip()
    else:
        token = os.environ.get("SUNMAO_TOKEN", "").strip()
        if not token and sys.stdin.isatty():
            token = typer.prompt("Token 令牌", hide_input=True, err=True).strip()
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        what = Text("no token is given", "未提供令牌") if not token else Text("it is no token", "不是令牌")
        raise ConfigError(what, _MAKE, key="--token-file")
    return token
