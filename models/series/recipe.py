"""What a fit on sensor series is asked to do. A recipe is one TOML file; every field has a default."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from models.errors import InputError
from models.names import NAME

MAX_CHANNELS = 8


class HealthRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the machine-health recipe.

    Attributes:
        name: the model's name (lower-case letters, digits, dashes).
        version: the model's version, chosen by whoever releases it.
        half_life: readings after which half of a step is seen; longer is calmer and later.
        trim: share of the healthy rows, the most unusual, that is left out of what is learnt as usual, 0..0.3.
        blocks: contiguous blocks for calibration. Neighbouring rows are alike, so that rows never are both learnt from
            and judged by, only whole blocks are.
        review_rate: wanted share of healthy readings sent to review or rejected.
        reject_rate: wanted share of healthy readings rejected.
        margin: factor on both limits for what a short healthy time has not shown yet.
        way: how unusual is measured; "pca" is the second opinion, see `pca`.
        explained: of the second opinion: share of the variance that its main components explain.
    """

    name: str
    version: str = "1"
    half_life: float = 12.0
    trim: float = 0.05
    blocks: int = 5
    review_rate: float = 0.05
    reject_rate: float = 0.01
    margin: float = 1.5
    way: Literal["mahalanobis", "pca"] = "mahalanobis"
    explained: float = 0.85


class VibrationRecipe(HealthRecipe, frozen=True, forbid_unknown_fields=True):
    """Settings of the recipe for vibration; what is learnt and judged are blocks of samples.

    Attributes:
        rate: samples a second.
        samples: of one block.
        rpm: the shaft's turns a minute, which may vary by 2 %; 0: unknown.
        balls, ball_mm, pitch_mm, contact_deg: of a rolling bearing whose outer race stands still: how many rolling elements,
            their diameter, that of the circle through their centres, and the contact angle; 0 balls: unknown.
        channels: of a machine that is recorded at several places or in several directions at once: their names with commas, as
            "x,y,z", in the order of a WAV file's channels, or as a CSV file's columns are called; empty: one channel.
    """

    half_life: float = 3.0
    rate: float = 12_800.0
    samples: int = 8192
    rpm: float = 0.0
    balls: int = 0
    ball_mm: float = 0.0
    pitch_mm: float = 0.0
    contact_deg: float = 0.0
    channels: str = ""


def channel_names(channels: str) -> tuple[str, ...]:
    """Return the names in a recipe's `channels`; none where there is one channel without a name."""
    return tuple(name.strip() for name in channels.split(",")) if channels else ()


class SeasonalRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the recipe for one value by the clock.

    Attributes:
        name, version: as of a health recipe.
        season: after what the value repeats.
        review_rate, reject_rate: wanted share of usual readings that at least go to review, or are rejected.
        margin: factor on both limits.
    """

    name: str
    version: str = "1"
    season: Literal["day", "week"] = "week"
    review_rate: float = 0.05
    reject_rate: float = 0.01
    margin: float = 1.0


class RemainingRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the recipe for remaining life, from runs to failure.

    Attributes:
        name, version: as of a health recipe.
        unit, cycle: columns that say which machine a row is of, and when.
        cap: cycles above which nothing is said but that it is more; 0: six tenths of the median life.
        horizon: cycles before the end that verdicts are about; 0: a quarter of the cap.
        half_life, slow_half_life: of the two averages of each sensor, in readings.
        coverage: share of the truth that the interval is meant to hold.
        review_rate, reject_rate: wanted share of readings further from the end than the horizon that go to review, or are rejected.
        margin: factor on both limits.
    """

    name: str
    version: str = "1"
    unit: str = "unit"
    cycle: str = "cycle"
    cap: float = 0.0
    horizon: float = 0.0
    half_life: float = 5.0
    slow_half_life: float = 30.0
    coverage: float = 0.8
    review_rate: float = 0.05
    reject_rate: float = 0.01
    margin: float = 1.0


Recipe = TypeVar("Recipe", HealthRecipe, VibrationRecipe, SeasonalRecipe, RemainingRecipe)


def load_recipe(path: Path, kind: type[Recipe]) -> Recipe:
    """Return the recipe in the TOML file `path`; raises InputError naming the file and the key."""
    try:
        return check(msgspec.toml.decode(path.read_bytes(), type=kind), str(path))
    except OSError as error:
        raise InputError(
            "recipe", f"{path}: cannot be read: {error.strerror}", f"{path}：无法读取：{error.strerror}"
        ) from error
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("recipe", f"{path}: {error}", f"{path}：配方无效：{error}") from error


def check(recipe: Recipe, where: str) -> Recipe:
    """Return `recipe` if its numbers fit together; raises InputError otherwise."""
    rules = {
        "name must be lower-case letters, digits and dashes": NAME.fullmatch(recipe.name) is not None,
        "0 < reject_rate < review_rate < 0.5": 0 < recipe.reject_rate < recipe.review_rate < 0.5,
        "margin must be between 1 and 10": 1 <= recipe.margin <= 10,
    }
    if isinstance(recipe, HealthRecipe):
        rules |= {
            "half_life must be between 0.1 and 100000 readings": 0.1 <= recipe.half_life <= 100_000,
            "trim must be between 0 and 0.3": 0 <= recipe.trim <= 0.3,
            "blocks must be between 2 and 50": 2 <= recipe.blocks <= 50,
            "explained must be between 0.3 and 0.99": 0.3 <= recipe.explained <= 0.99,
        }
    if isinstance(recipe, RemainingRecipe):
        rules |= {
            "0 < half_life < slow_half_life": 0 < recipe.half_life < recipe.slow_half_life,
            "cap and horizon must not be negative, the horizon below the cap": recipe.cap >= 0
            and recipe.horizon >= 0
            and (recipe.cap == 0 or recipe.horizon < recipe.cap),
            "coverage must be between 0.5 and 0.8": 0.5 <= recipe.coverage <= 0.8,
        }
    if isinstance(recipe, VibrationRecipe):
        names = channel_names(recipe.channels)
        highest = recipe.rate / 8  # where the envelope's lines still are lines
        rules |= {
            "rate must be between 500 and 200000 samples a second": 500 <= recipe.rate <= 200_000,
            "samples must be between 2048 and 32768": 2048 <= recipe.samples <= 32_768,
            "rpm must be 0, or such that three turns take part of a block and a bearing's frequencies stay below an eighth"
            " of the rate": recipe.rpm == 0
            or 180 * recipe.rate / recipe.samples <= recipe.rpm <= 60 * highest / max(3 * recipe.balls, 3),
            "a bearing needs rpm, balls between 3 and 100, and 0 < ball_mm < pitch_mm": recipe.balls == 0
            or (recipe.rpm > 0 and 3 <= recipe.balls <= 100 and 0 < recipe.ball_mm < recipe.pitch_mm),
            f"channels must be at most {MAX_CHANNELS} different names with commas between them": "" not in names
            and len(names) == len(set(names)) <= MAX_CHANNELS,
        }
    for rule, kept in rules.items():
        if not kept:
            raise InputError("recipe", f"{where}: {rule}", f"{where}：配方不满足：{rule}")
    return recipe
