"""The command `sunmao-edge check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.console import Json, Lang, local_time, plain, print_table, progress
from edge_agent.interruptible import run_work
from edge_agent.plain_lines import explained, print_json, print_line
from protocols.reading import now_us
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.finding import Finding


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("check")(check_command)


def check_command(
    *,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")] = Path("agent.toml"),
    html: Annotated[
        Path | None, typer.Option(help="Also write the findings as a page to send to the office. 另存为网页报告。")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Read every point; look at cloud, clocks, disk and security. 逐项检查设备、云端、时钟、磁盘与安全。"""
    from edge_agent.check_page import check_page
    from edge_agent.config import load_config

    language = choose_language(lang)
    with explained(language):
        loaded = load_config(config)
        findings = run_work(_look(loaded, config, language, as_json))
        if html is not None:
            html.write_text(check_page(loaded.agent.name, findings, local_time(now_us()), language), encoding="utf-8")
        if as_json:
            print_json(
                [
                    {
                        "what": finding.subject,
                        "title": finding.title.to(language),
                        "ok": finding.ok,
                        "severity": finding.severity,
                        "found": finding.found.to(language),
                        "mend": finding.mend.to(language),
                        "details": [detail.to(language) for detail in finding.details],
                    }
                    for finding in findings
                ]
            )
        else:
            _print(findings, language)
            if html is not None:
                print_line(Text(f"{html} written", f"已生成 {html}").to(language))
        raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


async def _look(loaded: Config, path: Path, language: Language, hidden: bool) -> list[Finding]:
    from edge_agent.check import check, steps

    findings = []
    with progress(steps(loaded), Text("checking", "检查中").to(language), hidden) as advance:
        async for finding in check(loaded, path):
            findings.append(finding)
            advance()
    return findings


def _print(findings: Sequence[Finding], language: Language) -> None:
    heads = (Text("", ""), Text("what", "项目"), Text("found", "结果"), Text("next step", "下一步"))
    mark = {"ok": "[green]✓[/]", "look": "[yellow]![/]", "wrong": "[red]✗[/]"}
    rows = [
        (
            mark[finding.severity],
            plain(finding.title.to(language)),
            plain(finding.found.to(language)),
            plain(finding.mend.to(language)) if finding.severity != "ok" else "",
        )
        for finding in findings
    ]
    print_table(heads, rows, language)
