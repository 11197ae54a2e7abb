"""Energy carriers: what is metered, in which unit, and which dictionary entries measure it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from cloud.energy.schemas import CarrierCode
from protocols.text import Text


class Carrier(NamedTuple):
    """One carrier.

    Attributes:
        unit: UN/ECE Rec 20 code of its amounts.
        symbol: what people read.
        rate: unit of amount per hour, for loads.
    """

    code: CarrierCode
    name: Text
    unit: str
    symbol: str
    rate: str


CARRIERS: Mapping[str, Carrier] = MappingProxyType(
    {
        carrier.code: carrier
        for carrier in (
            Carrier("electricity", Text("Electricity", "电"), "KWH", "kWh", "kW"),
            Carrier("reactive", Text("Reactive energy", "无功电能"), "K3", "kvarh", "kvar"),
            Carrier("natural_gas", Text("Natural gas", "天然气"), "MTQ", "m³", "m³/h"),
            Carrier("water", Text("Water", "水"), "MTQ", "m³", "m³/h"),
            Carrier("compressed_air", Text("Compressed air", "压缩空气"), "MTQ", "m³", "m³/h"),
            Carrier("steam", Text("Steam", "蒸汽"), "TNE", "t", "t/h"),
            Carrier("heat", Text("Heat", "热"), "KWH", "kWh", "kW"),
        )
    }
)

COUNTERS: Mapping[str, CarrierCode] = MappingProxyType(
    {
        "energy_active_import": "electricity",
        "energy_reactive_import": "reactive",
        "heat_energy_total": "heat",
    }
)
"""Counters that say by themselves what they count. The carrier of any other counter, as of a volume, a person names."""

POWERS: Mapping[str, CarrierCode] = MappingProxyType({"active_power_total": "electricity", "thermal_power": "heat"})
"""Powers, in kW, that are integrated over time where there is no counter."""

METER_CLASS = "energy_meter"
"""Equipment that only measures: its counters are the site's or a line's, not its own consumption."""
