"""Says whether a value is a plausible one for a point, and why: size, jumps, the dictionary's range, physics.

Laws: P = U I cos phi for each phase, and P = P1 + P2 + P3.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite

from protocols.dictionary.entries import Entry, load_dictionary
from protocols.dictionary.units import load_units
from protocols.driver import PointConfig
from protocols.reading import Value
from protocols.text import Text

_MOST = 1e13
_SMALLEST = 1e-6
_LEAST_JUMP = 5.0
_NEAR = 0.1


class Judge:
    """Judges values of one point, in the point's own unit.

    Args:
        point: as configured.
        expected: what the device's other points say it must be, and by which law; see `by_law`.
        again_s: how long after a value the later one given to `judge` was read, in seconds.
    """

    def __init__(self, point: PointConfig, expected: tuple[float, Text] | None, again_s: float) -> None:
        self._entry = load_dictionary()[point.property] if point.property else None
        self._low, self._high, self._source = _range(point, self._entry)
        self._expected = expected
        self._again_s = again_s

    def judge(self, value: Value, later: Value) -> tuple[bool, Text]:
        """Return whether `value` is plausible, and why; `later` is a later value of the same, None where there is none."""
        if isinstance(value, str):
            return bool(value), Text("readable text", "可读文本") if value else Text("empty text", "空文本")
        if value is None or isinstance(value, bool):
            return True, Text("on or off", "开或关")
        if self._entry is not None and self._entry.values:
            return self._code(value, self._entry)
        return self._size(value) or self._jump(value, later) or self._place(value) or self._law(value) or self._usual()

    @staticmethod
    def _code(value: float, entry: Entry) -> tuple[bool, Text]:
        name = entry.values.get(int(value)) if isfinite(value) and value == int(value) else None
        if name is None:
            return False, Text("not one of the codes of this entry", "不是该条目的代码")
        return True, Text(f"the code of '{name.en}'", f"代码含义“{name.zh}”")

    @staticmethod
    def _size(value: float) -> tuple[bool, Text] | None:
        if isfinite(value) and abs(value) < _MOST and not 0 < abs(value) < _SMALLEST:
            return None
        return False, Text("no device shows a number of this size", "设备不会给出这样大小的数")

    def _jump(self, value: float, later: Value) -> tuple[bool, Text] | None:
        if not isinstance(later, (int, float)):
            return None
        if abs(later - value) <= max(0.5 * max(abs(value), abs(later)), _LEAST_JUMP):
            return None
        after = f"{self._again_s:g}"
        return False, Text(f"jumps to {later:g} within {after} s", f"{after} 秒内跳变为 {later:g}")

    def _place(self, value: float) -> tuple[bool, Text] | None:
        if self._low <= value <= self._high:
            return None
        return False, Text(f"outside {self._bounds}, {self._source.en}", f"超出 {self._bounds}，{self._source.zh}")

    def _law(self, value: float) -> tuple[bool, Text] | None:
        if self._expected is None:
            return None
        wanted, law = self._expected
        if abs(value - wanted) > _NEAR * max(abs(wanted), abs(value)):
            return False, Text(f"{law.en} gives {wanted:.4g}", f"按 {law.zh} 应为 {wanted:.4g}")
        return True, Text(f"agrees with {law.en} = {wanted:.4g}", f"与 {law.zh} = {wanted:.4g} 相符")

    def _usual(self) -> tuple[bool, Text]:
        if self._low == -inf and self._high == inf:
            return True, Text("nothing speaks against it; no range is known", "没有不合理之处；未知取值范围")
        return True, Text(f"within {self._bounds}, {self._source.en}", f"在 {self._bounds} 之内，{self._source.zh}")

    @property
    def _bounds(self) -> str:
        return f"{self._low:g} … {self._high:g}"


def _range(point: PointConfig, entry: Entry | None) -> tuple[float, float, Text]:
    """Return between what values the point is plausible, in its own unit, and who says so."""
    if point.low is not None or point.high is not None:
        low, high = -inf if point.low is None else point.low, inf if point.high is None else point.high
        return low, high, Text("as configured", "按配置")
    if entry is not None:
        low, high = _in_unit_of(entry, point.unit or entry.unit)
        return low, high, Text(f"usual for {entry.name.en}", f"“{entry.name.zh}”的常见范围")
    if point.unit is None or point.unit not in load_units():
        return -inf, inf, Text("", "")
    quantity = load_units()[point.unit].quantity
    ranges = [
        _in_unit_of(known, point.unit)
        for known in load_dictionary().values()
        if known.data_type != "STRING"
        and known.unit != "C62"
        and known.unit in load_units()
        and load_units()[known.unit].quantity == quantity
    ]
    if not ranges:
        return -inf, inf, Text("", "")
    symbol = load_units()[point.unit].symbol
    return (
        min(low for low, _ in ranges),
        max(high for _, high in ranges),
        Text(f"usual for values in {symbol}", f"以 {symbol} 为单位的常见范围"),
    )


def _in_unit_of(entry: Entry, unit: str) -> tuple[float, float]:
    factor, offset = entry.conversion_from(unit)
    low = -inf if entry.typical_min is None else (entry.typical_min - offset) / factor
    high = inf if entry.typical_max is None else (entry.typical_max - offset) / factor
    return low, high


def partners(code: str) -> frozenset[str]:
    """Return the entries that together determine the entry `code`."""
    if code == "active_power_total":
        return frozenset(f"active_power_l{k}" for k in (1, 2, 3))
    for k in (1, 2, 3):
        phase = _phase(k)
        if code in phase:
            return frozenset(phase) - {code}
    return frozenset()


def _phase(k: int) -> tuple[str, str, str, str]:
    return f"active_power_l{k}", f"voltage_l{k}_n", f"current_l{k}", f"power_factor_l{k}"


def by_law(point: PointConfig, known: Mapping[str, float]) -> tuple[float, Text] | None:
    """Return what `point` must be, in its own unit, and by which law, given its `partners` in their entries' units.

    None where they say nothing: all is at rest.
    """
    code = point.property or ""
    entry = load_dictionary()[code]
    if code == "active_power_total":
        wanted, law = sum(known.values()), Text("P1 + P2 + P3", "P1 + P2 + P3")
    else:
        power, voltage, current, factor = (known.get(name) for name in _phase(int(code.split("_l")[1][0])))
        if power is None:
            wanted, text = (voltage or 0) * (current or 0) * (factor or 0) / 1e3, "U × I × cos φ"
        elif voltage is None:
            wanted, text = _over(power * 1e3, (current or 0) * (factor or 0)), "P / (I × cos φ)"
        elif current is None:
            wanted, text = _over(power * 1e3, voltage * (factor or 0)), "P / (U × cos φ)"
        else:
            wanted, text = _over(power * 1e3, voltage * current), "P / (U × I)"
        law = Text(text, text)
    if not isfinite(wanted) or wanted == 0:
        return None
    scale, offset = entry.conversion_from(point.unit or entry.unit)
    return (wanted - offset) / scale, law


def _over(above: float, below: float) -> float:
    return above / below if below else inf
