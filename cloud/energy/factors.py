"""What a unit of a carrier stands for: kg of CO2, kg of standard coal.

CO2 of electricity is location-based: the mean of the grid. China's national means are published for a year, some years
later; a day is given the latest published year up to its own. The site's own factors go before them, e.g. a province's.

Standard coal is defined by its heat: 1 kg is 7,000 kcal = 29.3076 MJ, so that energy carriers counted in kWh have a factor
by definition (equivalent value, 当量值). Other carriers have none until the site enters one.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

from cloud.energy.carriers import CARRIERS
from cloud.energy.schemas import CarrierCode, Factor, FactorKind
from protocols.text import Text

_GRID = Path(__file__).with_name("grid_factors.csv")
_COAL_MJ_PER_KG = 29.3076
_DEFINED = "1 kgce = 29.3076 MJ"
UNITS: dict[FactorKind, str] = {"co2": "kgCO₂", "coal": "kgce"}


@lru_cache(maxsize=1)
def built_in() -> tuple[Factor, ...]:
    """Return the factors that come with the product; read once per process."""
    with _GRID.open(encoding="utf-8", newline="") as file:
        grid = [
            _factor(
                "electricity",
                "co2",
                date(int(row["year"]), 1, 1),
                float(row["kg_co2_per_kwh"]),
                Text(row["source_en"], row["source_zh"]),
            )
            for row in csv.DictReader(file)
        ]
    heat = [
        _factor(carrier, "coal", date(2000, 1, 1), 3.6 / _COAL_MJ_PER_KG, Text(_DEFINED, _DEFINED))
        for carrier in ("electricity", "heat")
    ]
    return (*grid, *heat)


def factor_on(own: Sequence[Factor], carrier: CarrierCode, kind: FactorKind, day: date) -> Factor | None:
    """Return the factor that holds on `day`: the site's latest, else the latest that comes with the product, if any.

    Days before the first published year have that year's.
    """
    for known in (own, built_in()):
        fitting = [factor for factor in known if factor.carrier == carrier and factor.kind == kind]
        begun = [factor for factor in fitting if factor.valid_from <= day]
        if begun:
            return max(begun, key=lambda factor: factor.valid_from)
        if fitting and known is not own:
            return min(fitting, key=lambda factor: factor.valid_from)
    return None


def _factor(carrier: CarrierCode, kind: FactorKind, valid_from: date, value: float, source: Text) -> Factor:
    unit = f"{UNITS[kind]}/{CARRIERS[carrier].symbol}"
    return Factor(
        id=None,
        site_id=None,
        carrier=carrier,
        kind=kind,
        valid_from=valid_from,
        value=value,
        unit=unit,
        source=source.zh,
        source_en=source.en,
    )
