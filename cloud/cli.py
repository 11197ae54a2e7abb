"""`sunmao-cloud`: serve the cloud, and the operator's few commands.

Exit status: 0 done; 1 what was checked is not well; 2 wrong use or configuration; 3 the database is not reachable.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud import audit_cli, compute_cli, sharing_cli
from cloud.console import (
    DATA,
    ColdUrl,
    Data,
    Dsn,
    Json,
    Lang,
    TenantName,
    answer,
    checked,
    cold_url,
    explained,
    installed,
    progress,
    table,
    with_database,
)
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from cloud.core.db import Database
    from cloud.core.installation import Installation

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The Sunmao cloud. 榫卯云端。")
tenant_app = typer.Typer(no_args_is_help=True, help="Companies. 企业(租户)。")
user_app = typer.Typer(no_args_is_help=True, help="People. 用户。")
code_app = typer.Typer(no_args_is_help=True, help="Enrolment codes. 边缘网关注册码。")
app.add_typer(tenant_app, name="tenant")
app.add_typer(user_app, name="user")
app.add_typer(code_app, name="code")
audit_cli.register(app)
sharing_cli.register(app)
compute_cli.register(app)


@app.command()
def serve(
    *,
    data: Data = DATA,
    dsn: Dsn = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on. 监听地址。")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: the system's choice. 端口。")] = 8000,
    cold_store: ColdUrl = None,
    read_dsn: Annotated[
        str | None,
        typer.Option(
            "--read-dsn",
            envvar="SUNMAO_READ_DSN",
            help="A streaming replica that curves and exports are read from while it keeps up. 只读副本，用于曲线与导出。",
        ),
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Serve until Ctrl-C. 启动云端服务，按 Ctrl-C 停止。"""
    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        # uvicorn ends gracefully on either signal and then hands it on; the database has to be let go of after that.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            asyncio.run(
                _serve(
                    here, host, port, language, as_json, data=data, cold=cold_url(cold_store, data), read_dsn=read_dsn
                )
            )


@app.command()
def migrate(*, data: Data = DATA, dsn: Dsn = None, as_json: Json = False, lang: Lang = None) -> None:
    """Bring the database to the schema of this version. 升级数据库结构。"""
    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn):
        answer(as_json, {"migrated": True}, Text("The database is up to date.", "数据库已是最新。"), language)


@tenant_app.command("create")
def tenant_create(
    *,
    name: Annotated[str, typer.Option("--name", help="Name of the company. 企业名称。")],
    credit_code: Annotated[
        str | None, typer.Option("--credit-code", help="Unified social credit code. 统一社会信用代码。")
    ] = None,
    site: Annotated[str, typer.Option("--site", help="Name of its first site. 首个站点名称。")] = "main",
    time_zone: Annotated[str, typer.Option("--time-zone", help="IANA name. 站点时区。")] = "Asia/Shanghai",
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Create a company and its first site; asks for its credit code at a terminal. 创建企业及其首个站点。"""
    from cloud.identity.schemas import SiteRequest
    from cloud.identity.service import Identity

    language = choose_language(lang)
    if credit_code is None and not as_json and sys.stdin.isatty():
        asked = Text("Unified social credit code (empty: on trial)", "统一社会信用代码(留空则为试用)")
        credit_code = typer.prompt(asked.to(language), default="", show_default=False)
    with explained(language, as_json), installed(data, dsn) as here:
        request = checked(SiteRequest, {"name": site, "time_zone": time_zone})

        async def create(db: Database) -> dict[str, Any]:
            identity = Identity(db, here.secrets)
            scope = await identity.create_tenant(name, credit_code, request)
            (made,) = await identity.sites(scope)
            return {"tenant_id": str(scope.tenant_id), "site_id": str(made.id), "trial": not credit_code}

        made = with_database(here, create)
        said = Text(
            f"Company '{name}' has the id {made['tenant_id']}, its site '{site}' {made['site_id']}.",
            f"企业“{name}”编号 {made['tenant_id']}，站点“{site}”编号 {made['site_id']}。",
        )
        if made["trial"]:
            said = Text(
                f"{said.en} It is on trial until its credit code is registered: sunmao-cloud tenant set-credit-code",
                f"{said.zh}该企业为试用，登记统一社会信用代码后转为正式：sunmao-cloud tenant set-credit-code",
            )
        answer(as_json, made, said, language)


@tenant_app.command("set-credit-code")
def tenant_set_credit_code(
    *,
    credit_code: Annotated[str, typer.Option("--credit-code", help="Unified social credit code. 统一社会信用代码。")],
    tenant: TenantName = None,
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Register a company's credit code, which ends its trial. 登记企业的统一社会信用代码，结束试用。"""
    from cloud.identity.service import Identity

    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        scope = here.tenant(tenant)

        async def register(db: Database) -> dict[str, Any]:
            await Identity(db, here.secrets).set_credit_code(scope, credit_code)
            return {"tenant_id": str(scope.tenant_id), "credit_code": credit_code}

        said = Text(f"'{credit_code}' is registered.", f"已登记“{credit_code}”。")
        answer(as_json, with_database(here, register), said, language)


@user_app.command("create")
def user_create(
    *,
    email: Annotated[str, typer.Option("--email", help="What the user signs in with. 登录邮箱。")],
    tenant: TenantName = None,
    role: Annotated[str, typer.Option("--role", help="viewer, operator, engineer, manager or owner. 角色。")] = "owner",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input. 从标准输入读取密码。")
    ] = False,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a password and print it once. 自动生成密码并显示一次。")
    ] = False,
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Create a user; asks for the password unless told otherwise. 创建用户。"""
    import secrets

    from cloud.identity.schemas import UserRequest
    from cloud.identity.service import Identity

    language = choose_language(lang)
    if generate:
        password = secrets.token_urlsafe(15)
    elif password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        prompt = Text("Password", "密码").to(language)
        password = typer.prompt(prompt, hide_input=True, confirmation_prompt=True)
    with explained(language, as_json):
        request = checked(UserRequest, {"email": email, "password": password, "role": role})
        with installed(data, dsn) as here:
            scope = here.tenant(tenant)

            async def create(db: Database) -> dict[str, Any]:
                user = await Identity(db, here.secrets).create_user(scope, request, "operator")
                return {"user_id": str(user.id), "email": user.email}

            made = with_database(here, create)
        said = Text(f"'{email}' can sign in.", f"用户“{email}”已可登录。")
        if generate:
            made["password"] = password
            said = Text(f"{said.en} Password: {password}", f"{said.zh}密码：{password}")
        answer(as_json, made, said, language)


@code_app.command("create")
def code_create(
    *,
    tenant: TenantName = None,
    site: Annotated[str | None, typer.Option("--site", help="Name; needed where there are several. 站点名称。")] = None,
    minutes: Annotated[int, typer.Option("--minutes", help="Minutes until it expires. 有效分钟数。")] = 60,
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Make a one-time code that enrols one edge agent. 生成一次性注册码。"""
    from cloud.fleet.schemas import CodeRequest
    from cloud.fleet.service import Fleet
    from cloud.identity.service import Identity

    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        scope = here.tenant(tenant)

        async def create(db: Database) -> dict[str, Any]:
            sites = await Identity(db, here.secrets).sites(scope)
            found = [each.id for each in sites if site in (None, each.name)]
            if len(found) != 1:
                names = ", ".join(each.name for each in sites)
                raise ConfigError(
                    Text(f"no single site '{site or ''}'", f"无法确定站点“{site or ''}”"),
                    Text(f"choose one of: {names}", f"可选：{names}"),
                    key="--site",
                )
            request = checked(CodeRequest, {"site_id": found[0], "minutes": minutes})
            code = await Fleet(db, here.secrets).create_code(scope, request, "operator")
            return {"code": code.code, "expires_at": code.expires_at.isoformat()}

        made = with_database(here, create)
        until = Text(f"good once, until {made['expires_at']}", f"仅可使用一次，有效期至 {made['expires_at']}")
        answer(as_json, made, Text(f"{made['code']}  ({until.en})", f"{made['code']}({until.zh})"), language)


@app.command()
def stats(
    *, tenant: TenantName = None, data: Data = DATA, dsn: Dsn = None, as_json: Json = False, lang: Lang = None
) -> None:
    """What is stored, whether the ledger agrees, and how long readings took. 存储统计。"""
    from datetime import UTC, datetime

    from cloud.core.listen import Listener
    from cloud.core.metrics import Metrics
    from cloud.quality.service import Quality
    from cloud.telemetry.ingest import Ingest
    from cloud.telemetry.service import Telemetry

    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        scope = here.tenant(tenant)

        async def ask(db: Database) -> dict[str, Any]:
            telemetry = Telemetry(db, Listener(here.dsn), Ingest(db, (), Metrics()))
            found = (await telemetry.stats(scope)).model_dump()
            begin, end = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
            summary = await Quality(db).summary(scope, begin, end)
            return found | {"inspections": summary.total, "rejected": summary.reject}

        found = with_database(here, ask)
        if as_json:
            answer(as_json, found, Text("", ""), language)
        else:
            table(found)
        if found["readings"] != found["ledger_readings"] or found["duplicates"]:
            raise typer.Exit(1)


@app.command()
def export(
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv, .xlsx or .parquet. 输出文件。")],
    start: Annotated[str, typer.Option("--start", help="ISO 8601 with its offset; inclusive. 开始时间。")],
    end: Annotated[str, typer.Option("--end", help="ISO 8601 with its offset; exclusive. 结束时间。")],
    series: Annotated[
        list[int] | None,
        typer.Option("--series", help="Number of a series, as in /api/v1/points; all if none. 序列号。"),
    ] = None,
    tenant: TenantName = None,
    cold_store: ColdUrl = None,
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Write readings into a CSV, Excel or Parquet file. 将读数导出为 CSV、Excel 或 Parquet 文件。"""
    from cloud.core.listen import Listener
    from cloud.core.metrics import Metrics
    from cloud.telemetry.cold_store import ColdStore
    from cloud.telemetry.export_file import ending, instant_of, save
    from cloud.telemetry.ingest import Ingest
    from cloud.telemetry.retained import Retained
    from cloud.telemetry.service import Telemetry

    language = choose_language(lang)
    with explained(language, as_json):
        kind, first, last = ending(out), instant_of(start, "--start"), instant_of(end, "--end")
        with installed(data, dsn) as here, progress(as_json) as told:
            scope = here.tenant(tenant)

            async def write(db: Database) -> dict[str, Any]:
                retained = Retained(ColdStore(cold_url(cold_store, data)))
                telemetry = Telemetry(db, Listener(here.dsn), Ingest(db, (), Metrics()), retained)
                wanted = series or [point.series_id for point in await telemetry.points(scope)]
                exported = telemetry.export(scope)
                plan = await exported.plan(wanted, first, last, language)
                return {"file": str(out), "bytes": await save(out, exported.file(plan, kind, told))}

            made = with_database(here, write)
        said = Text(f"{out} has {made['bytes']:,} bytes.", f"{out} 已写入 {made['bytes']:,} 字节。")
        answer(as_json, made, said, language)


def main() -> None:
    """Run the command line."""
    app()


async def _serve(
    here: Installation,
    host: str,
    port: int,
    language: Language,
    as_json: bool,
    *,
    data: Path,
    cold: str,
    read_dsn: str | None,
) -> None:
    import gc
    import socket

    import uvicorn

    from cloud.app import create_app
    from cloud.core.port import listen
    from cloud.identity.oidc_settings import load_oidc
    from cloud.notify.settings import load_settings

    notify, oidc = load_settings(data), load_oidc(data)
    listening = listen(host, port)
    url = f"http://{host}:{listening.getsockname()[1]}"
    cloud = create_app(here.dsn, here.secrets, cold, notify, oidc, replica=here.replica(read_dsn))

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.freeze()  # what is there now stays: it need not be looked through for cycles, nor the rest as often as is usual
            gc.set_threshold(5_000, 10, 5)
            said = Text(f"Sunmao is ready at {url} (Ctrl-C to stop)", f"榫卯已就绪：{url}(按 Ctrl-C 停止)")
            answer(as_json, {"url": url}, said, language)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            cloud.state.telemetry.end_streams()
            await super().shutdown(sockets)

    config = uvicorn.Config(cloud, log_level="warning", timeout_graceful_shutdown=3)
    await Server(config).serve(sockets=[listening])
