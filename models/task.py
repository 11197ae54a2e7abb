"""What a child is asked to do with pictures and a model, as `task.json`; see `models.task_child`. Needs msgspec only."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from models.card import Region

Stage = Literal["read", "learn", "check", "judge", "inspect", "follow", "run"]
"""Pictures are decoded; features computed; limits found and the graph compared with its definition; versions judged;
pictures inspected; rows of a series followed; a function of an archive running."""

RESULTS = "results.jsonl"
"""Where an inspection or a back-fill writes its findings, a line each, and finds those of before it was interrupted."""

ARCHIVE, STATE, INPUT, OUTPUT = "archive.zip", "state.zip", "input.", "output."
"""Of an archive's run: the archive, its last checkpoint, and what its inputs and outputs are called before their names."""

FOLD = "fold-{}.npz"
"""What one fold of a fit has found, by its number."""

ROWS = "rows.f32"
"""The rows x sensors of a fit or a back-fill in the order of time, little-endian float32; NaN for what was not read."""


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture by its file in the folder, the part it shows, and what is wrong with it, if somebody has named that."""

    file: str
    part: str
    defect: str = ""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child may use: bytes of address space, seconds of CPU time."""

    memory: int = 3 * 1024**3
    cpu_s: int = 900


class FitTask(msgspec.Struct, frozen=True, tag="fit", forbid_unknown_fields=True, omit_defaults=True):
    """Learn from `learn`, then judge the new model - and the one in use - by pictures of parts it never learnt from.

    Attributes:
        recipe: the fields of `models.vision.recipe.Recipe`; `name` is needed.
        learn: pictures of good parts.
        held_good, held_bad: pictures of good and of defective parts that are only judged; the names of defects are learnt from the
            latter, which changes no score.
        region: where the model is to look; everywhere if there is none.
        before: whether `before.toml` and `before.onnx`, a model to compare with, are in the folder.
        fold: do only this part of it, and leave what was found as `FOLD.format(fold)`; the fit takes those that are in its folder.
    """

    recipe: dict[str, str | int | float]
    learn: list[Shown]
    held_good: list[Shown] = []
    held_bad: list[Shown] = []
    before: bool = False
    region: Region = []
    fold: int | None = None
    limits: Limits = Limits()


class HealthFitTask(msgspec.Struct, frozen=True, tag="fit_health", forbid_unknown_fields=True):
    """Learn what is usual of a machine's sensors from rows of its healthy running (ROWS).

    Attributes:
        recipe: fields of `models.series.recipe.HealthRecipe`; `name` is needed.
        sensors: what the columns are.
        steps, faulty: rows of healthy running, and of a known fault behind them, which are only judged.
        before: whether `before.toml` and `before.onnx`, the version to compare with, are in the folder; it had learnt from `seen` of
            the healthy rows.
    """

    recipe: dict[str, str | int | float]
    sensors: list[str]
    steps: int
    faulty: int = 0
    before: bool = False
    seen: int = 0
    limits: Limits = Limits()


class LookTask(msgspec.Struct, frozen=True, tag="look", forbid_unknown_fields=True):
    """Show what the model in `before.toml` and `before.onnx` says of one picture."""

    picture: str
    limits: Limits = Limits(cpu_s=30)


class InspectTask(msgspec.Struct, frozen=True, tag="inspect", forbid_unknown_fields=True):
    """Inspect many pictures with the model in `before.toml` and `before.onnx`; see RESULTS.

    Attributes:
        checkpoint_s: how often what is done so far is made durable and said, so that it can be taken elsewhere.
    """

    pictures: list[Shown]
    checkpoint_s: float = 3.0
    measured: bool = False
    """Findings also tell what an evaluation needs: the score unrounded, and the picture's brightness."""
    limits: Limits = Limits(cpu_s=86_400)


class EvaluateTask(msgspec.Struct, frozen=True, tag="evaluate", forbid_unknown_fields=True):
    """Judge the model in `before.toml` and `before.onnx` by pictures of which it is known what they show; see RESULTS.

    Attributes:
        good, bad: of good and of defective parts; neither may be empty. Findings are written in this order.
    """

    good: list[Shown]
    bad: list[Shown]
    checkpoint_s: float = 3.0
    limits: Limits = Limits(cpu_s=86_400)

    def inspection(self) -> InspectTask:
        """Return the inspection whose findings the figures are made of."""
        return InspectTask([*self.good, *self.bad], self.checkpoint_s, measured=True, limits=self.limits)


class BackfillTask(msgspec.Struct, frozen=True, tag="backfill", forbid_unknown_fields=True):
    """Follow rows of a machine's sensors (`rows.f32`) with the health model in `before.toml` and `before.onnx`; see RESULTS.

    Attributes:
        sensors: what the columns are, in the model's order.
        begin_us, period_us: when the first row is, in microseconds since 1970 UTC, and how far apart they are.
    """

    sensors: list[str]
    begin_us: int
    period_us: int
    steps: int
    checkpoint_s: float = 10.0
    limits: Limits = Limits(cpu_s=86_400)


class PythonTask(msgspec.Struct, frozen=True, tag="python", forbid_unknown_fields=True):
    """Call a function of a signed archive (`archive.zip`) behind walls; see `models.archive_run`.

    Attributes:
        entry: `module:function`. signer: the public key that has to have signed the archive, base64.
        inputs: names of the inputs it is given. parameters: what else.
        network: whether it may have one, where that is allowed.
        disk: bytes it may have written at a time. time_s: how long it may run.
    """

    entry: str
    signer: str
    inputs: list[str] = []
    parameters: dict[str, Any] = {}
    network: bool = False
    disk: int = 256 << 20
    time_s: float = 3600
    limits: Limits = Limits(cpu_s=86_400)


class ProbeTask(msgspec.Struct, frozen=True, tag="probe", forbid_unknown_fields=True):
    """Find out which of the runtime's providers really work here, and how fast the best one is; see `models.probe`."""

    limits: Limits = Limits(cpu_s=120)


Task = FitTask | HealthFitTask | LookTask | InspectTask | EvaluateTask | BackfillTask | PythonTask | ProbeTask


class Looked(msgspec.Struct, frozen=True):
    """A model's word on one picture; score and limits in standard deviations of good parts.

    `aligned`, `defect`, `chance`: see `models.vision.detector.Finding`.
    """

    verdict: str
    score: float
    review_limit: float
    reject_limit: float
    aligned: bool = True
    defect: str = ""
    chance: float = 0.0
