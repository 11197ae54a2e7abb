"""`sunmao-cloud audit`: prove the audit logs whole, and write down where they end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud.console import DATA, Data, Dsn, Json, Lang, answer, explained, installed, with_database
from protocols.errors import ConfigError
from protocols.text import Text, choose_language

if TYPE_CHECKING:
    from cloud.core.db import Database
    from cloud.core.installation import Installation
    from cloud.core.principal import TenantScope

Wanted = Annotated[
    str | None, typer.Option("--tenant", help="Name or id; all companies otherwise. 企业名称或编号，默认全部。")
]

audit_app = typer.Typer(no_args_is_help=True, help="Audit logs. 审计日志。")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(audit_app, name="audit")


@audit_app.command("verify")
def verify(
    *,
    tenant: Wanted = None,
    anchor: Annotated[
        Path | None,
        typer.Option("--anchor", help="File written by `audit anchor`, kept elsewhere. 由 audit anchor 写出的文件。"),
    ] = None,
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Find any entry that was edited, removed, moved, added or cut off; exit status 1 if there is one. 校验审计日志。"""
    from cloud.core import audit_chain

    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        anchors = _anchors(anchor)
        tenants = _wanted(here, tenant)
        names = {scope.tenant_id: name for scope, name in here.tenants()}
        lost = [str(each.tenant_id) for each in anchors if each.tenant_id not in names]

        async def check(db: Database) -> dict[str, Any]:
            logs = []
            for scope, name in tenants:
                own = [each for each in anchors if each.tenant_id == scope.tenant_id]
                async with db.snapshot(scope) as connection:
                    verdict = await audit_chain.verify(connection, own)
                fault = verdict.fault.to(language) if verdict.fault else ""
                logs.append({"tenant": name, "entries": verdict.count, "row": verdict.row, "fault": fault})
            return {"logs": logs, "lost": lost}

        found = with_database(here, check)
        lines = [Text(f"{each}: the company is gone", f"{each}：企业记录已不存在") for each in lost]
        for log in found["logs"]:
            name, row, fault = log["tenant"], log["row"], log["fault"]
            lines.append(
                Text(f"{name}: entry {row}: {fault}", f"{name}：第 {row} 条：{fault}")
                if fault
                else Text(f"{name}: {log['entries']} entries, whole", f"{name}：共 {log['entries']} 条，完整")
            )
        said = Text("\n".join(line.en for line in lines), "\n".join(line.zh for line in lines))
        answer(as_json, found, said, language)
        if lost or any(log["fault"] for log in found["logs"]):
            raise typer.Exit(1)


@audit_app.command("anchor")
def anchor(*, tenant: Wanted = None, data: Data = DATA, dsn: Dsn = None, lang: Lang = None) -> None:
    """Print where the logs end now, a line of JSON each. Keep it elsewhere: it shows a log written anew. 输出锚点。"""
    from cloud.core import audit_chain

    language = choose_language(lang)
    with explained(language, as_json=False), installed(data, dsn) as here:
        tenants = _wanted(here, tenant)

        async def ask(db: Database) -> dict[str, Any]:
            heads = []
            for scope, _ in tenants:
                async with db.tenant(scope) as connection:
                    heads.append(await audit_chain.head(connection))
            return {"anchors": heads}

        typer.echo(audit_chain.written(with_database(here, ask)["anchors"]), nl=False)


def _wanted(here: Installation, tenant: str | None) -> list[tuple[TenantScope, str]]:
    """Return all tenants, or the one named; raises ConfigError if there is none such."""
    if tenant is None:
        return here.tenants()
    scope = here.tenant(tenant)
    return [each for each in here.tenants() if each[0] == scope]


def _anchors(file: Path | None) -> list[Any]:
    from cloud.core import audit_chain

    if file is None:
        return []
    try:
        return list(audit_chain.read(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            Text(f"{file} cannot be read: {error}", f"无法读取 {file}：{error}"),
            Text("give a file written by: sunmao-cloud audit anchor", "请提供由 sunmao-cloud audit anchor 写出的文件"),
            key="--anchor",
        ) from error
