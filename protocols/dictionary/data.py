"""Reads the dictionary's data files: UTF-8 CSV beside this module, so that a wheel is enough."""

from __future__ import annotations

import csv
from importlib.resources import files


def data_rows(file: str) -> list[dict[str, str]]:
    """Return the rows of one data file of this package by column name, as written."""
    text = files("protocols.dictionary").joinpath(file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
