"""What the pages of rented computing say of states, kinds and money."""

from __future__ import annotations

from cloud.compute.schemas import Job, Offer
from cloud.web.language import number
from cloud.web.words import Mark
from protocols.text import Language, Text

KINDS = {
    "fit": Text("Fit a model", "训练模型"),
    "inspect": Text("Inspect many pictures", "批量检测图片"),
    "evaluate": Text("Evaluate a model", "评估模型"),
    "backfill": Text("Judge stored readings", "历史数据回填"),
    "python": Text("Run a program", "运行自有程序"),
}
STATES = {
    "queued": Mark(Text("Waits", "排队中"), "idle"),
    "running": Mark(Text("Runs", "运行中"), "good"),
    "done": Mark(Text("Done", "已完成"), "good"),
    "failed": Mark(Text("Failed", "失败"), "bad"),
    "cancelled": Mark(Text("Cancelled", "已取消"), "off"),
    "stopped": Mark(Text("Stopped", "已停止"), "off"),
    "broken": Mark(Text("Broke off", "已中断"), "warn"),
}
STAGES = {
    "fetch": Text("fetching the pictures", "正在获取图片"),
    "read": Text("reading the pictures", "正在读取图片"),
    "learn": Text("learning", "正在学习"),
    "check": Text("checking the model", "正在校验模型"),
    "judge": Text("judging on held-back parts", "正在用留出件评估"),
    "inspect": Text("inspecting", "正在检测"),
    "follow": Text("following the readings", "正在逐点判定"),
    "run": Text("running the program", "正在运行程序"),
}
ALIVE = Mark(Text("Free", "空闲"), "good")
BUSY = Mark(Text("Busy", "使用中"), "idle")
SILENT = Mark(Text("Does not answer", "无应答"), "off")
UNPROVEN = Mark(Text("Chip not proven", "芯片未验证"), "warn")
PAUSED = Mark(Text("Paused", "暂停接单"), "off")
CLOSED = Mark(Text("Closed", "已下架"), "off")


def yuan(amount: float, digits: int = 2) -> str:
    """Return an amount of yuan."""
    return f"¥{amount:,.{digits}f}" if amount >= 0 else f"−¥{-amount:,.{digits}f}"


def small_yuan(amount: float) -> str:
    """Return an amount of yuan, with more digits if it is small: a job may cost less than a fen."""
    return yuan(amount, 2 if abs(amount) >= 1 or not amount else 4)


def state_of(offer: Offer) -> Mark:
    """Return what an offer is like now."""
    if offer.closed_at:
        return CLOSED
    if offer.paused:
        return PAUSED
    if not offer.alive:
        return SILENT
    if not offer.proven:
        return UNPROVEN
    return BUSY if offer.busy else ALIVE


def progress_of(job: Job, language: Language) -> str:
    """Return how far a job that runs is."""
    stage = STAGES.get(job.stage)
    if stage is None:
        return ""
    return f"{stage.to(language)} · {job.done}/{job.total}" if job.total else stage.to(language)


def reason_of(job: Job, language: Language) -> str:
    """Return why a job ended as it did."""
    return job.reason_zh if language == "zh" else job.reason_en


def grams(kg: float) -> str:
    """Return a mass of CO2."""
    return f"{number(kg)} kg" if kg >= 1 else f"{number(kg * 1000)} g"
