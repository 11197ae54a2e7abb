"""The wheel holds every tracked file of the four packages and nothing else, and owns its top-level names alone."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.conftest import PACKAGES, ROOT, files_in_packages

OUR_NAMES = (*PACKAGES, "tests", "deploy")


def differences(wheel: Path, expected: set[str]) -> list[str]:
    """Return what `wheel` lacks of `expected` and what it has too much, each as one line."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    return [f"missing: {name}" for name in sorted(expected - held)] + [f"too much: {name}" for name in held - expected]


def names_of_others(owners: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Return which of our top-level names some other distribution installs too."""
    return [
        f"{name}: {', '.join(distributions)}"
        for name, distributions in owners
        if name in OUR_NAMES and set(distributions) != {"sunmao-iiot"}
    ]


def test_the_wheel_holds_exactly_the_tracked_files(wheel: Path) -> None:
    assert differences(wheel, files_in_packages(ROOT)) == []


def test_a_file_lost_or_smuggled_in_is_caught(wheel: Path) -> None:
    expected = files_in_packages(ROOT) - {"cloud/py.typed"} | {"models/zoo/lost/model.onnx"}
    assert differences(wheel, expected) == ["missing: models/zoo/lost/model.onnx", "too much: cloud/py.typed"]


def test_nobody_else_owns_our_top_level_names() -> None:
    assert names_of_others(packages_distributions().items()) == []


def test_a_name_owned_by_somebody_else_is_caught() -> None:
    assert names_of_others([("models", ["sunmao-iiot", "another"]), ("numpy", ["numpy"])]) == [
        "models: sunmao-iiot, another"
    ]
