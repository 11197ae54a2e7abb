"""A task run by hand, as a worker runs it: findings a line, taken up where they end, and wrong use in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from cloud.cli import app
from models.task import RESULTS
from tests.edge_agent.inspect.conftest import SignedBundle, drop, small_bundle

__all__ = ["small_bundle"]

PICTURES = 6


def task(folder: Path, bundle: SignedBundle, count: int = PICTURES, times: int = 1) -> list[dict[str, str]]:
    """Lay a task of `count` pictures out, `times` as large as they need to be; return them."""
    folder.mkdir()
    for name, wanted in (("card.toml", "before.toml"), ("model.onnx", "before.onnx")):
        shutil.copy(bundle.folder / name, folder / wanted)
    pictures = []
    for number in range(count):
        drop(folder, f"{number}.png", number, flawed=number == 3, times=times)
        pictures.append({"file": f"{number}.png", "part": f"part-{number}"})
    (folder / "task.json").write_text(json.dumps({"type": "inspect", "pictures": pictures}))
    return pictures


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["compute", "run", *map(str, words), "--lang", "en"])
    return result.exit_code, result.output


def findings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]


def test_findings_are_taken_up_where_they_end(tmp_path: Path, small_bundle: SignedBundle) -> None:
    folder = tmp_path / "task"
    pictures = task(folder, small_bundle)
    assert run(folder) == (0, "Done.\n")
    whole = findings(folder)
    assert [each["file"] for each in whole] == [each["file"] for each in pictures]
    assert whole[3]["verdict"] != "pass"

    lines = (folder / RESULTS).read_text().splitlines(keepends=True)
    (folder / RESULTS).write_text("".join(lines[:3]) + lines[3][:20])  # killed while it wrote the fourth
    (folder / "0.png").unlink()  # what is done is not looked at again
    assert run(folder) == (0, "Done.\n")
    assert findings(folder) == whole


def test_a_worker_needs_nothing_of_a_cloud() -> None:
    absent = "import sys\nfor name in ('psycopg', 'fastapi', 'nicegui', 'uvicorn'): sys.modules[name] = None\n"
    command = [sys.executable, "-P", "-c", f"{absent}from cloud.cli import main; main()", "compute", "work"]
    command += ["--url", "http://127.0.0.1:9", "--token-file", "/nowhere", "--lang", "en"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("--token-file: /nowhere cannot be read")


def test_what_is_wrong_is_one_line(tmp_path: Path, small_bundle: SignedBundle) -> None:
    status, said = run(tmp_path)
    assert status == 2
    assert "has no task.json" in said
    folder = tmp_path / "task"
    task(folder, small_bundle)
    (folder / "4.png").write_bytes(b"no picture")
    status, said = run(folder)
    assert status == 1
    assert "4.png" in said
    assert "Traceback" not in said
    (folder / "task.json").write_text("{}")
    status, said = run(folder)
    assert status == 1
    assert "Traceback" not in said
