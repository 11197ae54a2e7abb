"""One fit, or one look at a picture, in a child process with bounded memory and time.

    python -P -m models.task_child FOLDER

FOLDER holds `task.json` (a `models.task.Task`) and the files it names. The child writes one JSON object a line: `{"stage",
"done", "all"}` while it works and at the end `{"failed": {"reason", "en", "zh"}}`, or what came out of it - `{"fitted":
{"after", "before"}}`, figures of `models.judged`, with `card.toml` and `model.onnx` beside the task; `{"looked": Looked}`
with `heatmap.png`. It never sees a key: whoever started it signs. It ends with whoever started it, when its standard
input does.
"""

# ruff: noqa: PLC0415 - heavy rooms are imported after the limits are set

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from models.task import FitTask, Looked, LookTask, Shown, Stage, Task

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.vision.pictures import Grey


def _say(line: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _progress(stage: Stage, done: int, count: int) -> None:
    _say({"stage": stage, "done": done, "all": count})


def _given(folder: Path) -> Bundle:
    from models.bundle import Bundle
    from models.card import parse_card

    return Bundle(parse_card((folder / "before.toml").read_bytes()), (folder / "before.onnx").read_bytes(), "", "")


def _look(task: LookTask, folder: Path) -> None:
    from models.vision.detector import Detector, heatmap_png
    from models.vision.pictures import decode, fit_to

    detector = Detector(_given(folder))
    picture = decode((folder / task.picture).read_bytes(), task.picture)
    finding = detector.inspect(fit_to(picture, detector.side))
    picture.thumbnail((640, 640))
    (folder / "heatmap.png").write_bytes(heatmap_png(finding, picture.size))
    _say({"looked": Looked(finding.verdict, finding.score, finding.review, finding.reject)})


def _fit(task: FitTask, folder: Path) -> None:
    from models.bundle import Bundle
    from models.card import format_card
    from models.judged import judge
    from models.vision.fit import fit
    from models.vision.parts import Parts
    from models.vision.recipe import Recipe

    recipe = msgspec.convert(task.recipe, Recipe)
    everything = [*task.learn, *task.held_good, *task.held_bad]
    greys = _read(everything, folder, recipe.size)
    learn, held = greys[: len(task.learn)], greys[len(task.learn) :]
    good, bad = held[: len(task.held_good)], held[len(task.held_good) :]

    def learning(done: int, count: int) -> None:
        _progress("learn", done, count)
        if done == count:
            _progress("check", 0, 1)

    release = fit(learn, Parts("listed", [shown.part for shown in task.learn]), recipe, learning)
    (folder / "card.toml").write_bytes(format_card(release.card))
    (folder / "model.onnx").write_bytes(release.onnx)
    _progress("judge", 0, 1)
    good_parts, bad_parts = ([shown.part for shown in group] for group in (task.held_good, task.held_bad))
    after = judge(Bundle(release.card, release.onnx, "", ""), good, good_parts, bad, bad_parts)
    before = None
    if task.before:
        old = _given(folder)
        if old.card.input[0].shape[0] != recipe.size:  # it sees pictures of another size
            held = _read([*task.held_good, *task.held_bad], folder, old.card.input[0].shape[0])
            good, bad = held[: len(task.held_good)], held[len(task.held_good) :]
        before = judge(old, good, good_parts, bad, bad_parts)
    _say({"fitted": {"after": after, "before": before}})


def _read(pictures: Sequence[Shown], folder: Path, side: int) -> list[Grey]:
    from models.vision.pictures import read_grey

    greys = []
    for number, shown in enumerate(pictures, 1):
        greys.append(read_grey(folder / shown.file, side))
        _progress("read", number, len(pictures))
    return greys


def _end_with_the_starter() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(3)


def main() -> int:
    """Do the task in the folder given; 0 if it was done, 1 if it failed in words."""
    folder = Path(sys.argv[1])
    task = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task)
    resource.setrlimit(resource.RLIMIT_AS, (task.limits.memory, task.limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (task.limits.cpu_s, task.limits.cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    from models.errors import ModelError

    try:
        if isinstance(task, FitTask):
            os.nice(5)  # it can wait; somebody waits for a look
            _fit(task, folder)
        else:
            _look(task, folder)
    except ModelError as error:
        _say({"failed": {"reason": error.reason, "en": str(error), "zh": error.zh}})
        return 1
    except MemoryError:
        most = task.limits.memory >> 20
        _say({"failed": {"reason": "memory", "en": f"it needs more than {most} MiB", "zh": f"所需内存超过 {most} MiB"}})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
