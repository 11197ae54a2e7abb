"""Points as hypothesis draws them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from protocols.modbus.config import NUMBER_FORMATS, ModbusPoint

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
NUMBERS = tuple(NUMBER_FORMATS)


@st.composite
def modbus_points(draw: st.DrawFn, last_address: int = 400) -> ModbusPoint:
    """One point of any table, type and order, named by a number."""
    fields: dict[str, Any] = {
        "name": str(draw(st.integers(0, 10**9))),
        "table": draw(st.sampled_from(("coil", "discrete", "input", "holding"))),
        "address": draw(st.integers(0, last_address)),
    }
    if fields["table"] in {"input", "holding"}:
        fields["type"] = draw(st.sampled_from((*NUMBERS, "bool", "string")))
        fields["order"] = draw(st.sampled_from(ORDERS))
        if fields["type"] == "bool":
            fields["bit"] = draw(st.integers(0, 15))
        elif fields["type"] == "string":
            fields["length"] = draw(st.integers(1, 20))
            fields["order"] = draw(st.sampled_from(("ABCD", "BADC")))
    return ModbusPoint.model_validate(fields)
