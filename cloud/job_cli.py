"""`sunmao-cloud compute` for who rents: from the quote to the result and the receipt of a job, over the platform's API."""

from __future__ import annotations

import json
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud.console import Column, Json, Lang, listed, progress
from cloud.rental_cli import Out, Platform, Side, TokenFile, Url, rented, utc, write, yuan
from protocols.errors import ConfigError, Malformed
from protocols.text import Language, Text

if TYPE_CHECKING:
    from cloud.compute.order_file import Order

Job = Annotated[str, typer.Argument(help="Id of the job. 作业编号。")]
TaskFile = Annotated[Path, typer.Argument(help="What is to run: a task.toml. 任务文件。")]
Follow = Annotated[bool, typer.Option("--follow", help="Go on until the job has ended. 持续显示直至作业结束。")]
_FOLLOW_S = 1.0
_ROWS = 20
_OPEN = ("queued", "running")


def _span(seconds: float) -> str:
    hours, minutes = divmod(int(seconds / 60), 60)
    return f"{hours}:{minutes:02}"


def _subsidy(plan: dict[str, Any]) -> str:
    return f"{yuan(plan['subsidy'])} {plan['programme']}" if plan["subsidy"] else "–"


_PLANS = (
    Column(Text("offer", "报价"), lambda plan: plan["code"]),
    Column(Text("provider", "提供方"), lambda plan: plan["provider"]),
    Column(Text("begin (UTC)", "开始(UTC)"), lambda plan: utc(plan["begin"])[5:]),
    Column(Text("done within", "完成用时"), lambda plan: _span(plan["time_s"]), amount=True),
    Column(Text("cost, ¥", "费用，元"), lambda plan: yuan(plan["cost"]), amount=True),
    Column(Text("by hours, ¥", "机时抵扣，元"), lambda plan: yuan(plan["prepaid"] or None), amount=True),
    Column(Text("voucher, ¥", "算力券，元"), _subsidy, amount=True),
    Column(Text("own, ¥", "自付，元"), lambda plan: yuan(plan["own"]), amount=True),
    Column(Text("CO₂, kg", "CO₂，kg"), lambda plan: f"{plan['carbon_kg']:,.4f}", amount=True),
)
_STATES = {
    "queued": Text("waits", "排队中"),
    "running": Text("runs", "运行中"),
    "done": Text("done", "已完成"),
    "failed": Text("failed", "失败"),
    "cancelled": Text("cancelled", "已取消"),
    "stopped": Text("stopped", "已停止"),
    "broken": Text("broke off", "已中断"),
}
_STATE = Column(Text("state", "状态"), lambda row: _STATES[row["state"]])
_OFFER = Column(Text("offer", "报价"), lambda row: row["code"])
_JOBS = (
    Column(Text("job", "作业编号"), lambda job: job["id"]),
    Column(Text("name", "名称"), lambda job: job["name"]),
    Column(Text("kind", "任务"), lambda job: job["kind"]),
    _STATE,
    Column(Text("progress", "进度"), lambda job: f"{job['done']}/{job['total']}" if job["total"] else "–", amount=True),
    _OFFER,
    Column(Text("cost, ¥", "费用，元"), lambda job: yuan(job["cost"]), amount=True),
    Column(Text("submitted (UTC)", "提交时间(UTC)"), lambda job: utc(job["submitted_at"])),
)
_ATTEMPTS = (
    Column(Text("attempt", "运行"), lambda row: row["number"], amount=True),
    _OFFER,
    _STATE,
    Column(Text("chip", "芯片"), lambda row: row["chip"]),
    Column(Text("used, s", "用时，秒"), lambda row: f"{row['used_s']:,.1f}", amount=True),
    Column(Text("billed, s", "计费，秒"), lambda row: f"{row['billable_s']:,.1f}", amount=True),
    Column(Text("lost, s", "损失，秒"), lambda row: f"{row['lost_s']:,.1f}", amount=True),
)
_FACTS = (
    (Text("state", "状态"), lambda job: _STATES[job["state"]]),
    (Text("offer", "报价"), lambda job: f"{job['code']} ({job['provider']})"),
    (Text("progress", "进度"), lambda job: f"{job['stage']} {job['done']}/{job['total']}"),
    (Text("cost, ¥", "费用，元"), lambda job: yuan(job["cost"])),
    (Text("by hours, ¥", "机时抵扣，元"), lambda job: yuan(job["prepaid"])),
    (Text("voucher, ¥", "算力券，元"), lambda job: yuan(job["subsidy"])),
    (Text("reserved, ¥", "预留，元"), lambda job: yuan(job["cap"])),
    (Text("deadline (UTC)", "期限(UTC)"), lambda job: utc(job["deadline"])),
    (Text("ended (UTC)", "结束(UTC)"), lambda job: utc(job["ended_at"])),
)  # fmt: skip
_MORE = Text("and {count} more", "另有 {count} 个")
_REJECTED = Text("will not do:", "不可用：")
_NO_JOBS = Text("There are no jobs.", "没有作业。")
_YES = Text("add --yes to submit without being asked", "请加 --yes，无需确认直接提交")
_NOT_ASKED = Text("nothing has been submitted: nobody can be asked here", "未提交：当前环境无法确认")
_LOOK_FIRST = Text(
    "see `sunmao-cloud compute jobs` before you submit again", "再次提交前请先查看 `sunmao-cloud compute jobs`"
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (quote, upload, submit, jobs, job, cancel, logs, result, receipt):
        app.command(command.__name__)(command)


def quote(task: TaskFile, *, url: Url, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """Show what each offer would come to and why others will not do; nothing is spent; status 1 if none will. 询价。"""
    with rented(url, token_file, as_json, lang) as here:
        found = _quoted(here, task, _body(here, task, _read(task)))
        here.say(found, plans_said(found, here.language))
        if not found["plans"]:
            raise typer.Exit(1)


def upload(task: TaskFile, *, url: Url, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """Send what the platform lacks of a task: pictures of its set, or its program and inputs. 上传任务尚缺的图片或程序文件。"""
    with rented(url, token_file, as_json, lang) as here:
        order = _read(task)
        sent, there = _send_program(here, task, order) if order.python else _send(here, task, order)
        said = Text(f"{sent} sent, {there} were there.", f"已上传 {sent} 张，{there} 张已存在。")
        here.say({"sent": sent, "there": there}, said)


def submit(
    task: TaskFile,
    *,
    url: Url,
    token_file: TokenFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Submit without being asked. 无需确认。")] = False,
    follow: Follow = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Send what is missing, show the best plan, reserve its money and run it; --follow: status 1 unless done. 提交作业。"""
    with rented(url, token_file, as_json, lang) as here:
        if not yes and (as_json or not sys.stdin.isatty()):
            raise ConfigError(_NOT_ASKED, _YES, key="--yes")
        order = _read(task)
        if order.input and order.input.pictures:
            _send(here, task, order)
        elif order.python:
            _send_program(here, task, order)
        body = _body(here, task, order)
        plan = _chosen(here, task, body)
        if not yes:
            typer.echo(listed([plan], _PLANS, here.language))
            asked = Text(f"Run it at {plan['code']}?", f"在 {plan['code']} 运行？")
            if not typer.confirm(asked.to(here.language)):
                raise typer.Exit(1)
        # Where somebody has agreed, it is to this plan.
        body |= {"offer": plan["code"], "offer_version": plan["version"]}
        made = here.told(here.ask("POST", "compute/jobs", json=body, key=str(task), mend=_LOOK_FIRST))
        here.say(made, str(made["id"]))
        if follow:
            ended = _follow(here, made["id"], follow=True)
            here.say(ended, _ended(here, ended))
            if ended["state"] != "done":
                raise typer.Exit(1)


def jobs(
    *,
    url: Url,
    token_file: TokenFile = None,
    side: Side = "customer",
    state: Annotated[str | None, typer.Option("--state", help="Only those: queued, running, done... 状态。")] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List the latest 100 jobs, newest first. 列出最近的作业。"""
    with rented(url, token_file, as_json, lang) as here:
        here.show("jobs", here.get("compute/jobs", side=side, state=state), _JOBS, _NO_JOBS)


def job(job: Job, *, url: Url, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """Show a job: how far it is, what it costs, where it ran, what is amiss; status 1 if it failed. 查看作业。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.get(f"compute/jobs/{job}")
        about = found["job"]
        facts = [Column(Text("", ""), lambda row: row[0]), Column(Text("", ""), lambda row: row[1](about))]
        said = [f"{about['name']} · {about['kind']}", listed(_FACTS, facts, here.language).lstrip("\n")]
        said += [listed(found["attempts"], _ATTEMPTS, here.language)] if found["attempts"] else []
        said += [here.pick(each, "words") for each in found["findings"]]
        said += [reason] if (reason := here.pick(about, "reason")) else []
        said += found["outputs"]
        here.say(found, "\n".join(said))
        if about["state"] == "failed":
            raise typer.Exit(1)


def cancel(job: Job, *, url: Url, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """Let a job end; what was computed until then is billed. 取消作业，已完成部分计费。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.told(here.ask("POST", f"compute/jobs/{job}/cancellation"))
        waits = Text("It ends as soon as its worker hears of it.", "节点收到通知后即结束。")
        here.say(found, waits if found["state"] in _OPEN else Text("Cancelled.", "已取消。"))


def logs(
    job: Job,
    *,
    url: Url,
    token_file: TokenFile = None,
    follow: Follow = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Print what a job's child has written; --json prints a line's fields a line. 显示作业日志。"""
    with rented(url, token_file, as_json, lang) as here:
        _follow(here, job, follow=follow)


def result(
    job: Job,
    *,
    url: Url,
    token_file: TokenFile = None,
    out: Out = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Fetch what came out of a job, each file checked by the hash in its signed receipt. 下载作业结果并校验。"""
    with rented(url, token_file, as_json, lang) as here:
        _, proven = _receipt(here, job)
        folder = out or Path(job)
        with progress(as_json) as told:
            for count, (name, digest) in enumerate(sorted(proven["outputs"].items()), start=1):
                content = here.ask("GET", f"compute/jobs/{job}/outputs/{name}").content
                if Path(name).name != name or sha256(content).hexdigest() != digest:
                    what = Text(f"{name} is not what the receipt says", f"{name} 与凭据不符")
                    raise Malformed(what, Text("fetch it again", "请重新下载"), key=job)
                write(folder / name, content)
                told(count / len(proven["outputs"]))
        files = [str(folder / name) for name in sorted(proven["outputs"])]
        here.say({"files": files}, "\n".join(files) if files else Text("Nothing came out of it.", "该作业没有输出。"))


def receipt(
    job: Job,
    *,
    url: Url,
    token_file: TokenFile = None,
    out: Out = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Fetch a job's signed receipt, verified by the platform's key. 下载并校验作业凭据。"""
    with rented(url, token_file, as_json, lang) as here:
        content, _ = _receipt(here, job)
        here.keep(out or Path(f"receipt-{job}.json"), content)


def plans_said(found: dict[str, Any], language: Language) -> str:
    """Return a quote for people: the plans, the best first, and why other offers will not do."""
    plans, rejected = found["plans"], found["rejected"]
    lines = [listed(plans[:_ROWS], _PLANS, language)] if plans else []
    if len(plans) > _ROWS:
        lines.append(_MORE.to(language).format(count=len(plans) - _ROWS))
    if rejected:
        lines.append(_REJECTED.to(language))
    lines += [f"  {one['code']}  {one[f'reason_{language}']}" for one in rejected[:_ROWS]]
    return "\n".join(lines) or Text("There is no offer.", "没有报价。").to(language)


def _read(task: Path) -> Order:
    from cloud.compute.order_file import read_order

    return read_order(task)


def _quoted(here: Platform, task: Path, body: dict[str, Any]) -> dict[str, Any]:
    return dict(here.told(here.ask("POST", "compute/quotes", json=body, key=str(task))))


def _chosen(here: Platform, task: Path, body: dict[str, Any]) -> dict[str, Any]:
    """Return the plan that a job would run by; ends with the quote, and status 1, where there is none."""
    found = _quoted(here, task, body)
    for plan in found["plans"]:
        if body["offer"] in (None, plan["code"]):
            return dict(plan)
    here.say(found, plans_said(found, here.language))
    raise typer.Exit(1)


def _body(here: Platform, task: Path, order: Order) -> dict[str, Any]:
    """Return what is asked of the platform, sets and versions by their ids."""
    if order.python:
        return order.body(files={name: sha256(content).hexdigest() for name, content in _program(task, order).items()})
    if order.input is None:
        return order.body()
    set_id = _set_id(here, task, order.input.set)
    if order.kind == "fit":
        return order.body(set_id, None)
    model = _set_id(here, task, order.input.model) if order.input.model else set_id
    for version in here.get(f"training/sets/{model}/versions"):
        if order.input.version in (None, version["number"]):
            return order.body(set_id, version["id"])
    what = Text("there is no such version of the model", "没有该版本的模型")
    raise ConfigError(what, Text("fit one, or name another", "请先训练，或指定其他版本"), key="input.version")


def _set_id(here: Platform, task: Path, name: str) -> str:
    known = {each["name"]: str(each["id"]) for each in here.get("training/sets")}
    if name in known:
        return known[name]
    mend = Text(
        f"`sunmao-cloud compute upload {task}` makes it of a folder; there are: {', '.join(known) or '–'}",
        f"`sunmao-cloud compute upload {task}` 可由目录创建；现有：{'、'.join(known) or '–'}",
    )
    raise ConfigError(Text(f"there is no set '{name}'", f"没有图片集“{name}”"), mend, key="input.set")


def _send(here: Platform, task: Path, order: Order) -> tuple[int, int]:
    """Send the pictures that a set lacks, by their hashes; return how many were sent, and how many were there."""
    from cloud.compute.order_file import pictures_of

    if order.input is None or not order.input.pictures:
        mend = Text('write pictures = "FOLDER" under [input]', '请在 [input] 下填写 pictures = "目录"')
        raise ConfigError(
            Text(f"{task} names no folder of pictures", f"{task} 未指定图片目录"), mend, key="input.pictures"
        )
    files = pictures_of(task, order.input)
    known = {each["name"]: each["id"] for each in here.get("training/sets")}
    set_id = known.get(order.input.set)
    if set_id is None:
        set_id = here.told(here.ask("POST", "training/sets", json={"name": order.input.set}))["id"]
    there = {each["digest"] for each in here.get(f"training/sets/{set_id}/pictures")}
    sent = 0
    with progress(here.as_json) as told:
        for count, (file, media_type, query) in enumerate(files, start=1):
            try:
                content = file.read_bytes()
            except OSError as error:
                what = Text(f"it cannot be read: {error}", f"无法读取：{error}")
                raise ConfigError(what, Text("give files you may read", "请提供可读取的文件"), key=str(file)) from error
            if sha256(content).hexdigest() not in there:
                about = {"set_id": set_id, **query}
                headers = {"Content-Type": media_type}
                here.ask("POST", "training/pictures", params=about, content=content, headers=headers, key=str(file))
                sent += 1
            told(count / len(files))
    return sent, len(files) - sent


def _program(task: Path, order: Order) -> dict[str, bytes]:
    from cloud.compute.order_file import program_of

    return program_of(task, order.python) if order.python else {}


def _send_program(here: Platform, task: Path, order: Order) -> tuple[int, int]:
    """Send the files of a program that the platform lacks, by their hashes; return how many were sent, and how many there."""
    files = {sha256(content).hexdigest(): content for content in _program(task, order).values()}
    there = files.keys() & {each["digest"] for each in here.get("compute/uploads")}
    for digest, content in files.items():
        if digest not in there:
            here.ask("POST", "compute/uploads", content=content, key=str(task))
    return len(files) - len(there), len(there)


def _follow(here: Platform, job: str, *, follow: bool) -> dict[str, Any]:
    """Print a job's log, with `follow` until it has ended, and return the job as it was then."""
    seen, about = 0, dict[str, Any]()
    with progress(here.as_json or not follow) as told:
        while True:
            ended = about.get("state", "running") not in _OPEN  # what was written at the end is still to be fetched
            for line in here.get(f"compute/jobs/{job}/log", after=seen):
                seen = line["id"]
                typer.echo(json.dumps(line, ensure_ascii=False) if here.as_json else line["line"])
            if ended or not follow:
                return about
            about = here.get(f"compute/jobs/{job}")["job"]
            told(about["done"] / max(about["total"], 1))
            if about["state"] in _OPEN:
                time.sleep(_FOLLOW_S)


def _ended(here: Platform, job: dict[str, Any]) -> str:
    return f"{_STATES[job['state']].to(here.language)} ¥{yuan(job['cost'])} {here.pick(job, 'reason')}".rstrip()


def _receipt(here: Platform, job: str) -> tuple[bytes, dict[str, Any]]:
    """Return a job's receipt as it was signed, and what it says; raises Malformed where anything is amiss with it."""
    from cloud.compute.receipt import verify

    content = here.ask("GET", f"compute/jobs/{job}/receipt").content
    found, faults = verify(content.decode("utf-8", "replace"), here.get("compute/key")["public_key"])
    if faults:
        raise Malformed(
            faults[0], Text("keep it, and ask the market's operator", "请保留凭据并联系市场运营方"), key=job
        )
    return content, found
