"""A protocol's quality ladder says the truth: the test a rule leans on exists, and a rule not met has its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("ladder", sorted(ROOT.glob("protocols/*/quality.toml")), ids=lambda file: file.parent.name)
def test_every_rule_is_proved_or_explained(ladder: Path) -> None:
    rules = tomllib.loads(ladder.read_text(encoding="utf-8"))
    assert set(rules) == {"met", "not_met"}
    assert not rules["met"].keys() & rules["not_met"].keys()
    for rule, test in rules["met"].items():
        file, _, name = test.partition("::")
        source = ROOT / file
        assert source.exists(), f"{rule}: {file} does not exist"
        assert re.search(rf"^(async )?def {re.escape(name)}\(", source.read_text(encoding="utf-8"), re.M), (
            f"{rule}: {test}"
        )
    for rule, reason in rules["not_met"].items():
        assert len(reason.split()) >= 4, f"{rule}: a sentence is wanted"
