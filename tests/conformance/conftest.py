"""Runs every test of this folder once per case that a `*_case.py` beside it offers in `CASES`."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.conformance.case import DriverCase
from tests.conformance.plant import Plant


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        modules = sorted(file.stem for file in Path(__file__).parent.glob("*_case.py"))
        cases = [case for module in modules for case in import_module(f"tests.conformance.{module}").CASES]
        metafunc.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture
async def plant(case: DriverCase, tmp_path: Path) -> AsyncIterator[Plant]:
    if case.program is not None and shutil.which(case.program) is None:
        pytest.skip(f"{case.program} is not installed")
    plant = Plant(case, tmp_path)
    await plant.start()
    yield plant
    await plant.remove()
