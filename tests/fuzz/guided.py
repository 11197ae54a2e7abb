"""One target under atheris: `python -m tests.fuzz.guided TARGET [libFuzzer's options] FOLDER...`; `run` starts it."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["protocols", "edge_agent", "cloud", "models"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()
