"""The agent as a process: what `sunmao-edge run` becomes.

It loads nothing of what parses commands and draws tables, 7 MB that would lie in memory all year.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

from edge_agent.plain_lines import explained, say
from protocols.text import Language, Text


def become(config: Path, language: Language, as_json: bool) -> None:
    """Replace this process, a command line, by the agent of `config`; see `serve`."""
    form = "json" if as_json else "text"
    os.execv(sys.executable, [sys.executable, "-P", "-m", "edge_agent.service", str(config), language, form])  # noqa: S606 - ourselves


def serve(config: Path, language: Language, form: Literal["text", "json"]) -> None:
    """Run the agent until it is stopped; `form` is that of the line that says it runs. Logs go to standard error."""
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # httpx's own command line, with click, rich and pygments
    from edge_agent.agent import alone, run_agent  # noqa: PLC0415 - after that
    from edge_agent.apart import apart  # noqa: PLC0415
    from edge_agent.config import load_agent  # noqa: PLC0415
    from edge_agent.remote import start_with  # noqa: PLC0415
    from protocols.library.folder import NAME, use_folder  # noqa: PLC0415

    with explained(language), alone(apart(load_agent, config).state_dir):
        # The libraries' own logs repeat what the drivers report as one of the four fates.
        logging.basicConfig(level=logging.CRITICAL, format="%(asctime)s %(message)s", stream=sys.stderr)
        logging.getLogger("sunmao").setLevel(logging.INFO)
        use_folder(config.resolve().parent / NAME)
        loaded, shared = apart(start_with, config)
        say(
            {"pid": os.getpid(), "name": loaded.agent.name, "state_dir": str(loaded.agent.state_dir)},
            Text(f"{loaded.agent.name} runs; Ctrl-C ends it", f"{loaded.agent.name} 已启动；按 Ctrl-C 结束"),
            language,
            form == "json",
        )
        asyncio.run(run_agent(loaded, shared, config, language))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        serve(Path(sys.argv[1]), "zh" if sys.argv[2] == "zh" else "en", "json" if sys.argv[3] == "json" else "text")
