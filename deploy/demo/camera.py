"""The demo's camera: one picture for every part the simulated moulding machine makes, and a record of the truth.

    python -m deploy.demo.camera --folder pictures --seed 7 --start 1767225600000000 --truth truth.jsonl

Machine and camera share seed and start (microseconds UTC), so the parts the machine counts as rejects are those that
show a defect here. A robot lays the parts of one shot under the camera one after the other.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path
from typing import cast

from PIL import Image

from models.vision.synthetic import Defect, picture
from protocols.library.physics import Moulder, Part
from protocols.reading import now_us

LAID_EVERY_US = 900_000
SERIES = 1000
"""Added to the seed, so that no picture is one a model of the zoo was fitted on."""


def main() -> None:
    """Take pictures until SIGTERM or Ctrl-C; a picture begun is finished."""
    arguments = argparse.ArgumentParser(description="camera above the demo's moulding machine")
    arguments.add_argument("--folder", type=Path, required=True, help="where the pictures go")
    arguments.add_argument("--seed", type=int, required=True, help="seed of the simulated workshop")
    arguments.add_argument("--start", type=int, required=True, help="start of the workshop, microseconds UTC")
    arguments.add_argument("--truth", type=Path, required=True, help="JSON lines of part and defect are appended here")
    given = arguments.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    given.folder.mkdir(parents=True, exist_ok=True)
    moulder = Moulder(given.seed, given.start)
    index = moulder.parts_made(now_us())
    while True:
        part = moulder.part(index)
        if stop.wait(max(part.finished_us + part.cavity * LAID_EVERY_US - now_us(), 0) / 1e6):
            return
        photograph(part, given.seed, given.folder, given.truth)
        index += 1


def photograph(part: Part, seed: int, folder: Path, truth: Path) -> None:
    """Leave the part's picture in `folder`, whole or not at all, and its line in `truth`."""
    name = f"cap-{part.index:06d}"
    defect = cast("Defect | None", part.defect)
    unfinished = folder / f".{name}.part"
    Image.fromarray(picture(SERIES + seed, part.index, defect).grey).save(unfinished, "PNG")
    with truth.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"part": name, "defect": part.defect}) + "\n")
    unfinished.replace(folder / f"{name}.png")


if __name__ == "__main__":
    main()
