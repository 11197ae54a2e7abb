"""`make fuzz`: lets atheris drive every target for FUZZ_SECONDS (60), and prints what it reached and found.

Names given as arguments choose targets. What it learns is kept in .fuzz/ for the next time: a corpus for each target, and the
input of each finding. Atheris is no part of the environment; it is put into .fuzz/atheris, or the run says why it cannot be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fuzz.targets import TARGETS

ATHERIS = "atheris==3.0.0"
HERE = Path(".fuzz")
LARGEST = 65_536


def main(names: tuple[str, ...]) -> int:
    """Return 1 if anything was found, else 0."""
    console = Console()
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    where = HERE / "atheris"
    if not (where / "atheris").exists():
        words = ("pip", "install", "--quiet", "--only-binary", ":all:", "--target", where, ATHERIS)
        uv = Path(sys.executable).with_name("uv")
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            console.print(f"nothing is fuzzed: {ATHERIS} cannot be installed here: {done.stderr.strip()}")
            return 0
    table = Table("target", "executions/s", "new in corpus", "findings", box=None, header_style="bold")
    found = 0
    for name in names:
        with console.status(f"fuzzing {name} for {seconds} s"):
            row = fuzz(name, seconds, where)
        table.add_row(name, *map(str, row))
        found += row[2]
    console.print(table)
    return min(found, 1)


def fuzz(name: str, seconds: int, where: Path) -> tuple[int, int, int]:
    """Drive one target; return executions a second, inputs that reached something new, and findings."""
    corpus, findings = HERE / "corpus" / name, HERE / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    before = len(list(corpus.iterdir())), len(list(findings.iterdir()))
    limits = (f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-timeout=20", "-rss_limit_mb=2048")
    kept = ("-print_final_stats=1", f"-artifact_prefix={findings}/", corpus)
    paths = os.pathsep.join([str(where), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.fuzz.guided", name, *limits, *kept],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    (HERE / f"{name}.log").write_text(done.stdout + done.stderr, "utf-8")
    rate = re.search(r"average_exec_per_sec: +(\d+)", done.stderr)
    found = len(list(findings.iterdir())) - before[1]
    # What ends it without an input is a finding, too: a target that does not start, for one.
    return int(rate[1]) if rate else 0, len(list(corpus.iterdir())) - before[0], max(found, int(done.returncode != 0))


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or tuple(TARGETS)))
