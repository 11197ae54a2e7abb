"""`sunmao-cloud compute` for who rents: hours bought ahead and what jobs write, over the platform's API with a token of the company."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.console import Json, Lang, answer, content_of, explained
from protocols.errors import ConfigError, Unreachable
from protocols.text import Text, choose_language

Url = Annotated[str, typer.Option("--url", envvar="SUNMAO_URL", help="Address of the platform. 平台地址。")]
TokenFile = Annotated[
    Path, typer.Option("--token-file", help="File with a token of your company. 存放企业访问令牌的文件。")
]
_GIVE = Text("give a file you may read; make a token under People", "请提供可读取的文件；令牌在“人员”页面创建")
_TIMEOUT_S = 30.0
_FOLLOW_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (bank, logs):
        app.command(command.__name__)(command)


def bank(
    *,
    url: Url,
    token_file: TokenFile,
    buy: Annotated[
        tuple[str, float] | None,
        typer.Option("--buy", metavar="CHIP YUAN", help="Buy hours of a chip for so much. 按金额存入某类机时。"),
    ] = None,
    convert: Annotated[
        tuple[str, str, float] | None,
        typer.Option("--convert", metavar="FROM INTO HOURS", help="Turn hours of a chip into another's. 兑换机时。"),
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show the bank of compute hours: rates and lots; buy or convert first, if told to. 算力银行：查看、存入或兑换机时。"""
    language = choose_language(lang)
    with explained(language, as_json):
        asked = Platform(url, token_file)
        if buy:
            asked.ask("POST", "billing/bank/deposits", json={"chip": buy[0], "amount": buy[1]})
        if convert:
            asked.ask(
                "POST", "billing/bank/conversions", json={"chip": convert[0], "into": convert[1], "hours": convert[2]}
            )
        found = asked.ask("GET", "billing/bank").json()
        rates = [f"{one['chip']}: ¥{one['yuan_per_hour']:g}/h" for one in found["rates"]]
        lots = [f"{one['chip']}: {one['hours']:,.3f} h, {one['expires_at'][:10]}" for one in found["lots"]]
        said = Text("\n".join(["Rates", *rates, "Your hours", *lots]), "\n".join(["价格", *rates, "我的机时", *lots]))
        answer(as_json, found, said, language)


def logs(
    job: Annotated[str, typer.Argument(help="Id of the job. 作业编号。")],
    *,
    url: Url,
    token_file: TokenFile,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until the job has ended. 持续显示直至作业结束。")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Print what a job's child has written; --json prints a line's fields a line. 显示作业日志。"""
    import time

    with explained(choose_language(lang), as_json):
        asked, seen, ended = Platform(url, token_file), 0, False
        while True:
            for line in asked.ask("GET", f"compute/jobs/{job}/log", params={"after": seen}).json():
                seen = line["id"]
                typer.echo(json.dumps(line, ensure_ascii=False) if as_json else line["line"])
            if ended or not follow:
                return
            state = asked.ask("GET", f"compute/jobs/{job}").json()["job"]["state"]
            ended = state not in ("queued", "running")  # what was written at the end is still to be fetched
            if not ended:
                time.sleep(_FOLLOW_S)


class Platform:
    """The platform as a company's token reaches it."""

    def __init__(self, url: str, token_file: Path) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/"
        self._token = content_of(token_file, "--token-file", _GIVE).strip()

    def ask(self, method: str, path: str, **request: Any) -> Any:
        """Return the answer; raises Unreachable, and ConfigError with the platform's words where it refuses."""
        import httpx

        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            found = httpx.request(method, self._url + path, headers=headers, timeout=_TIMEOUT_S, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                Text(f"{self._url} does not answer: {error}", f"{self._url} 无应答：{error}"),
                Text("check the address and the network", "请检查地址和网络"),
            ) from error
        if not found.is_success:
            try:
                why = str(found.json().get("detail") or found.json().get("title"))
            except ValueError:
                why = f"HTTP {found.status_code}"
            raise ConfigError(Text(why, why), Text("see docs/compute.md", "请参阅 docs/compute.zh.md"), key=path)
        return found
