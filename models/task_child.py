"""One fit, of pictures or of a machine's readings, one look at a picture, one inspection of many, one evaluation, one back-fill, one archive, or one probe, in a child process with bounded memory and time.

    python -P -m models.task_child FOLDER [PROVIDER]

PROVIDER is which of ONNX Runtime's providers inspects; its CPU one unless told. FOLDER holds `task.json` (a `models.task.Task`) and the files it names. The child writes one JSON object a line: `{"stage",
"done", "all"}` while it works and at the end `{"failed": {"reason", "en", "zh"}}`, or what came out of it - `{"fitted":
{"after", "before"}}`, figures of `models.judged` or `models.series.versions`, with `card.toml` and `model.onnx` beside the task; `{"folded": n}`, a part of that, with `fold-n.npz`; `{"looked": Looked}`
with `heatmap.png`; `{"inspected": {verdict: count}}` with `results.jsonl`;
`{"evaluated": Evaluation}` and `{"backfilled": {"steps"}}` with the same; `{"ran": RESULT}` with files `output.*`; `{"probed": Probed}`. `{"checkpoint": n}` says that n findings are durable, `{"chip": PROVIDER}` by what it runs. It never sees a key: whoever started it signs. It ends with whoever started it, when its standard
input does.
"""

# ruff: noqa: PLC0415 - heavy rooms are imported after the limits are set

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from models.task import (
    FOLD,
    RESULTS,
    ROWS,
    BackfillTask,
    EvaluateTask,
    FitTask,
    HealthFitTask,
    InspectTask,
    Looked,
    LookTask,
    PythonTask,
    Shown,
    Stage,
    Task,
)

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.judged import Figures
    from models.vision.pictures import Grey


_TELL_S = 0.5
"""How often it is said how far a back-fill is: a row takes less than saying so."""


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
    from models.vision.detector import Defect, Detector, heatmap_png
    from models.vision.pictures import decode, fit_to

    detector = Detector(_given(folder))
    picture = decode((folder / task.picture).read_bytes(), task.picture)
    finding = detector.inspect(fit_to(picture, detector.sees))
    picture.thumbnail((640, 640))
    (folder / "heatmap.png").write_bytes(heatmap_png(finding, picture.size))
    defect = finding.defect or Defect("", 0.0)
    said = Looked(
        finding.verdict, finding.score, finding.review, finding.reject, finding.aligned, defect.name, defect.chance
    )
    _say({"looked": said})


def _fit(task: FitTask, folder: Path) -> None:
    import numpy as np

    from models.bundle import Bundle
    from models.card import format_card
    from models.vision.compare_fit import Fold
    from models.vision.fit import fit, fit_fold
    from models.vision.parts import Parts
    from models.vision.recipe import Recipe
    from models.vision.region import mask_of
    from models.vision.sort import Named
    from models.vision.tiled import Originals

    _say({"chip": "CPUExecutionProvider"})  # NumPy learns, whatever else the machine has
    recipe = msgspec.convert(task.recipe, Recipe)
    parts, where = Parts("listed", [shown.part for shown in task.learn]), mask_of(task.region)
    if task.fold is not None:
        if found := fit_fold(_read(task.learn, folder, recipe.size), parts, recipe, task.fold, where):
            np.savez(folder / FOLD.format(task.fold), **found._asdict())
        _say({"folded": task.fold})
        return
    numbers = [number for number in range(recipe.folds) if (folder / FOLD.format(number)).exists()]
    folds = {number: Fold(**np.load(folder / FOLD.format(number))) for number in numbers}
    named = [shown for shown in task.held_bad if shown.defect]
    greys = _read([*task.learn, *named], folder, recipe.size)
    learn = greys[: len(task.learn)]

    def learning(done: int, count: int) -> None:
        _progress("learn", done, count)
        if done == count:
            _progress("check", 0, 1)

    release = fit(
        learn,
        parts,
        recipe,
        learning,
        where,
        named=[Named(grey, shown.part, shown.defect) for grey, shown in zip(greys[len(learn) :], named, strict=True)],
        originals=Originals(*([folder / shown.file for shown in group] for group in (task.learn, named))),
        folds=folds,
    )
    card = msgspec.structs.replace(release.card, region=task.region)
    (folder / "card.toml").write_bytes(format_card(card))
    (folder / "model.onnx").write_bytes(release.onnx)
    _progress("judge", 0, 1)
    after = _judged(Bundle(release.card, release.onnx, "", ""), task, folder)
    before = _judged(_given(folder), task, folder) if task.before else None
    _say({"fitted": {"after": after, "before": before}})


def _judged(bundle: Bundle, task: FitTask, folder: Path) -> Figures:
    from models.judged import judge
    from models.vision.pictures import read_greys

    shown = task.held_good, task.held_bad
    good, bad = (read_greys([folder / one.file for one in group], bundle.card.sees) for group in shown)
    good_parts, bad_parts = ([one.part for one in group] for group in shown)
    return judge(bundle, good, good_parts, bad, bad_parts)


def _fit_health(task: HealthFitTask, folder: Path) -> None:
    import numpy as np

    from models.bundle import Bundle
    from models.card import format_card
    from models.series.health_fit import fit_scored
    from models.series.recipe import HealthRecipe
    from models.series.table import Table
    from models.series.versions import comparable, judged_before, judged_new

    _progress("learn", 0, 1)
    rows = np.fromfile(folder / ROWS, "<f4").reshape(-1, len(task.sensors)).astype(np.float64)
    healthy, faulty = rows[: task.steps], rows[task.steps :]
    release, scores = fit_scored(Table(tuple(task.sensors), healthy, None), msgspec.convert(task.recipe, HealthRecipe))
    (folder / "card.toml").write_bytes(format_card(release.card))
    (folder / "model.onnx").write_bytes(release.onnx)
    _progress("judge", 0, 1)
    after = judged_new(Bundle(release.card, release.onnx, "", ""), scores, faulty)
    before = _given(folder) if task.before else None
    old = (
        judged_before(before, task.sensors, healthy, faulty, task.seen)
        if before and comparable(before.card, task.sensors)
        else None
    )
    _say({"fitted": {"after": after, "before": old}})


def _inspect(task: InspectTask, folder: Path, provider: str) -> Counter[str]:
    from models.session import Way
    from models.vision.detector import Detector
    from models.vision.pictures import decode, fit_to

    detector = Detector(_given(folder), Way(provider), strict=True)
    _say({"chip": provider})
    results = folder / RESULTS
    done, counts = 0, Counter[str]()
    if results.exists():  # what was done before an interruption; a line that was being written counts as not done
        whole = results.read_bytes().rpartition(b"\n")[0]
        lines = whole.splitlines()
        done = len(lines)
        counts.update(msgspec.json.decode(line)["verdict"] for line in lines)
        results.write_bytes(whole + b"\n" if whole else b"")
    durable = time.monotonic()
    with results.open("ab") as file:
        for number, shown in enumerate(task.pictures[done:], done + 1):
            picture = decode((folder / shown.file).read_bytes(), shown.file)
            grey = fit_to(picture, detector.sees)
            finding = detector.inspect(grey)
            counts[finding.verdict] += 1
            line: dict[str, str | float] = {"part": shown.part, "file": shown.file, "verdict": finding.verdict}
            if task.measured:
                line |= {"score": finding.score, "brightness": float(grey.mean())}
            else:
                line["score"] = round(finding.score, 4)
            file.write(msgspec.json.encode(line) + b"\n")
            _progress("inspect", number, len(task.pictures))
            if time.monotonic() - durable >= task.checkpoint_s:
                file.flush()
                os.fsync(file.fileno())
                durable = time.monotonic()
                _say({"checkpoint": number})
        file.flush()
        os.fsync(file.fileno())
    return counts


def _evaluate(task: EvaluateTask, folder: Path, provider: str) -> None:
    from models.evaluate import Judged, figures

    _inspect(task.inspection(), folder, provider)
    lines = (folder / RESULTS).read_bytes().splitlines()
    judged = [msgspec.json.decode(line, type=Judged) for line in lines]
    _say({"evaluated": figures(judged[: len(task.good)], judged[len(task.good) :])})


def _backfill(task: BackfillTask, folder: Path) -> None:
    import numpy as np

    from models.series.backfill import Followed, Follower

    _say({"chip": "CPUExecutionProvider"})
    follower = Follower(_given(folder), task.sensors)
    rows = np.fromfile(folder / ROWS, "<f4").reshape(task.steps, len(task.sensors))
    results = folder / RESULTS
    whole = results.read_bytes().rpartition(b"\n")[0] if results.exists() else b""
    before = [msgspec.json.decode(line, type=Followed) for line in whole.splitlines()]
    results.write_bytes(whole + b"\n" if whole else b"")
    # What was known is written down now and then; what came after that is followed again, and is written already.
    known = max((place for place, one in enumerate(before, 1) if one.kept), default=0)
    if known and (kept := before[known - 1].kept):
        follower.resume(kept)
    for step in range(known, len(before)):
        follower.follow(before[step].at, rows[step])
    durable = told = time.monotonic()
    with results.open("ab") as file:
        for step in range(len(before), task.steps):
            found = follower.follow(task.begin_us + task.period_us * step, rows[step])
            now = time.monotonic()
            safe = now - durable >= task.checkpoint_s
            if safe:
                found = msgspec.structs.replace(found, kept=follower.kept)
            file.write(msgspec.json.encode(found) + b"\n")
            if safe:
                file.flush()
                os.fsync(file.fileno())
                durable = now
                _say({"checkpoint": step + 1})
            if now - told >= _TELL_S or step + 1 == task.steps:
                told = now
                _progress("follow", step + 1, task.steps)
        file.flush()
        os.fsync(file.fileno())
    _say({"backfilled": {"steps": task.steps}})


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


def _do(task: Task, folder: Path, provider: str) -> None:
    if isinstance(task, FitTask):
        _fit(task, folder)
    elif isinstance(task, HealthFitTask):
        _fit_health(task, folder)
    elif isinstance(task, LookTask):
        _look(task, folder)
    elif isinstance(task, InspectTask):
        _say({"inspected": _inspect(task, folder, provider)})
    elif isinstance(task, EvaluateTask):
        _evaluate(task, folder, provider)
    elif isinstance(task, BackfillTask):
        _backfill(task, folder)
    elif isinstance(task, PythonTask):
        from models.archive_run import run_archive

        _say({"ran": run_archive(task, folder, _say)})
    else:
        from models.archive_run import prove
        from models.probe import probe

        _say({"probed": msgspec.structs.replace(probe(), no_walls=prove())})


def main() -> int:
    """Do the task in the folder given; 0 if it was done, 1 if it failed in words."""
    folder = Path(sys.argv[1])
    provider = sys.argv[2] if len(sys.argv) > 2 else "CPUExecutionProvider"
    task = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task)
    resource.setrlimit(resource.RLIMIT_AS, (task.limits.memory, task.limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (task.limits.cpu_s, task.limits.cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    if not isinstance(task, PythonTask):
        # As in `models.session`: at matrices as small as ours its threads wait for each other by spinning, which a tenant pays for.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from models.errors import ModelError

    try:
        if not isinstance(task, LookTask):
            os.nice(5)  # it can wait; somebody waits for a look
        _do(task, folder, provider)
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
