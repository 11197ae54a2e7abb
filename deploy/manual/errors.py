"""The pages of messages: everything the agent says when something is wrong, what it means and how to mend it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.manual.messages import Message, event_kinds, messages, says_something
from edge_agent.ui.words import quality_words
from protocols import reading
from protocols.reading import Quality
from protocols.text import Language, Text

ROOMS: Mapping[str, Text] = {
    "edge_agent/config": Text("Configuration file", "配置文件"),
    "edge_agent/reconfigure": Text("Configuration file", "配置文件"),
    "protocols/validation": Text("Configuration file", "配置文件"),
    "protocols/catalogue": Text("Configuration file", "配置文件"),
    "protocols/driver": Text("Configuration file", "配置文件"),
    "protocols/secured": Text("Configuration file", "配置文件"),
    "protocols/modbus": Text("Modbus devices", "Modbus 设备"),
    "protocols/opcua": Text("OPC UA devices", "OPC UA 设备"),
    "protocols/mqtt": Text("MQTT devices and brokers", "MQTT 设备与服务器"),
    "protocols/dictionary": Text("Dictionary, units and device library", "数据字典、单位与设备库"),
    "protocols/library": Text("Dictionary, units and device library", "数据字典、单位与设备库"),
    "edge_agent/onboard": Text("Finding devices, point lists, proposals", "设备发现、点表与建议"),
    "edge_agent/check": Text("Findings of `sunmao-edge check`", "`sunmao-edge check` 的检查结果"),
    "edge_agent/outlets": Text("Outlets", "出口"),
    "edge_agent/ui": Text("Technician's pages", "技术员页面"),
    "edge_agent/inspect": Text("Inspection and machine health", "检测与设备健康"),
    "edge_agent/buffer": Text("Buffer", "缓存"),
    "edge_agent/cloud_link": Text("The cloud", "云端"),
    "edge_agent/identity": Text("The cloud", "云端"),
    "edge_agent/remote": Text("The cloud", "云端"),
    "edge_agent/point": Text("Testing and writing points", "点的测试与写入"),
    "models/": Text("Models of visual inspection", "视觉检测模型"),
    "": Text("The agent", "代理"),
}
"""Chapters by the beginning of the file that speaks; the longest that fits counts."""

FATES: Mapping[str, tuple[Text, Text]] = {
    "ConfigError": (
        Text("wrong configuration or use (exit 2)", "配置或用法错误（退出码 2）"),
        Text("correct the key that is named in front", "请改正句首所指的键"),
    ),
    "Unreachable": (
        Text("no answer (exit 3)", "无应答（退出码 3）"),
        Text("check cable, power and address; the agent tries again", "请检查网线、电源和地址；代理会自动重试"),
    ),
    "Refused": (
        Text("a clear no (exit 3)", "对方拒绝（退出码 3）"),
        Text("allow it at the other side", "请在对方开放权限"),
    ),
    "Malformed": (
        Text("nonsense for an answer (exit 3)", "应答不合规（退出码 3）"),
        Text(
            "the connection is made anew; if it stays so, what answers is not what was expected there",
            "连接会重新建立；若持续出现，说明对端不是预期的设备",
        ),
    ),
    "model": (
        Text("model or picture refused", "模型或图片被拒"),
        Text("sign or copy the bundle again, or take the picture anew", "请重新签名或复制模型包，或重新拍摄图片"),
    ),
    "finding": (
        Text("finding", "检查结果"),
        Text("named beside the finding", "见检查结果旁的提示"),
    ),
}


def kinds() -> dict[str, dict[str, Any]]:
    """Return what was written by hand about each kind of event."""
    found: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text("utf-8"))["event"]
    return found


def errors_page(root: Path, language: Language) -> str:
    """Return the page in one language as Markdown."""
    said, _ = messages(root)
    parts = [
        Text(
            "# Messages\n\nWhat the agent and its commands say when something is wrong, by chapter. ‹names› stand for what is"
            " known only then. In front of a message stands the key, file or device it is about.\n",
            "# 消息\n\n代理与命令在出现问题时的提示，按章节排列。‹名称› 表示实际出现时才知道的内容；消息前为相关的键、文件或设备。\n",
        ).to(language)
    ]
    for chapter, own in _chapters(said).items():
        heads = Text("| says | kind | next step |", "| 消息 | 类别 | 下一步 |").to(language)
        rows = dict.fromkeys(_row(message, language) for message in own)
        parts.append("\n".join([f"\n## {chapter.to(language)}\n", heads, "|---|---|---|", *rows]) + "\n")
    parts += [_events(root, language), _qualities(language)]
    return "".join(parts)


def _chapters(said: list[Message]) -> dict[Text, list[Message]]:
    chapters: dict[Text, list[Message]] = {chapter: [] for chapter in ROOMS.values()}
    for message in said:
        beginning = max((each for each in ROOMS if message.file.startswith(each)), key=len)
        chapters[ROOMS[beginning]].append(message)
    return {chapter: own for chapter, own in chapters.items() if own}


def _row(message: Message, language: Language) -> str:
    fate, usual = FATES[message.fate]
    own = Text(message.mend_en, message.mend_zh) if says_something(message.mend_en) else usual
    mend = own.to(language)
    return f"| {_escaped(Text(message.en, message.zh).to(language))} | {fate.to(language)} | {_escaped(mend)} |"


def _events(root: Path, language: Language) -> str:
    found, _ = event_kinds(root)
    written = kinds()
    head = Text(
        "\n## Events\n\nWhat the agent logs and tells the cloud.\n\n| kind | means | next step |\n|---|---|---|\n",
        "\n## 事件\n\n代理写入日志并上报云端的事件。\n\n| 类别 | 含义 | 下一步 |\n|---|---|---|\n",
    ).to(language)
    rows = [
        f"| `{kind}` | {_escaped(written[kind]['cause'][language])} | {_escaped(written[kind]['mend'][language])} |"
        for kind in sorted(found)
        if kind in written
    ]
    return head + "\n".join(rows) + "\n"


def qualities() -> Iterator[Quality]:
    """Yield every quality but good that the agent gives a reading itself."""
    for name, value in vars(reading).items():
        if isinstance(value, Quality) and name.startswith(("BAD_", "UNCERTAIN_")):
            yield value


def _qualities(language: Language) -> str:
    head = Text(
        "\n## Qualities\n\nWhat a reading that is not good says of itself; codes of OPC UA Part 4, 7.39. Others come from the"
        " device.\n\n| quality | code | means |\n|---|---|---|\n",
        "\n## 质量\n\n非良好读数的原因，代码见 OPC UA 第 4 部分 7.39；其余代码由设备给出。\n\n| 质量 | 代码 | 含义 |\n|---|---|---|\n",
    ).to(language)
    rows = [
        f"| `{quality.cause}` | 0x{quality.status_code:08X} | {quality_words(quality).to(language)} |"
        for quality in qualities()
    ]
    return head + "\n".join(rows) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
