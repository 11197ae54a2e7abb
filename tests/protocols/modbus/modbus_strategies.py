"""Points as hypothesis draws them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from protocols.modbus.config import HALVES_SWAPPED, NUMBER_FORMATS, ModbusPoint

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
SHAPES: tuple[dict[str, Any], ...] = (
    *({"type": kind, "byte": byte} for kind in ("uint8", "int8") for byte in ("high", "low")),
    *({"type": kind, "order": order} for kind in NUMBER_FORMATS if "int8" not in kind for order in ORDERS),
    *({"type": kind, "order": order} for kind in ("uint64", "int64", "float64") for order in HALVES_SWAPPED),
)
"""Every type of number in every order it has."""


@st.composite
def modbus_points(draw: st.DrawFn, last_address: int = 400) -> ModbusPoint:
    """One point of any table, type and order, named by a number."""
    fields: dict[str, Any] = {
        "name": str(draw(st.integers(0, 10**9))),
        "table": draw(st.sampled_from(("coil", "discrete", "input", "holding"))),
        "address": draw(st.integers(0, last_address)),
    }
    if fields["table"] in {"input", "holding"}:
        kinds = ({"type": "bool"}, {"type": "string"}, {"bits": 1})
        fields |= draw(st.sampled_from((*SHAPES, *kinds)))
        if fields.get("type") == "bool":
            fields |= {"bit": draw(st.integers(0, 15)), "order": draw(st.sampled_from(ORDERS))}
        elif "bits" in fields:
            fields["type"] = draw(st.sampled_from(("uint16", "uint32", "uint64")))
            fields["order"] = draw(st.sampled_from(ORDERS))
            width = {"uint16": 16, "uint32": 32, "uint64": 63}[fields["type"]]
            fields["bit"] = draw(st.integers(0, width - 1))
            fields["bits"] = draw(st.integers(1, width - fields["bit"]))
        elif fields["type"] == "string":
            fields["length"] = draw(st.integers(1, 20))
            fields |= draw(st.sampled_from(({"order": "ABCD"}, {"order": "BADC"}, {"byte": "high"}, {"byte": "low"})))
    return ModbusPoint.model_validate(fields)
