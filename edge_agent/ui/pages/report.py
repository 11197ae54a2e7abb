"""Step 5: the report, to read here, to print, or to send to the office as one file."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

from nicegui import ui

from edge_agent.config import read_config
from edge_agent.ui.agent_state import running_status
from edge_agent.ui.elements import box, button, link_button
from edge_agent.ui.layout import frame
from edge_agent.ui.report import Facts, report_html
from edge_agent.ui.visit import Visit
from protocols.text import Text

TITLE = Text("Report", "报告")

_NOTE = Text(
    "One page for the office: what is set up, what it means, and whether it works.",
    "给办公室的一页报告：配置了什么、含义是什么、是否正常。",
)
_SAVE, _PRINT = Text("Save as a file", "保存为文件"), Text("Print or make a PDF", "打印或存为 PDF")


async def build(visit: Visit) -> None:
    """Build the page: the report in a frame of its own, so that what is seen is what is sent."""
    _, content = await write_report(visit)
    with frame(visit, visit.say(TITLE), note=visit.say(_NOTE)):
        link_button(visit.say(_SAVE), "/report/file", sign="report")
        button(visit.say(_PRINT), lambda: ui.run_javascript(_PRINT_FRAME), "button quiet")
        with box("card sheet"):
            box("", "iframe", srcdoc=content, title=visit.say(TITLE), onload=_FIT)


_PRINT_FRAME = "document.querySelector('.sheet iframe').contentWindow.print()"
_FIT = "this.style.height = this.contentDocument.documentElement.scrollHeight + 'px'"


async def write_report(visit: Visit) -> tuple[str, str]:
    """Return (file name, content) of the report as of now, in the reader's language. Raises ConfigError."""
    workplace = visit.workplace
    checking = workplace.checking
    now = datetime.now().astimezone()
    config = await asyncio.to_thread(workplace.config)
    facts = Facts(
        config,
        read_config(workplace.config_path),
        workplace.identity(),
        running_status(workplace.state_dir),
        checking.findings if checking is not None else (),
        checking.begun if checking is not None else None,
        now,
    )
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", config.agent.name).strip("-") or "box"
    return f"sunmao-{name}-{now:%Y%m%d-%H%M}.html", report_html(facts, visit.language)
