"""One value by the clock: from a file to a judged bundle, better than naive, gaps and bad times told."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from models.cli import app
from models.signing import create_key

RUN = CliRunner()


def written(path: Path, first: int, rows: int) -> Path:
    noise = np.random.default_rng(first)
    lines = ["time,kWh,anomaly"]
    for row in range(first, first + rows):
        time = datetime.fromisoformat("2026-01-05") + timedelta(hours=row)
        usual = 5 + 40 * (8 <= time.hour < 18) * (time.weekday() < 5)
        wild = row % 97 == 0
        if row % 50:  # each fiftieth hour is missing
            lines.append(f"{time:%d/%m/%Y %H:%M},{usual + noise.normal() + 30 * wild:.3f},{int(wild)}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_from_a_file_to_a_judged_bundle(tmp_path: Path) -> None:
    key, out = str(tmp_path / "key.pem"), str(tmp_path / "bundle")
    trust = create_key(Path(key))
    learnt, later = written(tmp_path / "energy.csv", 0, 168 * 12), written(tmp_path / "later.csv", 168 * 12, 168 * 6)
    clock = ["--time-format", "%d/%m/%Y %H:%M"]
    words = ["fit", "series", str(learnt), "--kind", "seasonal", "--out", out, "--key", key]
    refused = RUN.invoke(app, [*words, "--lang", "en", "--rows", "150"])  # 05/01 to 13/01: either way until the 13th
    assert (refused.exit_code, "no column surely holds times" in refused.output) == (2, True), refused.output
    made = RUN.invoke(app, [*words, *clock, "--json"])
    assert made.exit_code == 0, made.output
    assert RUN.invoke(app, ["verify", out, "--trust", trust]).exit_code == 0
    judged = RUN.invoke(app, ["evaluate", out, "--series", str(later), *clock, "--trust", trust, "--json"])
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.output)
    assert found["day_ahead"] < 0.9 * min(found["naive_day"], found["naive_week"])
    assert found["auroc"] > 0.98
    assert found["outside"] < 0.1
    for error, naive, inside in found["sums"].values():
        assert error < 0.9 * naive
        assert 0.6 < inside < 0.95
