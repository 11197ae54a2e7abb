"""The demo's camera shows what the demo's machine makes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from models.vision.synthetic import DEFECTS, picture
from protocols.library.physics import Moulder
from protocols.library.physics.moulding import DEFECTS as MOULDED_DEFECTS
from protocols.reading import now_us

ROOT = Path(__file__).parents[2]
SEED = 11


def test_every_defect_of_the_machine_can_be_seen() -> None:
    assert set(MOULDED_DEFECTS) <= set(DEFECTS)


def test_pictures_and_truth_are_the_machines(tmp_path: Path) -> None:
    start = now_us() - 60_000_000
    moulder = Moulder(SEED, start)
    folder, truth = tmp_path / "pictures", tmp_path / "truth.jsonl"
    given = ["--folder", folder, "--seed", SEED, "--start", start, "--truth", truth]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.demo.camera", *(str(word) for word in given)], cwd=ROOT
    ) as camera:
        deadline = time.monotonic() + 30
        while not folder.is_dir() or len(list(folder.glob("*.png"))) < 3:
            assert camera.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        camera.terminate()
    assert camera.returncode == 0
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    files = sorted(path.stem for path in folder.iterdir())
    assert [line["part"] for line in told] == files
    first = int(files[0].removeprefix("cap-"))
    for number, line in enumerate(told, first):
        part = moulder.part(number)
        assert line == {"part": f"cap-{number:06d}", "defect": part.defect}
        assert part.finished_us <= now_us()
        with Image.open(folder / f"{line['part']}.png") as shown:
            assert (np.asarray(shown) == picture(1000 + SEED, number, part.defect).grey).all()
