"""What is done apart: its result, its error, and its end."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal
from edge_agent.apart import apart
from protocols.errors import ConfigError
from protocols.text import Text

here = os.getpid()
kept = []

def fails():
    raise ConfigError(Text("is wrong", "有误"), Text("mend it", "请改正"), key="device[1]")

def dies():
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    return "here"

def grows(by):
    kept.append(by)
    return os.getpid() != here, sum(kept)

assert apart(grows, by=5) == (True, 5) and not kept
try:
    apart(fails)
except ConfigError as error:
    assert (error.explain("en"), error.key) == ("device[1]: is wrong - mend it", "device[1]"), error.explain("en")
else:
    raise AssertionError
assert apart(dies) == "here"
assert apart(lambda: b"x" * 10**6) == b"x" * 10**6
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no child is left")
"""


def test_a_result_an_error_and_an_end_come_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("no child is left\n", "")
