"""Renting by the command line, on a real cloud with a real worker: from the offer to the receipt, the money, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from cloud.cli import app
from cloud.core.db import Database
from deploy.demo.processes import BIN
from tests.cloud.billing.market import appoint, faults, paid_in, pool
from tests.cloud.compute.site import TERMS, offered, pictured, working
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.training.pictures import png

pytestmark = pytest.mark.timeout(240)

TASK = """
name = "for the plan only"
kind = "fit"
[limits]
deadline = {deadline}
budget = {budget}
[input]
set = "cap"
pictures = "pictures"
"""
WIDE = {"COLUMNS": "200"}  # tables fold in a narrow terminal
ALL = ["read", "operate", "engineer", "admin"]


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


Said = tuple[int, str]
Speak = Callable[..., Awaitable[Said]]


@pytest.fixture
async def by(cloud_url: str, tmp_path: Path) -> Callable[[Company], Awaitable[Speak]]:
    """Returns what a company says on the command line; a list is what it prints for machines."""

    async def of(company: Company) -> Speak:
        made = await company.http.post("/api/v1/tokens", json={"name": "shell", "scopes": ALL})
        file = tmp_path / f"{company.scope.tenant_id}.token"
        file.write_text(made.raise_for_status().json()["token"] + "\n")

        async def speak(*words: object, lang: str = "en") -> Said:
            given = ["compute", *map(str, words), "--url", cloud_url, "--token-file", str(file), "--lang", lang]
            result = await asyncio.to_thread(CliRunner(env=WIDE).invoke, app, given)
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
            assert file.read_text().strip() not in result.output
            return result.exit_code, result.output.strip()

        return speak

    return of


@pytest.fixture
async def companies(new_company: NewCompany, db: Database, owner_dsn: str) -> tuple[Company, Company, Company]:
    """The operator of the market, a provider, and a customer with 50 yuan."""
    operator, provider, customer = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator)
    await paid_in(operator, customer, db, 50)
    await paid_in(operator, provider, db, 1, "bond")
    return operator, provider, customer


def task(folder: Path, budget: float = 20) -> Path:
    """Write a task."""
    file = folder / f"{uuid4().hex}.toml"
    deadline = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    file.write_text(TASK.format(deadline=deadline, budget=budget))
    return file


def pictures(folder: Path, good: int, scratched: int) -> None:
    """Draw pictures as people keep them."""
    for kind, count, defect in (("good", good, None), ("scratched", scratched, "scratch")):
        (folder / "pictures" / kind).mkdir(parents=True)
        for number in range(count):
            (folder / "pictures" / kind / f"{kind}-{number}.png").write_bytes(png(number, defect))  # type: ignore[arg-type]


def written(folder: Path, terms: dict[str, Any]) -> Path:
    """Write terms of an offer."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in terms.items() if name != "prices"]
    prices = [
        f"[[prices]]\nfrom_hour = {p['from_hour']}\nyuan_per_hour = {p['yuan_per_hour']}" for p in terms["prices"]
    ]
    file = folder / "terms.toml"
    file.write_text("\n".join([*lines, *prices]))
    return file


def typed(command: list[str | Path], *turns: tuple[str, str]) -> tuple[int, str]:
    """Run a command at a terminal of its own, type each answer when its question is there; return status and screen."""
    ours, its = pty.openpty()
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    screen, waiting = "", list(turns)
    try:
        while select.select([ours], [], [], 60)[0]:
            screen += os.read(ours, 4096).decode("utf-8", "replace")
            if waiting and waiting[0][0] in screen:
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    except OSError:  # it has gone
        return process.wait(), screen
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    raise TimeoutError(screen)


async def test_a_job_goes_from_the_quote_to_a_proven_receipt(
    companies: tuple[Company, Company, Company], by: Any, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    _, provider, customer = companies
    sell, rent = await by(provider), await by(customer)
    pictures(tmp_path, 28, 3)
    terms = task(tmp_path), written(tmp_path, TERMS)
    order = terms[0]

    code, said = await rent("quote", order)
    assert (code, "there is no set 'cap'" in said, "compute upload" in said) == (2, True, True)
    assert await rent("upload", order) == (0, "31 sent, 0 were there.")
    assert await rent("upload", order, lang="zh") == (0, "已上传 0 张，31 张已存在。")
    (made,) = (await customer.http.get("/api/v1/training/sets")).json()
    way = {"family": "texture"}  # learnt soonest
    (await customer.http.patch(f"/api/v1/training/sets/{made['id']}", json=way)).raise_for_status()

    token = tmp_path / "worker.token"
    code, said = await sell("offer", "open", terms[1], "--out", token)
    assert code == 0
    offer = said.splitlines()[0]
    assert token.read_text() not in said
    assert token.stat().st_mode & 0o077 == 0
    assert (await sell("offer", "open", terms[1], "--out", token))[0] == 2, "a token is not written over"
    code, said = await rent("quote", order)
    assert (code, f"{offer}  it does not answer" in said) == (1, True)
    assert (await rent("offers", "--free"))[1] == "There is no such offer."

    with working(cloud_url, token.read_text(), tmp_path / "worker"):
        code, said = await rent("offers", offer[:5].lower(), "--chip", "cpu", "--region", "CN-JS", "--free", lang="zh")
        assert (code, offer in said, "空闲" in said) == (0, True, True)
        code, said = await rent("quote", order)
        assert code == 0
        assert offer in said
        assert "own, ¥" in said
        code, said = await rent("quote", task(tmp_path, 0.000001), lang="zh")
        assert (code, "预算" in said) == (1, True)
        assert (await rent("submit", task(tmp_path, 0.000001), "--yes"))[0] == 1
        code, said = await rent("submit", order)
        assert (code, "--yes" in said) == (2, True)
        at_terminal = [BIN / "sunmao-cloud", "compute", "submit", order, "--url", cloud_url, "--lang", "en"]
        turns = ("令牌: ", customer.token), ("[y/N]", "n")
        code, said = await asyncio.to_thread(typed, at_terminal, *turns)
        assert (code, f"Run it at {offer}?" in said, customer.token in said) == (1, True, False), said
        assert (await rent("jobs")) == (0, "There are no jobs.")
        code, said = await rent("submit", order, "--yes", "--follow", "--json")
        order.write_text(order.read_text().replace('"fit"', '"inspect"'))
        assert (await rent("quote", order))[0] == 0, "by the version that has just been fitted"
    lines = [json.loads(line) for line in said.splitlines()]
    assert (code, lines[-1]["state"]) == (0, "done"), said
    assert any("line" in each for each in lines)
    job = lines[0]["id"]

    code, said = await rent("jobs", "--state", "done", lang="zh")
    assert (code, job in said, "已完成" in said) == (0, True, True)
    assert job in (await sell("jobs", "--side", "provider"))[1]
    code, said = await rent("job", job)
    assert (code, "model.onnx" in said, "CPUExecutionProvider" in said) == (0, True, True)
    assert (await rent("cancel", job))[0] == 2
    assert "CPUExecutionProvider" in (await rent("logs", job))[1]

    proof = tmp_path / "proof.json"
    assert await rent("receipt", job, "-o", proof) == (0, str(proof))
    offline = CliRunner().invoke(app, ["compute", "verify-receipt", str(proof), "--lang", "en"])
    assert (offline.exit_code, "Whole." in offline.output) == (0, True)
    code, said = await rent("result", job, "--out", tmp_path / "out")
    assert code == 0
    assert sorted(said.splitlines()) == sorted(map(str, (tmp_path / "out").iterdir()))
    assert (tmp_path / "out" / "model.onnx").stat().st_size > 1000
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE compute_file NO FORCE ROW LEVEL SECURITY")
        connection.execute("UPDATE compute_file SET content = 'x' WHERE job_id = %s AND name = 'model.onnx'", [job])
        connection.execute("ALTER TABLE compute_file FORCE ROW LEVEL SECURITY")
    code, said = await rent("result", job, "--out", tmp_path / "again")
    assert (code, "model.onnx is not what the receipt says" in said) == (3, True)

    month = (datetime.now(UTC) + timedelta(hours=8)).isoformat()[:7]  # in China
    assert "Open jobs: 0 of 50" in (await rent("wallet", "--movements"))[1]
    await customer.http.put("/api/v1/billing/budget", json={"monthly": 0.01})
    assert "即将用完" in (await rent("wallet", lang="zh"))[1]
    code, said = await sell("settlements", "--month", month)
    assert (code, job in said, "to be paid out" in said) == (0, True, True)
    code, said = await sell("invoices", "issue", "--month", month, "--json")
    invoice = json.loads(said)["invoices"][0]["id"]
    assert invoice in (await rent("invoices", "list"))[1]
    bill = tmp_path / "bill.pdf"
    assert (await rent("invoices", "pdf", invoice, "-o", bill))[0] == 0
    assert bill.read_bytes().startswith(b"%PDF")
    for form in ("csv", "parquet"):
        assert (await rent("export", "--month", month, "--format", form, "-o", tmp_path / form))[0] == 0
    assert job in (tmp_path / "csv").read_text("utf-8")
    assert "given back" in (await sell("refund", job, "--reason", "slow", "--share", "0.5"))[1]
    assert (await rent("refund", job, "--reason", "mine"))[0] == 2
    changes = tmp_path / "changes.toml"
    changes.write_text("prices = [{ from_hour = 0, yuan_per_hour = 7.5 }]")
    assert await sell("offer", "change", offer, changes) == (0, f"{offer}: terms 2.")
    assert await sell("offer", "change", offer, "--pause") == (0, f"{offer}: terms 2.")
    assert "paused" in (await rent("offers"))[1]
    assert (await rent("opinions", "open", offer, "--budget", 0.001, "-o", tmp_path / "box"))[0] == 2
    assert (await sell("offer", "change", offer, "--resume", lang="zh"))[0] == 0
    changes.write_text("region = 'CN-ZJ'")
    code, said = await sell("offer", "change", offer, changes)
    assert (code, "region" in said) == (2, True)
    opinions = ["opinions", "open", offer, "--budget", 0.001, "-o", tmp_path / "box"]
    assert "The month's budget" in (await rent(*opinions))[1]
    await customer.http.put("/api/v1/billing/budget", json={"monthly": 10})
    code, serving = await rent(*opinions)
    assert (code, (tmp_path / "box").read_text().startswith("so_")) == (0, True)
    assert serving in (await sell("opinions", "list", "--side", "provider", lang="zh"))[1]
    assert "0.00 yuan in all" in (await rent("opinions", "end", serving))[1]
    assert await sell("offer", "close", offer) == (0, f"{offer} is closed.")
    assert (await sell("offer", "close", offer))[0] == 2
    assert "closed" in (await sell("offers", "--own"))[1]
    assert faults(owner_dsn) == []


async def test_vouchers_and_quotas_from_the_application_to_the_decision(
    companies: tuple[Company, Company, Company], by: Any
) -> None:
    operator, _, customer = companies
    decide, ask = await by(operator), await by(customer)
    await pool(operator, "wuhan", 1000)
    assert "wuhan" in (await ask("programmes"))[1].splitlines()[1]
    form = [
        "vouchers",
        "apply",
        "wuhan",
        "--fee",
        20,
        "--purpose",
        "refit",
        "--contact",
        "0512",
        "--applicant",
        "one_person",
    ]

    async def applied() -> str:
        return str(json.loads((await ask(*form, "--json"))[1])["id"])

    assert "withdrawn" in (await ask("vouchers", "withdraw", await applied()))[1]
    second = await applied()
    assert (await decide("applications", "--waiting", "--json"))[1].count('"applied"') == 1
    assert "too late" in (await decide("decline", second, "--reason", "too late"))[1]
    assert "已发放" in (await decide("approve", await applied(), lang="zh"))[1]
    history = (await ask("vouchers", "list"))[1]
    assert all(word in history for word in ("issued", "turned down", "withdrawn", "too late"))
    code, said = await ask("approve", second)
    assert (code, "compute applications" in said) == (2, True)

    mine = json.loads((await ask("vouchers", "list", "--json"))[1])["vouchers"][0]["credit_code"]
    code, said = await decide("quota", mine, "--jobs", 0, "--budget", 30)
    assert (code, "0/0" in said, "30.00" in said) == (0, True, True)
    code, said = await ask("quota")
    assert (code, "operator's only" in said) == (2, True)


async def test_what_is_wrong_is_said_in_one_line(
    companies: tuple[Company, Company, Company], by: Any, cloud_url: str, tmp_path: Path, monkeypatch: Any
) -> None:
    _, provider, customer = companies
    rent = await by(customer)
    await offered(provider)
    for job in (uuid4(), "mine"):
        for words in (["job", job], ["logs", job], ["result", job, "-o", tmp_path], ["receipt", job], ["cancel", job]):
            code, said = await rent(*words)
            assert (code, len(said.splitlines())) == (2, 1), said
            assert str(job) in said
            assert "sunmao-cloud compute jobs" in said
    code, said = await rent("job", uuid4(), lang="zh")
    assert "没有该编号的内容" in said

    (tmp_path / "wrong").write_text("st_nobody")
    base = ["compute", "jobs", "--lang", "en"]

    def alone(*words: str) -> tuple[int, str]:
        result = CliRunner(env=WIDE).invoke(app, [*base, *words])
        return result.exit_code, result.output

    for name in ("SUNMAO_TOKEN", "SUNMAO_TOKEN_FILE", "SUNMAO_URL"):
        monkeypatch.delenv(name, raising=False)
    code, said = alone("--url", cloud_url)
    assert (code, "no token is given" in said) == (2, True)
    code, said = alone("--url", cloud_url, "--token-file", str(tmp_path / "wrong"))
    assert (code, said.startswith("--token-file:"), "st_nobody" in said) == (2, True, False)
    monkeypatch.setenv("SUNMAO_TOKEN", "not a token")
    assert "it is no token" in alone("--url", cloud_url)[1]
    monkeypatch.setenv("SUNMAO_TOKEN", customer.token)
    monkeypatch.setenv("SUNMAO_URL", cloud_url)
    assert alone() == (0, "There are no jobs.\n")
    assert alone("--url", "http://127.0.0.1:9")[0] == 3
    assert "no Sunmao platform" in alone("--url", f"{cloud_url}/static")[1] or alone("--url", f"{cloud_url}/x")[0] == 2

    await pictured(customer, "cap", 2)
    followed = (
        f'[backfill]\nmodel_id = "{uuid4()}"\nequipment_id = "{uuid4()}"\nsensors = {{ a = 1 }}\n'
        "start = 2026-11-01T00:00:00+08:00\nend = 2026-11-01T01:00:00+08:00\n"
    )
    file = task(tmp_path)
    file.write_text(file.read_text().partition("[input]")[0].replace('"fit"', '"backfill"') + followed)
    code, said = await rent("quote", file)
    assert (code, "not your company's" in said, file.name in said) == (2, True, True), said
    for before, after, says in (
        ("budget = 20", "budet = 20", "budet"),
        ("budget = 20", "budget = 0", "budget"),
        ('set = "cap"', 'set = "cup"', "no set 'cup'"),
        ('pictures = "pictures"', 'pictures = "nowhere"', "no JPEG or PNG"),
        ('kind = "fit"', 'kind = "backfill"', "[input]"),
        ('kind = "fit"', 'kind = "inspect"', "no such version"),
        ("+00:00", "", "no offset"),
    ):
        file = task(tmp_path)
        file.write_text(file.read_text().replace(before, after))
        code, said = await rent("upload" if "nowhere" in after else "quote", file)
        assert (code, len(said.splitlines())) == (2, 1), said
        assert says in said
