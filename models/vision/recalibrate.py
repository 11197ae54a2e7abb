"""New limits for a model in use, from pictures of parts that people confirmed as good; what was learnt stays as it is."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from models.bundle import Bundle
from models.errors import InputError
from models.release import Release
from models.vision.calibrate import calibrate
from models.vision.detector import Detector
from models.vision.export import calibration_of, with_calibration
from models.vision.fit import MIN_PICTURES
from models.vision.parts import Parts
from models.vision.pictures import Grey


def recalibrate(bundle: Bundle, greys: Iterable[Grey], parts: Parts, version: str) -> Release:
    """Return `bundle` as `version` with limits from `greys`, good pictures the model was not fitted on.

    Raises InputError if there are fewer than `MIN_PICTURES`, or if `version` is the bundle's own: the limits of a version
    never change.
    """
    if len(parts.names) < MIN_PICTURES:
        raise InputError(
            "no_pictures",
            f"{len(parts.names)} pictures are too few: at least {MIN_PICTURES} are needed",
            f"只有 {len(parts.names)} 张图片，太少：至少需要 {MIN_PICTURES} 张",
        )
    if version == bundle.card.version:
        raise InputError(
            "version", f"version {version} exists; name another one", f"版本 {version} 已存在；请指定新的版本号"
        )
    used = calibration_of(bundle.onnx)
    detector = Detector(bundle)
    raw = np.array([detector.inspect(grey).score for grey in greys]) * used.scale + used.loc
    limits = calibrate(raw, parts.names, bundle.card.review.wanted, bundle.card.reject.wanted)
    card = msgspec.structs.replace(bundle.card, version=version, review=limits.review, reject=limits.reject)
    return Release(card, with_calibration(bundle.onnx, limits.calibration))
